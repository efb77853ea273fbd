//! What a host can wait on together with its own files, sockets and events: a file descriptor on Linux, an event on
//! Windows. It is ready while a notification is pending.

use std::ffi::c_void;
use std::sync::{Arc, OnceLock};

use crate::client::Client;
use crate::error::Result;
use crate::notify::Readiness;

#[cfg(target_os = "linux")]
use linux::Signal;
#[cfg(not(any(target_os = "linux", windows)))]
use none::Signal;
#[cfg(windows)]
use windows::Signal;

/// What can be waited on for a client. The system's object is created when the host first asks for it.
#[derive(Default)]
pub(super) struct WaitHandle(OnceLock<Arc<Signal>>);

impl WaitHandle {
    /// The file descriptor; -1 on systems without.
    pub(super) fn descriptor(&self, client: &Client) -> Result<isize> {
        match cfg!(target_os = "linux") {
            true => Ok(self.signal(client)?.map_or(-1, Signal::descriptor)),
            false => Ok(-1),
        }
    }

    /// The event; NULL on systems without.
    pub(super) fn event(&self, client: &Client) -> Result<*mut c_void> {
        match cfg!(windows) {
            true => Ok(self.signal(client)?.map_or(std::ptr::null_mut(), Signal::event)),
            false => Ok(std::ptr::null_mut()),
        }
    }

    fn signal(&self, client: &Client) -> Result<Option<&Signal>> {
        if self.0.get().is_none() {
            // When two threads come at once, the signal of the second one is dropped here.
            let _ = self.0.set(Arc::new(Signal::new()?));
            if let Some(signal) = self.0.get() {
                client.set_readiness(signal.clone());
            }
        }
        Ok(self.0.get().map(Arc::as_ref))
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::c_void;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    use super::Readiness;
    use crate::error::{Error, Result};

    /// An eventfd: readable while its counter is not zero.
    pub(super) struct Signal(OwnedFd);

    impl Signal {
        /// A signal that is not set.
        pub(super) fn new() -> Result<Signal> {
            // SAFETY: the call takes no pointers.
            let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
            if fd < 0 {
                let text = "cannot create a file descriptor: the process or the system has reached its limit of open \
                            files; raise the limit or close files";
                return Err(Error::State(text.into()));
            }
            // SAFETY: a descriptor that is not negative is new and ours alone.
            Ok(Signal(unsafe { OwnedFd::from_raw_fd(fd) }))
        }

        pub(super) fn descriptor(&self) -> isize {
            self.0.as_raw_fd() as isize
        }

        pub(super) fn event(&self) -> *mut c_void {
            std::ptr::null_mut()
        }
    }

    impl Readiness for Signal {
        fn set_ready(&self, is_ready: bool) {
            let mut counter: u64 = 1;
            let bytes: *mut u64 = &mut counter;
            let fd = self.0.as_raw_fd();
            // Both fail only with EAGAIN: the descriptor is in the wanted state already.
            // SAFETY: the eight bytes at `bytes` are ours, and the descriptor is open as long as `self` lives.
            unsafe {
                if is_ready {
                    libc::write(fd, bytes.cast(), size_of::<u64>());
                } else {
                    libc::read(fd, bytes.cast(), size_of::<u64>());
                }
            }
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::ffi::c_void;
    use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
    use std::ptr;

    use windows_sys::Win32::System::Threading::{CreateEventW, ResetEvent, SetEvent};

    use super::Readiness;
    use crate::error::{Error, Result};

    /// An event that stays set until it is reset.
    pub(super) struct Signal(OwnedHandle);

    impl Signal {
        /// A signal that is not set.
        pub(super) fn new() -> Result<Signal> {
            const MANUAL_RESET: i32 = 1;
            const INITIALLY_SET: i32 = 0;
            // SAFETY: NULL stands for default security and for no name.
            let event = unsafe { CreateEventW(ptr::null(), MANUAL_RESET, INITIALLY_SET, ptr::null()) };
            if event.is_null() {
                let text = "cannot create an event: the process or the system has no handles left; close some";
                return Err(Error::State(text.into()));
            }
            // SAFETY: the handle is new and ours alone.
            Ok(Signal(unsafe { OwnedHandle::from_raw_handle(event) }))
        }

        pub(super) fn descriptor(&self) -> isize {
            -1
        }

        pub(super) fn event(&self) -> *mut c_void {
            self.0.as_raw_handle()
        }
    }

    impl Readiness for Signal {
        fn set_ready(&self, is_ready: bool) {
            let event = self.0.as_raw_handle();
            // They fail only for a handle that is not an event.
            // SAFETY: the event is open as long as `self` lives.
            unsafe {
                if is_ready {
                    SetEvent(event);
                } else {
                    ResetEvent(event);
                }
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
mod none {
    use std::ffi::c_void;

    use super::Readiness;
    use crate::error::Result;

    /// Other systems have nothing that a program can set and wait on together with its sockets.
    pub(super) struct Signal;

    impl Signal {
        pub(super) fn new() -> Result<Signal> {
            Ok(Signal)
        }

        pub(super) fn descriptor(&self) -> isize {
            -1
        }

        pub(super) fn event(&self) -> *mut c_void {
            std::ptr::null_mut()
        }
    }

    impl Readiness for Signal {
        fn set_ready(&self, _: bool) {}
    }
}
