//! What an object works on: parameters, the client made from them, open batches, the thread of notifications.
//!
//! The lock is held for moments only. Whatever waits works on a client of its own `Arc`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::batches::Batches;
use super::fault::Fault;
use super::notifications::Notifier;
use super::platform::Platform;
use crate::client::{Client, Hooks};
use crate::clock::Timeout;
use crate::config::Config;
use crate::delivery::Batch;
use crate::lock;
use crate::notify::Notification;

/// How long the end of a client waits for calls in other threads, which it has interrupted.
const FAREWELL: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Session(Mutex<State>);

#[derive(Default)]
struct State {
    config: Config,
    client: Option<Arc<Client>>,
    /// Parameters or the state were set since the client was made: the next `Connect` makes another one.
    outdated: bool,
    carried: Carried,
    /// Counters of the last client, once it was closed.
    statistics: String,
    /// `state.dir` of the last client.
    state_dir: String,
    /// Whether 1C has asked for notifications: they go on over a change of parameters.
    notifying: bool,
    /// The object has ended: no call that is still inside makes a client any more.
    over: bool,
    /// How many clients were ended: tells whether one that is being finished is the last one.
    ended: u64,
    batches: Batches,
    notifier: Option<Notifier>,
}

/// What the next client goes on from; nothing when it is empty.
enum Carried {
    /// The property `State` was written.
    Written(String),
    /// The state of the client that was closed last. Not restored into the same `state.dir`: there it is already.
    Kept(String),
}

impl Default for Carried {
    fn default() -> Carried {
        Carried::Kept(String::new())
    }
}

/// A client that was taken out, with its thread of notifications; to be finished when no lock is held.
#[must_use]
struct Ended {
    number: u64,
    client: Option<Arc<Client>>,
    notifier: Option<Notifier>,
}

impl Session {
    pub(super) fn set_parameter(&self, key: &str, value: &str) -> Result<(), Fault> {
        let mut state = lock(&self.0);
        state.config.set(key, value)?;
        state.outdated = true;
        Ok(())
    }

    pub(super) fn parameter(&self, key: &str) -> Result<String, Fault> {
        Ok(lock(&self.0).config.get(key)?)
    }

    pub(super) fn connect(&self, timeout: Timeout, platform: &Arc<Platform>) -> Result<(), Fault> {
        let client = loop {
            let ended = {
                let mut state = lock(&self.0);
                if !state.outdated || state.client.is_none() {
                    break state.client()?;
                }
                // Checked first, so that a mistake in a parameter does not cost the connection that works.
                state.config.settings()?;
                state.end()
            };
            self.finish(ended);
        };
        if lock(&self.0).notifying {
            self.start_notifications(platform)?;
        }
        Ok(client.connect(timeout)?)
    }

    /// The client, made now if there is none.
    pub(super) fn client(&self) -> Result<Arc<Client>, Fault> {
        lock(&self.0).client()
    }

    /// The client for a call that waits, which makes sense with a connection only.
    pub(super) fn connected_client(&self) -> Result<Arc<Client>, Fault> {
        lock(&self.0).client.clone().ok_or(Fault::NotConnected)
    }

    pub(super) fn is_connected(&self) -> bool {
        lock(&self.0).client.as_ref().is_some_and(|client| client.is_connected())
    }

    pub(super) fn disconnect(&self) {
        let ended = {
            let mut state = lock(&self.0);
            state.notifying = false;
            state.end()
        };
        self.finish(ended);
    }

    /// The object begins (`Init`), perhaps once more.
    pub(super) fn begin(&self) {
        lock(&self.0).over = false;
    }

    /// The object ends: a disconnection after which nothing connects any more.
    pub(super) fn end(&self) {
        lock(&self.0).over = true;
        self.disconnect();
    }

    /// Ends every call that waits, and joins the threads.
    fn finish(&self, ended: Ended) {
        if let Some(client) = &ended.client {
            client.close();
        }
        if let Some(notifier) = ended.notifier {
            notifier.stop();
        }
        if let Some(client) = ended.client {
            client.join();
            // Calls in other threads let go of it at once; the next client may need what it holds (`state.dir`).
            let start = Instant::now();
            while Arc::strong_count(&client) > 1 && start.elapsed() < FAREWELL {
                std::thread::sleep(Duration::from_millis(1));
            }
            // Once more: what was under way when it was closed may have brought new tokens.
            let mut state = lock(&self.0);
            if state.client.is_none() && state.ended == ended.number {
                state.keep(&client);
            }
        }
    }

    pub(super) fn start_notifications(&self, platform: &Arc<Platform>) -> Result<(), Fault> {
        if !platform.raise_event_buffer() {
            return Err(Fault::NoEvents);
        }
        let mut state = lock(&self.0);
        let client = state.client.clone().filter(|_| !state.over).ok_or(Fault::NotConnected)?;
        state.notifying = true;
        if state.notifier.as_ref().is_none_or(Notifier::has_ended) {
            // One that has ended is joined at once.
            state.notifier.take().into_iter().for_each(Notifier::stop);
            state.notifier = Some(Notifier::start(client, platform.clone())?);
        }
        Ok(())
    }

    pub(super) fn stop_notifications(&self) {
        let notifier = {
            let mut state = lock(&self.0);
            state.notifying = false;
            state.notifier.take()
        };
        if let Some(notifier) = notifier {
            notifier.stop();
        }
    }

    /// The state of the client, or what the next one will go on from.
    pub(super) fn state(&self) -> String {
        let state = lock(&self.0);
        match (&state.client, &state.carried) {
            (Some(client), _) => client.state(),
            (None, Carried::Written(text) | Carried::Kept(text)) => text.clone(),
        }
    }

    /// `text` is a JSON object or empty.
    pub(super) fn set_state(&self, text: String) {
        let mut state = lock(&self.0);
        // Nothing, or what the living client has told before: it goes on from better.
        let outgrown = |client: &Arc<Client>| text.is_empty() || client.has_outgrown(&text);
        if state.client.as_ref().is_some_and(outgrown) {
            state.carried = Carried::default();
            return;
        }
        state.carried = Carried::Written(text);
        state.outdated = true;
    }

    pub(super) fn statistics(&self) -> String {
        let state = lock(&self.0);
        match &state.client {
            Some(client) => client.stats(),
            None if state.statistics.is_empty() => "{}".into(),
            None => state.statistics.clone(),
        }
    }

    pub(super) fn check_room(&self) -> Result<(), Fault> {
        lock(&self.0).batches.check_room()
    }

    /// Keeps a batch that `client` has brought; returns its id.
    pub(super) fn open(&self, client: &Arc<Client>, batch: Batch) -> Result<String, Fault> {
        let mut state = lock(&self.0);
        if !state.client.as_ref().is_some_and(|current| Arc::ptr_eq(current, client)) {
            // It could not be acknowledged any more; its reservation is part of the state.
            return Err(Fault::Disconnected);
        }
        Ok(state.batches.open(Arc::new(batch)))
    }

    /// A batch that 1C was to get has not reached it: its records come again with the next one.
    pub(super) fn undelivered(&self, id: &str) {
        let (batch, client) = {
            let mut state = lock(&self.0);
            (state.batches.take(id), state.client.clone())
        };
        if let Some(batch) = batch.and_then(Arc::into_inner) {
            batch.redeliver();
        }
        if let Some(client) = client {
            client.give_back(Notification::default());
        }
    }

    /// Works on an open batch, and closes it when all its records are dealt with.
    pub(super) fn settle(&self, id: &str, work: impl FnOnce(&Batch) -> Result<(), Fault>) -> Result<(), Fault> {
        let batch = lock(&self.0).batches.find(id)?;
        work(&batch)?;
        if batch.is_complete() {
            lock(&self.0).batches.close(id);
        }
        Ok(())
    }
}

impl State {
    fn client(&mut self) -> Result<Arc<Client>, Fault> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        if self.over {
            return Err(Fault::Ended);
        }
        let client = Client::new(&self.config, Hooks::default())?;
        let state_dir = self.config.get("state.dir")?;
        let restored = match &self.carried {
            Carried::Kept(_) if !state_dir.is_empty() && state_dir == self.state_dir => "",
            Carried::Kept(text) | Carried::Written(text) => text.as_str(),
        };
        if !restored.is_empty() {
            client.restore(restored)?;
        }
        self.carried = Carried::default();
        self.outdated = false;
        self.state_dir = state_dir;
        Ok(self.client.insert(Arc::new(client)).clone())
    }

    fn end(&mut self) -> Ended {
        let client = self.client.take();
        if let Some(client) = &client {
            self.ended += 1;
            self.keep(client);
        }
        self.batches.close_all();
        Ended { number: self.ended, client, notifier: self.notifier.take() }
    }

    /// Keeps what a client leaves behind, unless a state was written to take its place.
    fn keep(&mut self, client: &Client) {
        self.statistics = client.stats();
        if let Carried::Kept(text) = &mut self.carried {
            *text = client.state();
        }
    }
}
