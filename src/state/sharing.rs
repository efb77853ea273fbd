//! Files that another program holds open for a moment.

use std::io;
use std::time::{Duration, Instant};

/// The longest that another program is waited for.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Nothing reports when the other program lets go.
const INTERVAL: Duration = Duration::from_millis(20);

/// Does something with a file. On Windows a virus scanner or a backup may hold a file open for a moment, and then
/// whatever others do with it fails: it is tried again for two seconds.
pub(super) fn retried<T>(act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let passes = |error: &io::Error| cfg!(windows) && is_open_elsewhere(error);
    retried_while(passes, TIMEOUT, act)
}

/// Whether an error of Windows may mean that another program holds the file open.
fn is_open_elsewhere(error: &io::Error) -> bool {
    const ACCESS_DENIED: i32 = 5;
    const SHARING_VIOLATION: i32 = 32;
    const LOCK_VIOLATION: i32 = 33;
    matches!(error.raw_os_error(), Some(ACCESS_DENIED | SHARING_VIOLATION | LOCK_VIOLATION))
}

fn retried_while<T>(
    passes: impl Fn(&io::Error) -> bool,
    timeout: Duration,
    mut act: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let start = Instant::now();
    loop {
        match act() {
            Err(error) if passes(&error) && start.elapsed() < timeout => std::thread::sleep(INTERVAL),
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails so often with the error of this number; returns the outcome and how often it was tried.
    fn tried(failures: u32, number: i32, timeout: Duration) -> (io::Result<()>, u32) {
        let mut tries = 0;
        let outcome = retried_while(is_open_elsewhere, timeout, || {
            tries += 1;
            if tries > failures { Ok(()) } else { Err(io::Error::from_raw_os_error(number)) }
        });
        (outcome, tries)
    }

    #[test]
    fn a_file_that_is_open_elsewhere_is_tried_again_until_the_time_is_over() {
        for number in [5, 32, 33] {
            let (outcome, tries) = tried(2, number, Duration::from_secs(60));
            assert!(outcome.is_ok());
            assert_eq!(tries, 3, "{number}");
        }
        let (outcome, tries) = tried(u32::MAX, 32, INTERVAL);
        assert_eq!(outcome.unwrap_err().raw_os_error(), Some(32));
        assert!(tries > 1);
    }

    #[test]
    fn other_errors_are_final() {
        for number in [2, 3, 13, 28] {
            let (outcome, tries) = tried(1, number, TIMEOUT);
            assert_eq!((outcome.unwrap_err().raw_os_error(), tries), (Some(number), 1));
        }
    }
}
