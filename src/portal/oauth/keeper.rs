//! Where one client stores its tokens: in its state, and with its host.

use std::sync::Arc;

use super::family::TokenKeeper;
use crate::error::{Error, Result};
use crate::log::{Level, Log};
use crate::state::family::TokenFamily;
use crate::state::store::Store;
use crate::state::tokens::TokenPair;

/// Receives every new pair before it is used, so that the host stores it first.
pub type TokensSink = Arc<dyn Fn(&TokenPair) + Send + Sync>;

/// See the module.
pub struct Keeper {
    store: Arc<Store>,
    host: Option<TokensSink>,
    log: Log,
}

impl Keeper {
    /// Stores tokens in `store` and reports them to `host`.
    pub fn new(store: Arc<Store>, host: Option<TokensSink>, log: Log) -> Keeper {
        Keeper { store, host, log }
    }
}

impl TokenKeeper for Keeper {
    fn reserve_space(&self) -> Result<()> {
        still_open(self.store.reserve_space(0))
    }

    fn store(&self, family: &TokenFamily) -> Result<()> {
        still_open(self.store.set_family(family))
            .inspect_err(|error| self.log.write(Level::Error, || format!("the tokens could not be stored: {error}")))
    }

    fn report(&self, pair: &TokenPair) {
        if let Some(host) = &self.host {
            host(pair);
        }
    }
}

/// A client that has ended stores nothing more; that is no failure of whoever shares its tokens.
fn still_open(stored: Result<()>) -> Result<()> {
    if stored == Err(Error::Closed) { Ok(()) } else { stored }
}
