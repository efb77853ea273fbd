//! The library as a part of the process that has loaded it.

/// Keeps the library where it is until the process ends, however often it is unloaded.
#[cfg(windows)]
pub(super) fn keep() {
    use std::ptr;

    use windows_sys::Win32::System::LibraryLoader::{
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
    };

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
}

/// Elsewhere the linker has said so already: see `build.rs`.
#[cfg(not(windows))]
pub(super) fn keep() {}
