//! The end of a client: one flag that every wait listens to.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::error::{Error, Result};

/// Tells every waiting thread that the client is closing. Clones share one flag.
///
/// Nothing is ever sent: dropping the only sender disconnects the channel, which wakes all receivers at once.
#[derive(Clone)]
pub struct Closing {
    sender: Arc<Mutex<Option<Sender<Infallible>>>>,
    receiver: Receiver<Infallible>,
    /// Why, when it was not the host who closed.
    reason: Arc<OnceLock<Error>>,
}

impl Default for Closing {
    /// A flag that is not raised.
    fn default() -> Closing {
        let (sender, receiver) = bounded(0);
        Closing { sender: Arc::new(Mutex::new(Some(sender))), receiver, reason: Arc::default() }
    }
}

impl Closing {
    /// Raises the flag; false when it was raised before.
    pub fn close(&self) -> bool {
        crate::lock(&self.sender).take().is_some()
    }

    /// The same, with what every call is to end with from now on.
    pub fn close_because(&self, reason: Error) -> bool {
        let mut sender = crate::lock(&self.sender);
        if sender.is_some() {
            // Set once: this is the first end.
            let _ = self.reason.set(reason);
        }
        sender.take().is_some()
    }

    /// What calls end with once the flag is raised: [`Error::Closed`], or the reason if there is one.
    pub fn end(&self) -> Error {
        self.reason.get().cloned().unwrap_or(Error::Closed)
    }

    /// Whether the flag is raised.
    pub fn is_closed(&self) -> bool {
        crate::lock(&self.sender).is_none()
    }

    /// An error ([`Closing::end`]) once the flag is raised.
    pub fn check(&self) -> Result<()> {
        if self.is_closed() { Err(self.end()) } else { Ok(()) }
    }

    /// Waits for this long, or until the flag is raised, which is an error ([`Closing::end`]).
    pub fn pause(&self, duration: Duration) -> Result<()> {
        match self.receiver.recv_timeout(duration) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(self.end()),
            Ok(never) => match never {},
        }
    }

    /// For `select!`: becomes ready (disconnected) when the flag is raised.
    pub fn receiver(&self) -> &Receiver<Infallible> {
        &self.receiver
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn closing_ends_every_pause() {
        let closing = Closing::default();
        assert_eq!(closing.pause(Duration::from_millis(1)), Ok(()));
        let waits: Vec<_> = (0..4)
            .map(|_| {
                let closing = closing.clone();
                std::thread::spawn(move || closing.pause(Duration::from_secs(60)))
            })
            .collect();
        let start = Instant::now();
        assert!(closing.close());
        assert!(!closing.close());
        for wait in waits {
            assert_eq!(wait.join().unwrap(), Err(Error::Closed));
        }
        assert!(start.elapsed() < Duration::from_secs(30));
        assert_eq!(closing.check(), Err(Error::Closed));
        assert!(!closing.close_because(Error::State("late".into())));
        assert_eq!(closing.check(), Err(Error::Closed));
    }

    #[test]
    fn an_end_with_a_reason_tells_it() {
        let closing = Closing::default();
        let reason = Error::State("because".into());
        assert!(closing.close_because(reason.clone()));
        assert!(!closing.close());
        assert_eq!(closing.check(), Err(reason.clone()));
        assert_eq!(closing.pause(Duration::from_secs(60)), Err(reason));
    }
}
