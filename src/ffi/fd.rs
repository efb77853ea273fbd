//! A file descriptor that shows whether a notification waits, for hosts with a `poll` loop of their own.

#[cfg(target_os = "linux")]
pub(super) use linux::EventFd;

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    use crate::push::doorbell::Beacon;

    /// An eventfd: readable while its counter is not zero.
    pub(in crate::ffi) struct EventFd(OwnedFd);

    impl EventFd {
        /// A new descriptor that is not readable; `None` when the process has no descriptors left.
        pub(in crate::ffi) fn new() -> Option<EventFd> {
            // SAFETY: the call takes no pointers.
            let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
            // SAFETY: a descriptor that is not negative is new and ours alone.
            (fd >= 0).then(|| EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
        }

        /// The descriptor's number; it stays ours.
        pub(in crate::ffi) fn number(&self) -> isize {
            self.0.as_raw_fd() as isize
        }
    }

    impl Beacon for EventFd {
        fn show(&self, waiting: bool) {
            let mut counter: u64 = 1;
            let place: *mut u64 = &mut counter;
            let fd = self.0.as_raw_fd();
            // Both fail only with EAGAIN: readable already, or not readable already; either is what was wanted.
            // SAFETY: eight bytes at `place` are ours, and the descriptor is open as long as `self` lives.
            unsafe {
                if waiting {
                    libc::write(fd, place.cast(), size_of::<u64>());
                } else {
                    libc::read(fd, place.cast(), size_of::<u64>());
                }
            }
        }
    }
}
