//! A client takes over the state that it starts from. This may wait for another client that renews the same tokens, so
//! it happens outside of the session's lock, and calls that need the client wait here.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::client::Client;
use crate::error::Result;
use crate::lock;
use crate::threads;

/// The restoration of one client. Clones share it.
#[derive(Clone)]
pub(super) struct Restoration(Arc<Shared>);

struct Shared {
    state: String,
    outcome: Mutex<Option<Result<()>>>,
    ended: Condvar,
}

impl Restoration {
    /// The client has yet to take over `state`. None is needed if it is empty.
    pub(super) fn new(state: String) -> Restoration {
        let outcome = Mutex::new(state.is_empty().then_some(Ok(())));
        Restoration(Arc::new(Shared { state, outcome, ended: Condvar::new() }))
    }

    /// The state that the client has not taken over, or not yet.
    pub(super) fn pending(&self) -> Option<&str> {
        let is_restored = matches!(*lock(&self.0.outcome), Some(Ok(())));
        (!is_restored).then_some(self.0.state.as_str())
    }

    /// Whether it has still to be run.
    pub(super) fn is_open(&self) -> bool {
        lock(&self.0.outcome).is_none()
    }

    /// Has the client take over the state. Called once, if [`Restoration::is_open`]. Closing the client ends it.
    pub(super) fn run(&self, client: &Client) -> Result<()> {
        let outcome = threads::catch(|| client.restore(&self.0.state)).and_then(|outcome| outcome);
        *lock(&self.0.outcome) = Some(outcome.clone());
        self.0.ended.notify_all();
        outcome
    }

    /// Waits for the outcome.
    pub(super) fn wait(&self) -> Result<()> {
        let outcome = lock(&self.0.outcome);
        let ended = self.0.ended.wait_while(outcome, |outcome| outcome.is_none());
        ended.unwrap_or_else(PoisonError::into_inner).clone().unwrap_or(Ok(()))
    }
}
