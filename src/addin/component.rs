//! One object of the class: its parts and its life.

use std::ffi::c_void;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::call_gate::CallGate;
use super::error::AddinError;
use super::platform::Platform;
use super::session::Session;
use crate::lock;
use crate::process::Process;

/// How long the end of an object waits for calls in other threads. They are interrupted and return at once, unless the
/// system is resolving a name or opening a connection for them.
const CALLS_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Component {
    pub(super) platform: Arc<Platform>,
    pub(super) session: Session,
    /// Calls of the platform that are inside the object.
    pub(super) calls: CallGate,
    phase: Mutex<Phase>,
    /// Where the object was made.
    process: Process,
}

/// Where the object is between `Init` and `Done`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Usable. A new object is usable too: hosts read names, and set parameters, before `Init`.
    #[default]
    Open,
    /// `Init` has failed.
    InitFailed,
    /// `Done` was called.
    Done,
}

impl Component {
    /// Whether the object came with a `fork` from the parent of this process. Its locks may be locked for ever then, and
    /// its sockets and files are the parent's: nothing of it may be touched, not even to free it.
    pub(super) fn is_of_parent(&self) -> bool {
        !self.process.is_current()
    }

    /// `Init`.
    ///
    /// # Safety
    ///
    /// As [`Platform::connect`].
    pub(super) unsafe fn init(&self, connection: *mut c_void) -> bool {
        // SAFETY: the same contract.
        let connected = unsafe { self.platform.connect(connection) };
        if connected {
            self.session.begin();
            *lock(&self.phase) = Phase::Open;
        } else {
            *lock(&self.phase) = Phase::InitFailed;
            // There is no platform to report it to, but `LastError` has it.
            self.platform.set_last_error(&AddinError::InitFailed);
        }
        connected
    }

    /// Whether calls are allowed. Ask from inside [`Component::calls`], so that `Done` waits for what follows.
    pub(super) fn check_phase(&self) -> Result<(), AddinError> {
        match *lock(&self.phase) {
            Phase::Open => Ok(()),
            Phase::InitFailed => Err(AddinError::InitFailed),
            Phase::Done => Err(AddinError::Done),
        }
    }

    /// `Done`, and the end: afterwards no thread is left, no call is inside, and the platform is not touched. A second
    /// call does nothing.
    pub(super) fn end(&self) {
        *lock(&self.phase) = Phase::Done;
        self.session.end();
        self.calls.wait_until_empty(CALLS_TIMEOUT);
        self.platform.disconnect(CALLS_TIMEOUT);
    }

    /// Runs a call of 1C and reports its error to the platform and to `LastError`. True when it succeeded.
    pub(super) fn run(&self, work: impl FnOnce() -> Result<(), AddinError>) -> bool {
        match self.check_phase().and_then(|()| work()) {
            Ok(()) => {
                self.platform.clear_last_error();
                true
            }
            Err(error) => {
                self.platform.report(&error);
                false
            }
        }
    }
}
