//! Texts across the boundary: UTF-8, NUL at the end.

use std::ffi::{CStr, CString, c_char};

use crate::error::{Error, Result};

/// Borrows a text that the host passed. `name` is the parameter, for the error text.
///
/// # Safety
///
/// `text` is NULL or points to bytes that end with a NUL and stay unchanged while the result is used.
pub(super) unsafe fn borrowed<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Err(Error::InvalidArgument(format!("{name} is NULL; pass a UTF-8 text that ends with NUL")));
    }
    // SAFETY: not NULL, and the caller promises the NUL and the lifetime.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Error::InvalidArgument(format!("{name} is not UTF-8; convert the text before the call")))
}

/// A text for C. A NUL inside would end the text early, so it becomes a space. (JSON and our own texts have none.)
pub(super) fn owned(text: &str) -> CString {
    into_owned(text.to_owned())
}

/// The same without copying.
pub(super) fn into_owned(text: String) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let bytes = error.into_vec().into_iter().map(|byte| if byte == 0 { b' ' } else { byte }).collect::<Vec<_>>();
        CString::new(bytes).unwrap_or_default()
    })
}

/// Passes a text to the host, which frees it with `b24_string_free`.
///
/// # Safety
///
/// `out` is valid for writing a pointer.
pub(super) unsafe fn give(out: *mut *mut c_char, text: String) {
    // SAFETY: promised by the caller.
    unsafe { out.write(into_owned(text).into_raw()) }
}

/// Borrows a text that may be NULL, which stands for "".
///
/// # Safety
///
/// As [`borrowed`].
pub(super) unsafe fn borrowed_or_empty<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    match text.is_null() {
        true => Ok(""),
        // SAFETY: promised by the caller.
        false => unsafe { borrowed(name, text) },
    }
}

/// Checks an out-parameter and sets it, so that a host that ignores the status does not read uninitialized memory. Call
/// it before anything that can fail.
///
/// # Safety
///
/// `out` is NULL or valid for writing a `T`.
pub(super) unsafe fn prepare<T>(out: *mut T, value: T) -> Result<()> {
    if out.is_null() {
        return Err(Error::InvalidArgument("the out-parameter is NULL; pass the address of a variable".into()));
    }
    // SAFETY: promised by the caller.
    unsafe { write_if_wanted(out, value) };
    Ok(())
}

/// Sets an out-parameter that may be NULL.
///
/// # Safety
///
/// `out` is NULL or valid for writing a `T`.
pub(super) unsafe fn write_if_wanted<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not NULL, and the caller promises that it can be written.
        unsafe { out.write(value) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_inside_does_not_cut_the_text() {
        assert_eq!(owned("a\0b").to_str().unwrap(), "a b");
    }

    #[test]
    fn null_and_other_encodings_are_refused() {
        // SAFETY: NULL is allowed; the literal ends with NUL.
        let results = unsafe { (borrowed("key", std::ptr::null()), borrowed("key", c"\xff".as_ptr())) };
        assert!(results.0.unwrap_err().to_string().contains("key is NULL"));
        assert!(results.1.unwrap_err().to_string().contains("not UTF-8"));
    }
}
