//! Where one client stores its tokens: in its state, and with its host.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::family::TokenKeeper;
use crate::error::{Error, Result};
use crate::lock;
use crate::log::{Level, Log};
use crate::state::family::TokenFamily;
use crate::state::store::Store;
use crate::state::tokens::TokenPair;

/// Receives every new pair before it is used, so that the host stores it first.
pub type TokensSink = Arc<dyn Fn(&TokenPair) + Send + Sync>;

/// See the module.
pub struct Keeper {
    store: Arc<Store>,
    host: Mutex<Host>,
    /// Notified when a report has ended.
    reported: Condvar,
    log: Log,
}

struct Host {
    /// `None` once the client has ended.
    sink: Option<TokensSink>,
    /// Reports under way.
    reports: usize,
}

impl Keeper {
    /// Stores tokens in `store` and reports them to `host`.
    pub fn new(store: Arc<Store>, host: Option<TokensSink>, log: Log) -> Keeper {
        Keeper { store, host: Mutex::new(Host { sink: host, reports: 0 }), reported: Condvar::new(), log }
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
        let Some(_report) = Report::begin(self) else { return };
        // Not under the lock: the host may close the client from inside.
        let sink = lock(&self.host).sink.clone();
        if let Some(sink) = sink {
            sink(pair);
        }
    }

    fn storage_key(&self) -> Option<String> {
        self.store.storage_key()
    }

    fn store_after_end(&self, family: &TokenFamily) -> Result<bool> {
        self.store.set_family_after_end(family).inspect_err(|error| {
            self.log.write(Level::Error, || format!("the tokens could not be stored for the next client: {error}"));
        })
    }

    fn end(&self, max: Duration) {
        let mut host = lock(&self.host);
        host.sink = None;
        drop(
            self.reported
                .wait_timeout_while(host, max, |host| host.reports > 0)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

/// A report to the host that is under way.
struct Report<'a>(&'a Keeper);

impl Report<'_> {
    fn begin(keeper: &Keeper) -> Option<Report<'_>> {
        let mut host = lock(&keeper.host);
        host.sink.as_ref()?;
        host.reports += 1;
        Some(Report(keeper))
    }
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        lock(&self.0.host).reports -= 1;
        self.0.reported.notify_all();
    }
}

/// A client that has ended stores nothing more; that is no failure of whoever shares its tokens.
fn still_open(stored: Result<()>) -> Result<()> {
    if stored == Err(Error::Closed) { Ok(()) } else { stored }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::state::store::Identity;

    #[test]
    fn after_its_end_the_host_is_not_called_and_no_call_is_under_way() {
        let (entered, enter) = channel();
        let (leave, left) = channel::<()>();
        let left = Mutex::new(left);
        let calls = Arc::new(Mutex::new(0));
        let counted = calls.clone();
        let host: TokensSink = Arc::new(move |_| {
            entered.send(()).unwrap();
            lock(&left).recv().unwrap();
            *lock(&counted) += 1;
        });
        let store = Arc::new(Store::new(None, Identity::default()).unwrap());
        let keeper = Keeper::new(store, Some(host), Log::default());
        std::thread::scope(|scope| {
            scope.spawn(|| keeper.report(&TokenPair::none()));
            enter.recv().unwrap();
            let end = scope.spawn(|| {
                keeper.end(Duration::from_secs(60));
                *lock(&calls)
            });
            leave.send(()).unwrap();
            assert_eq!(end.join().unwrap(), 1, "the end waited for the call");
        });
        keeper.report(&TokenPair::none());
        assert_eq!(*lock(&calls), 1);
    }
}
