//! Functions that need no handle.

use std::ffi::{CString, c_char};

use super::boundary;
use super::status::{NAMES, b24_status};

/// Version of the ABI that this header describes. It grows when something is removed or changed its meaning.
pub const B24_ABI_VERSION: u32 = 1;

/// The library's version, such as "0.1.0". Never NULL, never to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn b24_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Version of the ABI that the loaded library has. A host that was built with this header can use the library when this
/// equals `B24_ABI_VERSION`.
#[unsafe(no_mangle)]
pub extern "C" fn b24_abi_version() -> u32 {
    B24_ABI_VERSION
}

/// Name of a status, such as "B24_TIMEOUT"; "B24_UNKNOWN" for a value that is none. Never NULL, never to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn b24_status_name(status: b24_status) -> *const c_char {
    let found = NAMES.iter().find(|(value, _)| *value == status);
    found.map_or(c"B24_UNKNOWN", |(_, name)| name).as_ptr()
}

/// What went wrong in the last failed call of this thread, in plain words and with the next step; "" after a success.
/// Holds no token and no secret. Valid until the thread's next call that returns a status, a handle or a length; never
/// NULL, never to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn b24_last_error_message() -> *const c_char {
    boundary::pointer(|last| &last.message)
}

/// The portal's error code of the last failed call of this thread, such as "ACCESS_DENIED"; "" when the portal named
/// none. Valid as long as `b24_last_error_message`; never NULL, never to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn b24_last_error_code() -> *const c_char {
    boundary::pointer(|last| &last.code)
}

/// HTTP status of the answer that made the last call of this thread fail, such as 403; 0 when there was none.
#[unsafe(no_mangle)]
pub extern "C" fn b24_last_error_http_status() -> i32 {
    boundary::last_error(|last| last.http_status).unwrap_or(0)
}

/// Frees a text that a function of this library gave away (where the function's description says so). NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: by contract it is what `CString::into_raw` gave out, and it is freed once.
        drop(unsafe { CString::from_raw(string) });
    }
}
