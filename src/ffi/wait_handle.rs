//! A file descriptor that shows whether a notification waits, for hosts with a `poll` loop of their own.

#[cfg(target_os = "linux")]
pub(super) use linux::Descriptor;
#[cfg(not(target_os = "linux"))]
pub(super) use none::Descriptor;

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::sync::{Arc, OnceLock};

    use crate::client::Client;
    use crate::error::{Error, Result};
    use crate::notify::Readiness;

    /// A client's descriptor, made when it is first asked for.
    #[derive(Default)]
    pub(in crate::ffi) struct Descriptor(OnceLock<Arc<EventFd>>);

    impl Descriptor {
        /// Its number; it stays ours.
        pub(in crate::ffi) fn number(&self, client: &Client) -> Result<isize> {
            if self.0.get().is_none() {
                let fd = EventFd::new().ok_or_else(|| {
                    Error::State("no file descriptor can be made; the process's limit is reached".into())
                })?;
                // When two threads come at once, the second one's descriptor is dropped here.
                let _ = self.0.set(Arc::new(fd));
                if let Some(fd) = self.0.get() {
                    client.set_readiness(fd.clone());
                }
            }
            Ok(self.0.get().map_or(-1, |fd| fd.0.as_raw_fd() as isize))
        }
    }

    /// An eventfd: readable while its counter is not zero.
    struct EventFd(OwnedFd);

    impl EventFd {
        /// A new descriptor that is not readable; `None` when the process has no descriptors left.
        fn new() -> Option<EventFd> {
            // SAFETY: the call takes no pointers.
            let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
            // SAFETY: a descriptor that is not negative is new and ours alone.
            (fd >= 0).then(|| EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
        }
    }

    impl Readiness for EventFd {
        fn set_ready(&self, waiting: bool) {
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

#[cfg(not(target_os = "linux"))]
mod none {
    use crate::client::Client;
    use crate::error::Result;

    /// Other systems have no descriptor that a program can make readable and wait for together with its sockets.
    #[derive(Default)]
    pub(in crate::ffi) struct Descriptor;

    impl Descriptor {
        pub(in crate::ffi) fn number(&self, _: &Client) -> Result<isize> {
            Ok(-1)
        }
    }
}
