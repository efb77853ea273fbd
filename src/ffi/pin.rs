//! The library as a part of the process that has loaded it.
//!
//! Once used, it stays loaded until the process ends, though 1C unloads it at will. Threads of the host keep values of the
//! Rust runtime, and calls that do not come back may outlast their object. On Windows each load would also take a handful
//! of the process's 1088 indexes for values of threads, which the runtime never gives back: after about a hundred loads it
//! would find none and end the process.

/// Keeps the library where it is, however often it is unloaded; one that holds the static library stays, too. Both doors
/// call it before anything that lasts longer than the call.
#[cfg(windows)]
pub(crate) fn keep() {
    use std::ptr;
    use std::sync::Once;

    use windows_sys::Win32::System::LibraryLoader::{
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
    };

    static KEPT: Once = Once::new();
    KEPT.call_once(|| {
        let mut module = ptr::null_mut();
        // Fails only for an address that is in no module.
        // SAFETY: with this flag the "name" is an address, which is not followed; `module` is a place for a handle.
        unsafe {
            GetModuleHandleExW(
                GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                keep as fn() as *const u16,
                &mut module,
            );
        }
    });
}

/// Elsewhere the linker has said so already: see `build.rs`.
#[cfg(not(windows))]
pub(crate) fn keep() {}
