//! The client: what every door calls.

mod fetch_pace;
mod shutdown;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::cancel::Cancellation;
use crate::clock::{Clock, Deadline, SystemClock, Timeout};
use crate::config::{Config, Settings, Source};
use crate::context::Context;
use crate::delivery::{Batch, Delivery};
use crate::error::{Error, Result};
use crate::handler::Handler;
use crate::handler::port::Port;
use crate::handler::receiver::Receiver;
use crate::lock;
use crate::log::Level;
use crate::log::{Log, LogSink};
use crate::notify::{Doorbell, Notification, Readiness};
use crate::portal::oauth::{AuthServer, Keeper, Tokens, TokensSetup, TokensSink};
use crate::portal::{Portal, Repeat, refusal};
use crate::push::listener::Listener;
use crate::secret::Secret;
use crate::state::storage::Storage;
use crate::state::store::{Identity, Store};
use crate::state::tokens::TokenPair;
use crate::state::tokens_file::TokensFile;
use crate::state::{PortalName, PrivateFile};
use crate::stats::Stats;
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
    ctx: Context,
}

impl Client {
    /// Checks the configuration. Does not use the network.
    pub fn new(config: &Config, hooks: Hooks) -> Result<Client> {
        Client::with_clock(config, hooks, Arc::new(SystemClock))
    }

    /// The same with the given clock.
    pub fn with_clock(config: &Config, hooks: Hooks, clock: Arc<dyn Clock>) -> Result<Client> {
        let settings = config.settings()?;
        let ctx = Context {
            clock: clock.clone(),
            cancel: Cancellation::default(),
            log: Log::new(hooks.log, settings.log_level),
            stats: Arc::new(Stats::default()),
        };
        let store = Arc::new(open_store(&settings)?);
        let tokens = Tokens::new(tokens_setup(&settings, &store, hooks.tokens, &ctx)?, ctx.clone())?;
        let portal = Arc::new(Portal::new(&settings, tokens, ctx.clone()));
        let doorbell = Arc::new(Doorbell::new(settings.poll_interval, clock, ctx.cancel.clone()));
        let listener = Arc::new(Listener::new(&settings, portal.clone(), doorbell.clone(), ctx.clone()));
        let port = Arc::new(Port::default());
        let shutdown = Shutdown {
            portal: portal.clone(),
            listener: listener.clone(),
            port: port.clone(),
            doorbell: doorbell.clone(),
            ctx: ctx.clone(),
        };
        let handler = Arc::new(Handler::new(
            &settings,
            portal.clone(),
            doorbell.clone(),
            store.clone(),
            port.clone(),
            shutdown.clone().installation_callbacks(settings.source),
            ctx.clone(),
        ));
        Ok(Client {
            receiver: Receiver::new(&settings, handler.clone(), port, doorbell.clone(), ctx.clone()),
            source: settings.source,
            shutdown,
            listener,
            handler,
            delivery: Arc::new(Delivery::new(&settings, portal.clone(), store.clone(), ctx.clone())),
            store,
            portal,
            doorbell,
            fetch_pace: Mutex::default(),
            ctx,
        })
    }

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

    /// Fetches up to `limit` records (0: `fetch.limit`) that are in the queue now. Blocks for a REST call. After a fetch
    /// that failed, it pauses first, for up to 30 s if fetches go on failing.
    pub fn fetch(&self, limit: u32) -> Result<Batch> {
        let pause = lock(&self.fetch_pace).pause(self.ctx.clock.now());
        self.ctx.cancel.sleep(pause.min(MAX_FETCH_PAUSE))?;
        self.fetch_before(Timeout::Never.deadline(self.ctx.clock.now()), limit)
    }

    /// Fetches without a pause. A fetch that fails is not repeated after the deadline.
    fn fetch_before(&self, deadline: Deadline, limit: u32) -> Result<Batch> {
        let batch = self.delivery.fetch(limit, deadline).inspect_err(|error| {
            if !matches!(error, Error::InvalidArgument(_)) {
                lock(&self.fetch_pace).failed(error, self.ctx.clock.now());
                // The failed fetch may have used up a notification.
                self.doorbell.ring_unsignalled();
            }
        })?;
        lock(&self.fetch_pace).reset();
        if batch.is_full() {
            // The queue probably holds more.
            self.doorbell.ring_unsignalled();
        }
        Ok(batch)
    }

    /// Fetches up to `limit` records (0: `fetch.limit`) that were marked as failed. Blocks for a REST call.
    pub fn fetch_failed(&self, limit: u32) -> Result<Batch> {
        self.delivery.fetch_failed(limit)
    }

    /// Has the next fetches redeliver abandoned batches, and orphans as far as `recover.orphans` allows. Returns how
    /// many batches that is. Blocks for REST calls.
    pub fn recover(&self) -> Result<usize> {
        let recovered = self.delivery.recover()?;
        if recovered > 0 {
            self.doorbell.ring_unsignalled();
        }
        Ok(recovered)
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

    /// Waits for a notification and fetches, until there is a batch that is not empty. Returns `None` when the time
    /// is over, however often the doorbell has rung meanwhile. A fetch that has begun is not interrupted, as that could
    /// lose its records, so this can take as long as a request beyond the time. After a fetch that failed, the next one
    /// follows after a pause, which counts as waiting.
    pub fn next(&self, timeout: Timeout) -> Result<Option<Batch>> {
        let deadline = timeout.deadline(self.ctx.clock.now());
        loop {
            if !self.wait_to_fetch(deadline)? {
                return Ok(None);
            }
            let batch = self.fetch_before(deadline, 0)?;
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
            if deadline.has_passed(self.ctx.clock.now()) {
                return Ok(None);
            }
        }
    }

    /// Waits until there may be something to fetch. Returns false when the time is over, and the error of the last fetch
    /// when the pause after it is not: a host that was told of a timeout would call again at once.
    fn wait_to_fetch(&self, deadline: Deadline) -> Result<bool> {
        let now = self.ctx.clock.now();
        // Before the notification is used up, so that it is still there if the time is over first.
        let (pause, error) = {
            let pace = lock(&self.fetch_pace);
            (pace.pause(now), pace.error())
        };
        let left = deadline.left(now);
        self.ctx.cancel.sleep(pause.min(left))?;
        match error.filter(|_| pause > left) {
            Some(error) => Err(error),
            None => Ok(self.wait(deadline.timeout(self.ctx.clock.now()))?.is_some()),
        }
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
/// The longest pause before a fetch that the host asks for. Only [`Client::next`], which has a time to wait, pauses longer.
const MAX_FETCH_PAUSE: Duration = Duration::from_secs(30);
/// How long ending a client waits for a log callback on another thread.
const MAX_LOG_LINE: Duration = Duration::from_secs(20);

/// Name of the file in `state.dir`.
const STATE_FILE: &str = "b24events-state.json";

fn open_store(settings: &Settings) -> Result<Store> {
    let file = settings.state_dir.as_ref().map(|folder| PrivateFile::new(folder.join(STATE_FILE))).transpose()?;
    let identity = Identity { portal: portal_name(settings), connector_id: settings.connector_id.clone() };
    Store::new(file.map(|file| Box::new(file) as Box<dyn Storage>), identity)
}

fn portal_name(settings: &Settings) -> PortalName {
    PortalName { origin: settings.portal.origin().to_owned(), member_id: settings.handler.member_id.clone() }
}

fn tokens_setup(
    settings: &Settings,
    store: &Arc<Store>,
    host: Option<TokensSink>,
    ctx: &Context,
) -> Result<TokensSetup> {
    let file = settings.tokens_file.clone().map(PrivateFile::new).transpose()?;
    Ok(TokensSetup {
        configured: TokenPair {
            access: settings.access_token.clone(),
            refresh: settings.refresh_token.clone(),
            expires: settings.expires,
            ..TokenPair::none()
        },
        stored: store.family(),
        file: file.map(|file| TokensFile::new(Box::new(file), portal_name(settings), &settings.client_id)),
        keeper: Arc::new(Keeper::new(store.clone(), host, ctx.log.clone())),
        server: Box::new(AuthServer::new(settings)),
        renewed_by_host: settings.renewed_by_host,
    })
}

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
