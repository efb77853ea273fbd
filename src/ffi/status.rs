//! The statuses as C sees them. They are [`Status`] with its numbers, see the assertion below.

use crate::error::Status;

/// What a call came to: `B24_OK` is success, positive values are no errors, negative values are errors.
///
/// `b24_status_name` gives a value's name, `b24_last_error_message` the text that says what to do. Values may be added:
/// treat an unknown negative value as an error.
#[allow(non_camel_case_types)]
pub type b24_status = i32;

/// Done.
pub const B24_OK: i32 = 0;
/// Nothing came within the given time. No error: call again.
pub const B24_TIMEOUT: i32 = 1;
/// An argument is NULL, not UTF-8, out of range or not usable otherwise.
pub const B24_INVALID_ARGUMENT: i32 = -1;
/// The handle is NULL, was freed, or was never given out for this type.
pub const B24_INVALID_HANDLE: i32 = -2;
/// The configuration is not usable; the text names the key, its value and what is allowed.
pub const B24_CONFIG: i32 = -3;
/// The portal or push server could not be reached, or the connection broke. Repeat later.
pub const B24_NETWORK: i32 = -4;
/// The server's certificate was not accepted, or the TLS handshake failed.
pub const B24_TLS: i32 = -5;
/// The answer is not what the protocol says: no JSON, too long, cut, a redirect.
pub const B24_PROTOCOL: i32 = -6;
/// The tokens were refused and could not be renewed: authorize the application again.
pub const B24_AUTH: i32 = -7;
/// The token's user or the application lacks a right (administrator, scope).
pub const B24_ACCESS_DENIED: i32 = -8;
/// A webhook was used where an application's token is needed.
pub const B24_WRONG_AUTH_TYPE: i32 = -9;
/// The portal's plan does not include this.
pub const B24_LICENSE: i32 = -10;
/// The portal's request limits are used up. Repeat later.
pub const B24_RATE_LIMIT: i32 = -11;
/// Any other error of the portal; `b24_last_error_code` gives its code.
pub const B24_PORTAL: i32 = -12;
/// The call does not fit the client's state (not connected), or the library's own state cannot be kept.
pub const B24_STATE: i32 = -13;
/// The client was closed.
pub const B24_CLOSED: i32 = -14;
/// A defect inside the library was stopped at the boundary. Free the handle, and report the text.
pub const B24_PANIC: i32 = -15;

/// Names as `b24_status_name` gives them.
pub(super) const NAMES: [(b24_status, &std::ffi::CStr); 17] = [
    (B24_OK, c"B24_OK"),
    (B24_TIMEOUT, c"B24_TIMEOUT"),
    (B24_INVALID_ARGUMENT, c"B24_INVALID_ARGUMENT"),
    (B24_INVALID_HANDLE, c"B24_INVALID_HANDLE"),
    (B24_CONFIG, c"B24_CONFIG"),
    (B24_NETWORK, c"B24_NETWORK"),
    (B24_TLS, c"B24_TLS"),
    (B24_PROTOCOL, c"B24_PROTOCOL"),
    (B24_AUTH, c"B24_AUTH"),
    (B24_ACCESS_DENIED, c"B24_ACCESS_DENIED"),
    (B24_WRONG_AUTH_TYPE, c"B24_WRONG_AUTH_TYPE"),
    (B24_LICENSE, c"B24_LICENSE"),
    (B24_RATE_LIMIT, c"B24_RATE_LIMIT"),
    (B24_PORTAL, c"B24_PORTAL"),
    (B24_STATE, c"B24_STATE"),
    (B24_CLOSED, c"B24_CLOSED"),
    (B24_PANIC, c"B24_PANIC"),
];

const _: () = {
    let mut index = 0;
    while index < NAMES.len() {
        assert!(NAMES[index].0 == Status::ALL[index] as i32);
        index += 1;
    }
};
