//! One client reserves records in one call at a time.
//!
//! The portal selects records and then marks them, with nothing in between (docs/protocol.md §2.2): two calls at the
//! same moment can get the same records. Calls of other clients cannot be helped, those of our own threads can.

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::cancel::Cancellation;
use crate::clock::{Clock, Deadline};
use crate::error::Result;

/// Hands out the turn to reserve.
pub(super) struct Reserving {
    /// Holds the turn while nobody has it.
    turn: (Sender<()>, Receiver<()>),
}

/// The right to make a call that reserves records; ends when dropped.
pub struct Turn(Sender<()>);

impl Drop for Turn {
    fn drop(&mut self) {
        // There is room for it: it was taken out before.
        let _ = self.0.try_send(());
    }
}

impl Reserving {
    pub(super) fn new() -> Reserving {
        let (sender, receiver) = bounded(1);
        // There is room: the channel is new.
        let _ = sender.send(());
        Reserving { turn: (sender, receiver) }
    }

    /// Waits for the turn; `None` if others have it until the deadline.
    pub(super) fn turn(&self, deadline: Deadline, clock: &dyn Clock, cancel: &Cancellation) -> Result<Option<Turn>> {
        cancel.check()?;
        if let Some(turn) = self.try_turn() {
            return Ok(Some(turn));
        }
        select! {
            recv(self.turn.1) -> _ => Ok(Some(Turn(self.turn.0.clone()))),
            recv(cancel.receiver()) -> _ => Err(cancel.reason()),
            default(deadline.left(clock.now())) => Ok(None),
        }
    }

    /// The turn, if nobody has it.
    pub(super) fn try_turn(&self) -> Option<Turn> {
        self.turn.1.try_recv().ok().map(|()| Turn(self.turn.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemClock, Timeout};
    use crate::error::Error;
    use std::time::Duration;

    #[test]
    fn one_has_the_turn_and_the_others_wait() {
        let (reserving, cancel) = (Reserving::new(), Cancellation::default());
        let within = |timeout: Timeout| reserving.turn(timeout.deadline(SystemClock.now()), &SystemClock, &cancel);
        let turn = within(Timeout::After(Duration::ZERO)).unwrap().unwrap();
        assert!(reserving.try_turn().is_none());
        assert!(within(Timeout::After(Duration::from_millis(1))).unwrap().is_none(), "the time is over");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| within(Timeout::Never).map(|turn| turn.is_some()));
            drop(turn);
            assert_eq!(waiting.join().unwrap(), Ok(true));
        });
        let _turn = reserving.try_turn().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| within(Timeout::Never).map(drop));
            cancel.cancel();
            assert_eq!(waiting.join().unwrap(), Err(Error::Closed));
        });
        assert_eq!(within(Timeout::After(Duration::ZERO)).map(drop), Err(Error::Closed));
    }
}
