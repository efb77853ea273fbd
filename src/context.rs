//! What every room below the client shares.

use std::sync::Arc;

use crate::cancel::Cancellation;
use crate::clock::Clock;
use crate::log::Log;
use crate::stats::Stats;

/// The context of one client; clones share it.
#[derive(Clone)]
pub struct Context {
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    /// Ends every wait of the client.
    pub cancel: Cancellation,
    /// The host's log.
    pub log: Log,
    /// The client's counters.
    pub stats: Arc<Stats>,
}
