//! Cancellation: one flag that ends every wait of a client.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::error::{Error, Result};

/// Tells every waiting thread that the client is closed. Clones share one flag.
///
/// Nothing is ever sent over the channel. Dropping its only sender disconnects it, which wakes all receivers at once.
#[derive(Clone)]
pub struct Cancellation {
    sender: Arc<Mutex<Option<Sender<Infallible>>>>,
    receiver: Receiver<Infallible>,
    /// Why the client was cancelled, unless the host closed it.
    reason: Arc<OnceLock<Error>>,
}

impl Default for Cancellation {
    /// A flag that is not set.
    fn default() -> Cancellation {
        let (sender, receiver) = bounded(0);
        Cancellation { sender: Arc::new(Mutex::new(Some(sender))), receiver, reason: Arc::default() }
    }
}

impl Cancellation {
    /// Sets the flag. Returns false if it was already set.
    pub fn cancel(&self) -> bool {
        crate::lock(&self.sender).take().is_some()
    }

    /// Sets the flag; from now on every call of the client fails with `reason`. Returns false if it was already set.
    pub fn cancel_because(&self, reason: Error) -> bool {
        let mut sender = crate::lock(&self.sender);
        if sender.is_some() {
            // Cannot fail: the flag was not set, so no reason was either.
            let _ = self.reason.set(reason);
        }
        sender.take().is_some()
    }

    /// The error of every call once the flag is set: the reason if there is one, otherwise [`Error::Closed`].
    pub fn reason(&self) -> Error {
        self.reason.get().cloned().unwrap_or(Error::Closed)
    }

    /// Whether the flag is set.
    pub fn is_cancelled(&self) -> bool {
        crate::lock(&self.sender).is_none()
    }

    /// Fails with [`Cancellation::reason`] once the flag is set.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(self.reason()) } else { Ok(()) }
    }

    /// Waits for `duration`. Fails with [`Cancellation::reason`] as soon as the flag is set.
    pub fn sleep(&self, duration: Duration) -> Result<()> {
        match self.receiver.recv_timeout(duration) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(self.reason()),
            Ok(never) => match never {},
        }
    }

    /// For `select!`: becomes ready (disconnected) when the flag is set.
    pub fn receiver(&self) -> &Receiver<Infallible> {
        &self.receiver
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn cancelling_ends_every_sleep() {
        let cancel = Cancellation::default();
        assert_eq!(cancel.sleep(Duration::from_millis(1)), Ok(()));
        let waits: Vec<_> = (0..4)
            .map(|_| {
                let cancel = cancel.clone();
                std::thread::spawn(move || cancel.sleep(Duration::from_secs(60)))
            })
            .collect();
        let start = Instant::now();
        assert!(cancel.cancel());
        assert!(!cancel.cancel());
        for wait in waits {
            assert_eq!(wait.join().unwrap(), Err(Error::Closed));
        }
        assert!(start.elapsed() < Duration::from_secs(30));
        assert_eq!(cancel.check(), Err(Error::Closed));
        assert!(!cancel.cancel_because(Error::State("late".into())));
        assert_eq!(cancel.check(), Err(Error::Closed));
    }

    #[test]
    fn calls_fail_with_the_reason() {
        let cancel = Cancellation::default();
        let reason = Error::State("because".into());
        assert!(cancel.cancel_because(reason.clone()));
        assert!(!cancel.cancel());
        assert_eq!(cancel.check(), Err(reason.clone()));
        assert_eq!(cancel.sleep(Duration::from_secs(60)), Err(reason));
    }
}
