//! The library as a part of the process that has loaded it.
//!
//! Once used, the library stays loaded until the process ends, even when a host such as 1C unloads it. Threads of the
//! host hold values of the Rust runtime, and a call that never returns may outlive its object. On Windows each load
//! would also take several of the process's 1088 slots for thread-local values, which the runtime never returns:
//! after about a hundred loads there would be none left, and the process would end.

/// Keeps the library loaded, however often it is unloaded. The same goes for a library that contains the static one.
/// Both doors call it before they do anything that outlasts the call.
#[cfg(windows)]
pub(crate) fn keep() {
    use std::ptr;
    use std::sync::Once;

    use windows_sys::Win32::System::LibraryLoader::{
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
    };

    static PINNED: Once = Once::new();
    PINNED.call_once(|| {
        let mut module = ptr::null_mut();
        // Fails only for an address that is in no module.
        // SAFETY: with this flag the "name" is an address, which is not dereferenced; `module` can hold a handle.
        unsafe {
            GetModuleHandleExW(
                GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                keep as fn() as *const u16,
                &mut module,
            );
        }
    });
}

/// Elsewhere the linker has already done it, see `build.rs`.
#[cfg(not(windows))]
pub(crate) fn keep() {}
