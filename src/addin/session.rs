//! What an object works on: parameters, the client made from them, open batches, the notifier.
//!
//! The lock is held for moments only. A call that waits has entered the client, and holds no lock.

use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::batches::Batches;
use super::call_gate::{CallGate, CallGuard};
use super::error::AddinError;
use super::notifications::Notifier;
use super::platform::Platform;
use super::restoration::Restoration;
use crate::client::{Client, Hooks};
use crate::clock::Timeout;
use crate::config::Config;
use crate::delivery::Batch;
use crate::lock;
use crate::notify::Notification;

/// How long the end of a client waits for calls in other threads, which it has interrupted.
const CALLS_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Session(Mutex<State>);

#[derive(Default)]
struct State {
    config: Config,
    client: Option<ActiveClient>,
    /// Parameters or the state were set since the client was made: the next `Connect` makes another one.
    outdated: bool,
    next_state: NextState,
    /// Counters of the last client, once it was closed.
    statistics: String,
    /// `state.dir` of the last client.
    state_dir: String,
    /// Whether 1C has enabled notifications: they stay enabled when parameters change.
    notifications_enabled: bool,
    /// `Done` was called: no call that is still inside makes a new client.
    done: bool,
    /// How many clients were detached: tells whether one that is being closed is the last one.
    detached: u64,
    batches: Batches,
    notifier: Option<Notifier>,
}

/// A client, and the calls that use it.
#[derive(Clone)]
struct ActiveClient {
    client: Arc<Client>,
    calls: CallGate,
    restoration: Restoration,
}

/// A call that has entered a client which may still have to take over its state.
#[must_use]
struct Entered {
    call: ClientCall,
    restoration: Restoration,
    /// Whether this call has to do that. Others wait for it.
    restores: bool,
}

/// A call that uses a client. The end of the client waits until this is dropped.
pub(super) struct ClientCall {
    client: Arc<Client>,
    _guard: CallGuard,
}

impl Deref for ClientCall {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// The state that the next client starts from; none when it is empty.
enum NextState {
    /// The property `State` was assigned.
    Assigned(String),
    /// The state of the client that was closed last. Not restored when `state.dir` is the same: the folder has it.
    Inherited(String),
}

impl Default for NextState {
    fn default() -> NextState {
        NextState::Inherited(String::new())
    }
}

/// A client that is no longer in use, with its notifier; to be closed when no lock is held.
#[must_use]
struct Detached {
    number: u64,
    client: Option<ActiveClient>,
    notifier: Option<Notifier>,
}

impl Session {
    pub(super) fn set_parameter(&self, key: &str, value: &str) -> Result<(), AddinError> {
        let mut state = lock(&self.0);
        state.config.set(key, value)?;
        state.outdated = true;
        Ok(())
    }

    pub(super) fn parameter(&self, key: &str) -> Result<String, AddinError> {
        Ok(lock(&self.0).config.get(key)?)
    }

    /// Where the application of the present parameters is authorized.
    pub(super) fn authorization_address(&self) -> Result<String, AddinError> {
        let settings = lock(&self.0).config.settings()?;
        Ok(settings.authorization_address("")?)
    }

    pub(super) fn connect(&self, timeout: Timeout, platform: &Arc<Platform>) -> Result<(), AddinError> {
        let entered = loop {
            let detached = {
                let mut state = lock(&self.0);
                if !state.outdated || state.client.is_none() {
                    break state.client()?;
                }
                // Checked first, so that a mistake in a parameter does not cost the connection that works.
                state.config.settings()?;
                state.detach()
            };
            self.close(detached);
        };
        let client = self.restored(entered)?;
        let connected = client.connect(timeout);
        // Not earlier: there was nothing to wait for. A client that was not connected in time keeps trying.
        if client.is_listening() && lock(&self.0).notifications_enabled {
            self.enable_notifications(platform)?;
        }
        Ok(connected?)
    }

    /// The client, made now if there is none.
    pub(super) fn client(&self) -> Result<ClientCall, AddinError> {
        let entered = lock(&self.0).client()?;
        self.restored(entered)
    }

    /// The client once it has taken over its state. Called without the lock.
    fn restored(&self, entered: Entered) -> Result<ClientCall, AddinError> {
        let Entered { call, restoration, restores } = entered;
        if !restores {
            restoration.wait()?;
            return Ok(call);
        }
        let Err(error) = restoration.run(&call) else { return Ok(call) };
        let detached = {
            let mut state = lock(&self.0);
            // Not if another call has closed it.
            let is_current = state.client.as_ref().is_some_and(|active| Arc::ptr_eq(&active.client, &call.client));
            is_current.then(|| state.detach())
        };
        // The end of the client waits for its calls.
        drop(call);
        if let Some(detached) = detached {
            self.close(detached);
        }
        Err(error.into())
    }

    /// The client for a call that waits, which makes sense with a connection only.
    pub(super) fn connected_client(&self) -> Result<ClientCall, AddinError> {
        lock(&self.0).client.as_ref().map(ActiveClient::enter).ok_or(AddinError::NotConnected)
    }

    pub(super) fn is_connected(&self) -> bool {
        lock(&self.0).client.as_ref().is_some_and(|active| active.client.is_connected())
    }

    pub(super) fn disconnect(&self) {
        let detached = {
            let mut state = lock(&self.0);
            state.notifications_enabled = false;
            state.detach()
        };
        self.close(detached);
    }

    /// `Init`, possibly for a second time.
    pub(super) fn begin(&self) {
        lock(&self.0).done = false;
    }

    /// `Done`: disconnects, and nothing connects afterwards.
    pub(super) fn end(&self) {
        lock(&self.0).done = true;
        self.disconnect();
    }

    /// Ends every call that waits, and joins the threads.
    fn close(&self, detached: Detached) {
        if let Some(active) = &detached.client {
            active.client.close();
        }
        if let Some(notifier) = detached.notifier {
            notifier.stop();
        }
        if let Some(active) = detached.client {
            active.client.join();
            // Calls in other threads return at once; what they brought belongs into the state.
            active.calls.wait_until_empty(CALLS_TIMEOUT);
            let mut state = lock(&self.0);
            if state.client.is_none() && state.detached == detached.number {
                // For the second time: a call that was under way may have brought new tokens.
                state.inherit(&active);
            }
        }
    }

    pub(super) fn enable_notifications(&self, platform: &Arc<Platform>) -> Result<(), AddinError> {
        if !platform.raise_event_buffer() {
            return Err(AddinError::NoExternalEvents);
        }
        let mut state = lock(&self.0);
        let active = state.client.clone().filter(|_| !state.done).ok_or(AddinError::NotConnected)?;
        state.notifications_enabled = true;
        if state.notifier.as_ref().is_none_or(Notifier::is_finished) {
            // Joining a thread that has finished takes no time.
            state.notifier.take().into_iter().for_each(Notifier::stop);
            state.notifier = Some(Notifier::start(active.client, platform.clone())?);
        }
        Ok(())
    }

    pub(super) fn disable_notifications(&self) {
        let notifier = {
            let mut state = lock(&self.0);
            state.notifications_enabled = false;
            state.notifier.take()
        };
        if let Some(notifier) = notifier {
            notifier.stop();
        }
    }

    /// The state of the client, or the one that the next client starts from.
    pub(super) fn state(&self) -> String {
        let state = lock(&self.0);
        match (&state.client, &state.next_state) {
            (Some(active), _) => active.state(),
            (None, NextState::Assigned(text) | NextState::Inherited(text)) => text.clone(),
        }
    }

    /// `text` is a JSON object or empty.
    pub(super) fn set_state(&self, text: String) {
        let mut state = lock(&self.0);
        // An empty text, or an earlier state of this client: what the client itself has is newer.
        let is_newer = |active: &ActiveClient| text.is_empty() || active.client.has_outgrown(&text);
        if state.client.as_ref().is_some_and(is_newer) {
            state.next_state = NextState::default();
            return;
        }
        state.next_state = NextState::Assigned(text);
        state.outdated = true;
    }

    pub(super) fn statistics(&self) -> String {
        let state = lock(&self.0);
        match &state.client {
            Some(active) => active.client.stats(),
            None if state.statistics.is_empty() => "{}".into(),
            None => state.statistics.clone(),
        }
    }

    pub(super) fn check_batch_limit(&self) -> Result<(), AddinError> {
        lock(&self.0).batches.check_limit()
    }

    /// Adds a batch that `client` has fetched to the open ones; returns its id.
    pub(super) fn open_batch(&self, client: &ClientCall, batch: Arc<Batch>) -> Result<String, AddinError> {
        let mut state = lock(&self.0);
        if !state.client.as_ref().is_some_and(|active| Arc::ptr_eq(&active.client, &client.client)) {
            // Nobody could acknowledge it; its reservation is part of the state.
            return Err(AddinError::Disconnected);
        }
        Ok(state.batches.add(batch))
    }

    /// Takes back a batch that did not reach 1C: its records are redelivered with the next fetch.
    pub(super) fn return_batch(&self, id: &str) {
        let (batch, active) = {
            let mut state = lock(&self.0);
            (state.batches.remove(id), state.client.clone())
        };
        if let Some(batch) = batch.and_then(Arc::into_inner) {
            batch.redeliver();
        }
        if let Some(active) = active {
            active.client.give_back(Notification::default());
        }
    }

    /// An open batch.
    pub(super) fn batch(&self, id: &str) -> Result<Arc<Batch>, AddinError> {
        lock(&self.0).batches.find(id)
    }

    /// Works on an open batch, and closes it when no record is left in it.
    pub(super) fn update_batch(
        &self,
        id: &str,
        update: impl FnOnce(&Batch) -> Result<(), AddinError>,
    ) -> Result<(), AddinError> {
        let batch = self.batch(id)?;
        update(&batch)?;
        if batch.is_complete() {
            lock(&self.0).batches.remove(id);
        }
        Ok(())
    }
}

impl ActiveClient {
    fn enter(&self) -> ClientCall {
        ClientCall { client: self.client.clone(), _guard: self.calls.enter() }
    }

    fn state(&self) -> String {
        self.restoration.pending().map_or_else(|| self.client.state(), str::to_owned)
    }
}

impl State {
    /// Enters the client, made now if there is none.
    fn client(&mut self) -> Result<Entered, AddinError> {
        if let Some(active) = &self.client {
            return Ok(Entered { call: active.enter(), restoration: active.restoration.clone(), restores: false });
        }
        if self.done {
            return Err(AddinError::Done);
        }
        let client = Client::new(&self.config, Hooks::default())?;
        let state_dir = self.config.get("state.dir")?;
        let start = match &self.next_state {
            NextState::Inherited(_) if !state_dir.is_empty() && state_dir == self.state_dir => "",
            NextState::Inherited(text) | NextState::Assigned(text) => text.as_str(),
        };
        let restoration = Restoration::new(start.to_owned());
        self.next_state = NextState::default();
        self.outdated = false;
        self.state_dir = state_dir;
        let active =
            ActiveClient { client: Arc::new(client), calls: CallGate::default(), restoration: restoration.clone() };
        let restores = restoration.is_open();
        Ok(Entered { call: self.client.insert(active).enter(), restoration, restores })
    }

    fn detach(&mut self) -> Detached {
        let active = self.client.take();
        if let Some(active) = &active {
            self.detached += 1;
            self.inherit(active);
        }
        self.batches.clear();
        Detached { number: self.detached, client: active, notifier: self.notifier.take() }
    }

    /// Takes over what a client leaves behind, unless a state was assigned to replace it.
    fn inherit(&mut self, active: &ActiveClient) {
        self.statistics = active.client.stats();
        if matches!(self.next_state, NextState::Inherited(_)) {
            self.next_state = match active.restoration.pending() {
                // The next client takes it over, whatever its `state.dir` holds.
                Some(text) => NextState::Assigned(text.to_owned()),
                None => NextState::Inherited(active.client.state()),
            };
        }
    }
}

#[cfg(test)]
mod tests;
