//! The boundary: functions return a status. Errors are stored for the calling thread, panics are stopped.

use std::cell::RefCell;
use std::ffi::{CStr, CString};

use super::enums::b24_status;
use super::{hint, pin, text};
use crate::error::{Error, Result, Status};
use crate::threads;

/// The last error of a thread, in the form in which C reads it.
#[derive(Default)]
pub(super) struct LastError {
    pub(super) message: CString,
    pub(super) code: CString,
    pub(super) http_status: i32,
    pub(super) is_transient: bool,
}

thread_local! {
    static LAST_ERROR: RefCell<LastError> = RefCell::default();
}

/// Runs the body of an exported function. Stores an error for `b24_last_error_*`; success and timeouts clear it.
pub(super) fn status(body: impl FnOnce() -> Result<Status>) -> b24_status {
    let status = match caught(body) {
        Ok(status) => status,
        Err(error) => {
            let status = error.status();
            // A timeout is not an error at this door.
            if status != Status::Timeout {
                store(&error);
                return status as b24_status;
            }
            status
        }
    };
    with_last(|last| {
        if !last.message.is_empty() {
            *last = LastError::default();
        }
    });
    status as b24_status
}

/// Runs the body of a function that returns something else than a status. Returns `fallback` on failure.
pub(super) fn value<T>(fallback: T, body: impl FnOnce() -> Result<T>) -> T {
    caught(body).unwrap_or_else(|error| {
        store(&error);
        fallback
    })
}

/// Reads the last error of the calling thread. `None` when the thread is ending and has none left.
pub(super) fn last_error<T>(read: impl FnOnce(&LastError) -> T) -> Option<T> {
    pin::keep();
    LAST_ERROR.try_with(|last| last.try_borrow().ok().map(|last| read(&last))).ok().flatten()
}

/// A destructor of the host may call the library after the storage of the thread is gone; then nothing is stored.
fn with_last(change: impl FnOnce(&mut LastError)) {
    let _ = LAST_ERROR.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            change(&mut last);
        }
    });
}

fn caught<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    pin::keep();
    threads::catch(body).and_then(|result| result)
}

fn store(error: &Error) {
    let last = LastError {
        message: text::owned(&hint::message(error)),
        code: text::owned(error.code()),
        http_status: error.http_status().into(),
        is_transient: error.is_transient(),
    };
    with_last(|stored| *stored = last);
}

/// A text of the last error, as a pointer that is valid until the next call of the thread.
pub(super) fn pointer(pick: impl FnOnce(&LastError) -> &CStr) -> *const std::ffi::c_char {
    last_error(|last| pick(last).as_ptr()).unwrap_or(c"".as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_and_a_text() {
        let status = status(|| panic!("boom"));
        assert_eq!(status, Status::Panic as i32);
        let message = last_error(|last| last.message.to_str().unwrap().to_owned()).unwrap();
        assert!(message.contains("boom"), "{message}");
    }

    #[test]
    fn an_error_says_whether_to_repeat_the_call() {
        let is_transient = || last_error(|last| last.is_transient).unwrap();
        status(|| Err(Error::Network("cut".into())));
        assert!(is_transient());
        status(|| Err(Error::Closed));
        assert!(!is_transient());
        value((), || Err(Error::Network("cut".into())));
        assert!(is_transient());
        status(|| Ok(Status::Ok));
        assert!(!is_transient());
    }

    #[test]
    fn success_and_timeouts_clear_the_last_error() {
        for cleared_by in [Ok(Status::Ok), Ok(Status::Timeout), Err(Error::Timeout("not yet".into()))] {
            status(|| Err(Error::Network("cut".into())));
            assert_eq!(last_error(|last| last.message.is_empty() || !last.is_transient), Some(false));
            assert!(status(|| cleared_by) >= 0);
            assert_eq!(last_error(|last| last.message.is_empty() && !last.is_transient), Some(true));
        }
    }
}
