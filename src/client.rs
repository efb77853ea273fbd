//! The client: what every door calls.

mod diagnosis;
mod fetch;
mod fetch_pace;
mod setup;
mod shutdown;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::{Deadline, Timeout};
use crate::config::Source;
use crate::context::Context;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::handler::Handler;
use crate::handler::receiver::Receiver;
use crate::lock;
use crate::log::{Level, LogSink};
use crate::notify::{Doorbell, Notification, Readiness};
use crate::portal::oauth::TokensSink;
use crate::portal::{Portal, Repeat, refusal};
use crate::push::listener::Listener;
use crate::secret::Secret;
use crate::state::store::Store;
use crate::state::tokens::TokenPair;
use diagnosis::Diagnosis;
use fetch_pace::FetchPace;
use shutdown::Shutdown;

/// Callbacks of the host.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Receives log lines.
    pub log: Option<LogSink>,
    /// Receives new tokens.
    pub tokens: Option<TokensSink>,
}

/// One application on one portal. Every method may be called from any thread. Those that block say so.
pub struct Client {
    portal: Arc<Portal>,
    source: Source,
    listener: Arc<Listener>,
    handler: Arc<Handler>,
    receiver: Receiver,
    shutdown: Shutdown,
    doorbell: Arc<Doorbell>,
    delivery: Arc<Delivery>,
    store: Arc<Store>,
    fetch_pace: Mutex<FetchPace>,
    diagnosis: Diagnosis,
    ctx: Context,
}

impl Client {
    /// The connector id of this client's queue, `""` for the queue without one.
    pub fn connector_id(&self) -> &str {
        self.portal.connector_id()
    }

    /// Checks that the application can receive events, and starts what `source` names. When this succeeds, the handler's
    /// port is open and the subscription to the push server is active. An application without tokens subscribes later,
    /// when its installation brings them.
    pub fn connect(&self, timeout: Timeout) -> Result<()> {
        let deadline = timeout.deadline(self.ctx.clock.now());
        if !self.is_connected() && self.portal.has_token() {
            self.check_application(deadline)?;
        }
        if self.source != Source::Push && self.receiver.start()? && self.portal.has_token() {
            // Records that were queued before.
            self.doorbell.ring_unsignalled();
        }
        if self.source == Source::Handler || (self.source == Source::Both && !self.portal.has_token()) {
            return Ok(());
        }
        self.listener.connect(deadline.timeout(self.ctx.clock.now())).map_err(|error| match error {
            Error::Closed => self.ctx.cancel.reason(),
            error => error,
        })
    }

    /// Finds what would silently keep events from coming. A check that fails itself does not stop `connect`: what follows
    /// works, or says the same.
    fn check_application(&self, deadline: Deadline) -> Result<()> {
        let now = self.ctx.clock.now();
        let time = (deadline.left(now) / 2).min(MAX_CHECK_TIME);
        if time.is_zero() {
            return Ok(());
        }
        let checked = self.portal.check_application(self.source != Source::Handler, Deadline::after(time, now));
        self.ctx.cancel.check()?;
        let checked = checked.map(|checked| {
            if let Some(bindings) = &checked.bindings {
                self.handler.bindings().seen(bindings);
            }
            checked.obstacle
        });
        let (level, error) = match checked {
            Ok(None) => return Ok(()),
            // The handler may be what the installation waits for.
            Ok(Some(error)) if error.code() == refusal::NOT_INSTALLED && self.source != Source::Push => {
                (Level::Warning, error)
            }
            Ok(Some(error)) => return Err(error),
            Err(error) => (Level::Debug, error),
        };
        self.ctx.log.write(level, || format!("the check of the application: {error}"));
        Ok(())
    }

    /// Whether everything that [`Client::connect`] starts is active now.
    pub fn is_connected(&self) -> bool {
        let is_pushed = self.source == Source::Handler || self.listener.is_subscribed();
        let is_called = self.source == Source::Push || self.receiver.is_running();
        is_pushed && is_called
    }

    /// Binds the handler (`event.bind`): from now on the portal calls `url` at most once in `min_timeout_s` seconds,
    /// and no other address of this application. Blocks for a few REST calls.
    pub fn bind_handler(&self, url: &str, min_timeout_s: u32) -> Result<()> {
        self.handler.bindings().bind_handler(url, min_timeout_s)
    }

    /// Unbinds the handler (`event.unbind`): the portal no longer calls `url`, or any address of this application
    /// when it is `None`. Blocks for a few REST calls.
    pub fn unbind_handler(&self, url: Option<&str>) -> Result<()> {
        self.handler.bindings().unbind_handler(url)
    }

    /// Accepts a call of the portal that arrived at a web server of the host. Returns the HTTP status to answer with.
    /// Blocks for a REST call when the application is being installed.
    pub fn accept_handler_call(&self, body: &[u8], content_type: &str) -> Result<u16> {
        self.ctx.cancel.check()?;
        Ok(self.handler.accept(body, content_type))
    }

    /// Binds an event (`event.bind`): from now on changes of this kind go into the queue. Blocks for a REST call.
    pub fn bind_event(&self, event: &str) -> Result<()> {
        self.handler.bindings().bind_event(event_name(event)?)
    }

    /// Unbinds an event (`event.unbind`). Blocks for a REST call.
    pub fn unbind_event(&self, event: &str) -> Result<()> {
        self.handler.bindings().unbind_event(event_name(event)?)
    }

    /// Waits for the next notification. Returns `None` when the time is over.
    pub fn wait(&self, timeout: Timeout) -> Result<Option<Notification>> {
        self.ctx.cancel.check()?;
        if !self.is_listening() {
            return Err(self.not_listening());
        }
        self.doorbell.wait(timeout)
    }

    /// Whether the client does what `source` names, or keeps trying to.
    pub fn is_listening(&self) -> bool {
        self.listener.is_listening() || self.receiver.is_running()
    }

    /// Tokens and pending batches as JSON, for [`Client::restore`] of the next client. Holds secrets on purpose.
    /// Works on a closed client too.
    pub fn state(&self) -> String {
        self.store.to_json(&self.portal.token_family())
    }

    /// Continues from what [`Client::state`] returned: its pending batches are redelivered first. Its tokens are used
    /// unless the configured ones are newer.
    pub fn restore(&self, json: &str) -> Result<()> {
        let family = self.store.restore(json)?;
        self.continue_after(self.portal.restore_tokens(family))
    }

    /// Whether a state holds tokens that this client has now or had before, and no records that only it may hold. Then the
    /// client knows everything in it, or something newer.
    pub fn has_outgrown(&self, state: &str) -> bool {
        #[derive(serde::Deserialize)]
        struct Outline {
            tokens: Tokens,
            #[serde(default)]
            removed: Vec<serde::de::IgnoredAny>,
        }
        #[derive(serde::Deserialize)]
        struct Tokens {
            access_token: Secret,
        }
        let outline = serde_json::from_str::<Outline>(state);
        outline.is_ok_and(|outline| outline.removed.is_empty() && self.portal.knows_token(&outline.tokens.access_token))
    }

    /// Returns a notification that could not be used, so that it is not lost.
    pub fn give_back(&self, notification: Notification) {
        self.doorbell.give_back(notification);
    }

    /// Calls a REST method. Returns the portal's whole answer. Blocks for at most `http.timeout_ms`.
    pub fn call(&self, method: &str, params_json: &str) -> Result<String> {
        self.portal.call_json(method, params_json, Repeat::No).map(|answer| answer.into_text())
    }

    /// Runs up to 50 calls in one request, see [`Portal::call_batch`]. Blocks for at most `http.timeout_ms`.
    pub fn call_batch(&self, calls_json: &str, halt: bool) -> Result<String> {
        self.portal.call_batch(calls_json, halt)
    }

    /// Exchanges an authorization code, which is valid for 30 s, for the first pair of tokens, then stores and uses it.
    /// Blocks for one request.
    pub fn authorize(&self, code: &str) -> Result<()> {
        self.continue_after(self.portal.authorize(code))
    }

    /// Uses these tokens from now on. For hosts that renew tokens themselves (`auth.renew=host`), and for an
    /// application that was authorized again. `expires` is in seconds since 1970, 0 when not known.
    pub fn set_tokens(&self, access: &str, refresh: &str, expires: u64) -> Result<()> {
        if access.is_empty() {
            return Err(Error::InvalidArgument("the access token is empty; pass the new access token".into()));
        }
        let (access, refresh) = (Secret::new(access), Secret::new(refresh));
        self.continue_after(
            self.portal.present_tokens(TokenPair { access, refresh, expires, ..TokenPair::none() }, true),
        )
    }

    /// Rings after the host has provided what a fetch may have lacked. Tokens that cannot be stored are used all the
    /// same.
    fn continue_after(&self, provided: Result<()>) -> Result<()> {
        lock(&self.fetch_pace).reset();
        if self.portal.has_token() {
            self.doorbell.ring_unsignalled();
        }
        provided
    }

    /// Counters and state as a JSON object. Holds no secrets.
    pub fn stats(&self) -> String {
        let mut json = self.ctx.stats.to_json();
        json.insert("subscribed".into(), self.is_connected().into());
        json.insert("closed".into(), self.ctx.cancel.is_cancelled().into());
        json.insert("handler_address".into(), self.shutdown.port.address().map(|address| address.to_string()).into());
        json.insert("operating".into(), self.portal.operating());
        let reason = Some(self.ctx.cancel.reason()).filter(|_| self.ctx.cancel.is_cancelled());
        let last_error = reason.or(self.listener.last_error()).filter(|error| *error != Error::Closed);
        json.insert("last_error".into(), last_error.map(|error| error.to_string()).into());
        serde_json::Value::Object(json).to_string()
    }

    /// Finds out why events do not come: checks everything from the network to the queue, and changes nothing, except that
    /// an expired token is renewed as in any call. Returns a report as JSON, in English and Russian, without secrets. Works
    /// without tokens and without a connection. Blocks for at most `timeout`; what was not checked by then is skipped.
    pub fn diagnose(&self, timeout: Timeout) -> Result<String> {
        self.diagnosis.run(timeout)
    }

    /// Where an administrator authorizes the application in a browser. The address in the application's settings then gets
    /// `code`, for [`Client::authorize`], and `state`, if it is not empty.
    pub fn authorization_address(&self, state: &str) -> Result<String> {
        self.diagnosis.settings().authorization_address(state)
    }

    /// From now on `readiness` shows whether a notification is pending.
    pub fn set_readiness(&self, readiness: Arc<dyn Readiness>) {
        self.doorbell.set_readiness(readiness);
    }

    /// Whether the client was closed, by [`Client::close`] or because the application was uninstalled.
    pub fn is_closed(&self) -> bool {
        self.ctx.cancel.is_cancelled()
    }

    /// Ends every blocked call with [`Error::Closed`] and interrupts every request. Does not wait for the threads to
    /// end; dropping the client does. Closing again does nothing.
    pub fn close(&self) {
        if self.ctx.cancel.cancel() {
            self.shutdown.wake();
            self.ctx.log.write(Level::Info, || "closed".into());
        }
    }

    /// Waits until the client's threads have ended, and callbacks on other threads have returned; none is called
    /// afterwards. Call it after [`Client::close`]. It returns at once unless a name is being resolved or a connection
    /// opened, which the system does not let us interrupt.
    pub fn join(&self) {
        self.listener.join();
        self.receiver.join();
        self.diagnosis.join();
        // The answer to a renewal must not get lost, and the state must not be released before it is stored.
        self.portal.end_tokens();
        self.store.release();
        // Calls that are blocked in other threads may go on for a moment, but the host hears nothing of them.
        self.ctx.log.end(MAX_LOG_LINE);
    }

    fn not_listening(&self) -> Error {
        self.listener.last_error().unwrap_or(Error::NotConnected)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
        self.join();
    }
}

/// The maximum time of the check with which `connect` begins; half of its timeout, if that is less.
const MAX_CHECK_TIME: Duration = Duration::from_secs(10);
/// How long ending a client waits for a log callback on another thread.
const MAX_LOG_LINE: Duration = Duration::from_secs(20);

fn event_name(event: &str) -> Result<&str> {
    let plain = !event.is_empty() && event.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:.\\".contains(&byte));
    if plain {
        Ok(event)
    } else {
        let text =
            "the event name is empty or holds a character that no event name has; pass a name such as ONCRMDEALADD";
        Err(Error::InvalidArgument(text.into()))
    }
}
