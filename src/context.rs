//! What all parts of a client share.

use std::sync::Arc;

use crate::cancel::Cancellation;
use crate::clock::Clock;
use crate::log::Log;
use crate::stats::Stats;

/// The context of one client. Clones share it.
#[derive(Clone)]
pub struct Context {
    /// Source of time and randomness.
    pub clock: Arc<dyn Clock>,
    /// Ends every wait of the client.
    pub cancel: Cancellation,
    /// The host's log.
    pub log: Log,
    /// The client's counters.
    pub stats: Arc<Stats>,
}
