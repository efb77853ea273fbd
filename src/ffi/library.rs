//! Functions that need no handle.

use std::ffi::{CString, c_char};

use once_cell::race::OnceBox;

use super::enums::b24_status;
use super::{boundary, text};
use crate::error::Status;

/// The version of the ABI that this header describes. It rises when something is removed or changes its meaning.
pub const B24_ABI_VERSION: u32 = 1;

/// Returns the version of the library that is loaded.
///
/// @return A string such as "0.1.0", see B24EVENTS_VERSION. Never NULL. Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn b24_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns the version of the ABI of the library that is loaded.
///
/// @return A number. A program that was built with this header can use the library if it equals B24_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn b24_abi_version() -> u32 {
    B24_ABI_VERSION
}

static STATUS_NAMES: OnceBox<Vec<(b24_status, CString)>> = OnceBox::new();

/// Returns the name of a status.
///
/// @param status Any number.
/// @return A string such as "B24_TIMEOUT", or "B24_UNKNOWN" if no status has this value. Never NULL. Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn b24_status_name(status: b24_status) -> *const c_char {
    let name = |status: Status| (status as b24_status, text::owned(&format!("B24_{}", status.name())));
    let found =
        STATUS_NAMES.get_or_init(|| Box::new(Status::ALL.map(name).into())).iter().find(|(value, _)| *value == status);
    found.map_or(c"B24_UNKNOWN", |(_, name)| name).as_ptr()
}

/// Returns what went wrong in the last call of this thread that failed, and what to do about it. The text holds no
/// tokens and no secrets. A call that returns B24_OK or B24_TIMEOUT clears the error. Functions that do not return a
/// status, such as b24_batch_free, do not clear it.
///
/// @return The text, or "" if there is no error. Never NULL. Do not free it. Valid until this thread calls another
/// library function, except for b24_last_error_..., b24_status_name, b24_version, b24_abi_version and b24_string_free.
#[unsafe(no_mangle)]
pub extern "C" fn b24_last_error_message() -> *const c_char {
    boundary::pointer(|last| &last.message)
}

/// Returns the portal's error code for the error that b24_last_error_message describes.
///
/// @return A string such as "ACCESS_DENIED", or "" if there is no error or the portal gave no code. Never NULL. Do not
/// free it. Valid as long as the text of b24_last_error_message.
#[unsafe(no_mangle)]
pub extern "C" fn b24_last_error_code() -> *const c_char {
    boundary::pointer(|last| &last.code)
}

/// Returns the HTTP status of the answer that caused the error that b24_last_error_message describes.
///
/// @return A number such as 403, or 0 if there is no error or there was no HTTP answer.
#[unsafe(no_mangle)]
pub extern "C" fn b24_last_error_http_status() -> i32 {
    boundary::last_error(|last| last.http_status).unwrap_or(0)
}

/// Returns whether the error that b24_last_error_message describes may pass by itself. If so, pause and repeat the
/// call, with longer pauses each time. If not, someone must intervene first. The status alone does not tell:
/// B24_PROTOCOL, B24_PORTAL and B24_RATE_LIMIT, for example, may be transient or not.
///
/// @return 1 if the call may succeed later, 0 if not or if there is no error.
#[unsafe(no_mangle)]
pub extern "C" fn b24_last_error_is_transient() -> i32 {
    boundary::last_error(|last| last.is_transient.into()).unwrap_or(0)
}

/// Frees a string that a function of this library returned through an out-parameter of type char **.
///
/// @param string The string. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: by contract it is what `CString::into_raw` returned, and it is freed once.
        drop(unsafe { CString::from_raw(string) });
    }
}
