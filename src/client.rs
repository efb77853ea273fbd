//! The client: what every door calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cancel::Cancellation;
use crate::clock::{Clock, SystemClock, Timeout};
use crate::config::{Config, Settings, Source};
use crate::context::Context;
use crate::delivery::{Batch, Delivery};
use crate::error::{Error, Refusal, Result, Status};
use crate::handler::port::Port;
use crate::handler::receiver::Receiver;
use crate::handler::{Effects, Handler, binding};
use crate::log::Level;
use crate::log::{Log, LogSink};
use crate::notify::{Doorbell, Notification, Readiness};
use crate::portal::oauth::{AuthServer, Keeper, Tokens, TokensSetup, TokensSink};
use crate::portal::{Portal, Repeat};
use crate::push::listener::Listener;
use crate::secret::Secret;
use crate::state::storage::Storage;
use crate::state::store::{Identity, Store};
use crate::state::tokens::TokenPair;
use crate::state::tokens_file::TokensFile;
use crate::state::{PortalName, PrivateFile};
use crate::stats::Stats;

/// What the host wants to be told while the client lives.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Log lines.
    pub log: Option<LogSink>,
    /// New tokens.
    pub tokens: Option<TokensSink>,
}

/// One application on one portal. Every method may be called from any thread; those that block say so.
pub struct Client {
    portal: Arc<Portal>,
    source: Source,
    listener: Arc<Listener>,
    handler: Arc<Handler>,
    receiver: Receiver,
    ends: Ends,
    doorbell: Arc<Doorbell>,
    delivery: Arc<Delivery>,
    store: Arc<Store>,
    /// The last batch was full: the next one is fetched without waiting for a signal.
    more: AtomicBool,
    ctx: Context,
}

impl Client {
    /// Checks the configuration. No network.
    pub fn new(config: &Config, hooks: Hooks) -> Result<Client> {
        Client::with_clock(config, hooks, Arc::new(SystemClock))
    }

    /// The same with a clock of the caller's.
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
        let ends = Ends {
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
            effects(settings.source, ends.clone()),
            ctx.clone(),
        ));
        Ok(Client {
            receiver: Receiver::new(&settings, handler.clone(), port, doorbell.clone(), ctx.clone()),
            source: settings.source,
            ends,
            listener,
            handler,
            delivery: Arc::new(Delivery::new(&settings, portal.clone(), store.clone(), ctx.clone())),
            store,
            portal,
            doorbell,
            more: AtomicBool::new(false),
            ctx,
        })
    }

    /// The source key of this client's queue, `""` for the queue without one.
    pub fn connector_id(&self) -> &str {
        self.portal.connector_id()
    }

    /// Starts what `source` says. The handler's port is open when this returns; a subscription to the push server stands
    /// then, or the time is over. An application that has no tokens yet subscribes when its installation brings them.
    pub fn connect(&self, timeout: Timeout) -> Result<()> {
        if self.source != Source::Push && self.receiver.start()? && self.portal.has_token() {
            // What was queued before.
            self.doorbell.ring_unsignalled();
        }
        if self.source == Source::Handler || (self.source == Source::Both && !self.portal.has_token()) {
            return Ok(());
        }
        self.listener.connect(timeout).map_err(|error| match error {
            Error::Closed => self.ctx.cancel.reason(),
            error => error,
        })
    }

    /// Whether everything that [`Client::connect`] starts stands at this moment.
    pub fn is_connected(&self) -> bool {
        let pushed = self.source == Source::Handler || self.listener.is_subscribed();
        let called = self.source == Source::Push || self.receiver.is_running();
        pushed && called
    }

    /// `event.bind` of the handler: the portal calls `url` from now on, and no other address of this application, at
    /// most once in `min_timeout_s` seconds. Blocks for a few REST calls.
    pub fn bind_handler(&self, url: &str, min_timeout_s: u32) -> Result<()> {
        binding::bind(&self.portal, url, min_timeout_s)?;
        self.handler.set_pause(min_timeout_s);
        Ok(())
    }

    /// `event.unbind` of the handler: the portal no longer calls `url`; `None`: any address of this application.
    /// Blocks for a few REST calls.
    pub fn unbind_handler(&self, url: Option<&str>) -> Result<()> {
        binding::unbind(&self.portal, url)
    }

    /// Takes a call of the portal that came to a web server of the host's. Returns the HTTP status that answers it.
    /// Blocks for a REST call when the application is installed.
    pub fn accept_handler_call(&self, body: &[u8], content_type: &str) -> Result<u16> {
        self.ctx.cancel.check()?;
        Ok(self.handler.accept(body, content_type))
    }

    /// `event.bind`: changes of this kind go into the queue from now on. Blocks for a REST call.
    pub fn subscribe(&self, event: &str) -> Result<()> {
        self.portal.bind_offline(named(event)?)
    }

    /// `event.unbind`. Blocks for a REST call.
    pub fn unsubscribe(&self, event: &str) -> Result<()> {
        self.portal.unbind_offline(named(event)?).map(drop)
    }

    /// Blocks until the doorbell rings; `None` when the time is over.
    pub fn wait(&self, timeout: Timeout) -> Result<Option<Notification>> {
        self.ctx.cancel.check()?;
        if !self.listener.is_listening() && !self.receiver.is_running() {
            return Err(self.not_listening());
        }
        self.doorbell.wait(timeout)
    }

    /// Takes up to `limit` records (0: `fetch.limit`) that are in the queue now. Blocks for a REST call.
    pub fn fetch(&self, limit: u32) -> Result<Batch> {
        let batch = self.delivery.fetch(limit).inspect_err(|error| {
            // The host has used up a notification for this: it is to get another one when a repeat makes sense.
            self.more.store(false, Ordering::Relaxed);
            if error.is_transient() {
                self.doorbell.ring_unsignalled();
            }
        })?;
        self.more.store(batch.is_full(), Ordering::Relaxed);
        Ok(batch)
    }

    /// Takes up to `limit` records (0: `fetch.limit`) that were marked as failed. Blocks for a REST call.
    pub fn fetch_failed(&self, limit: u32) -> Result<Batch> {
        self.delivery.fetch_failed(limit)
    }

    /// Makes due again what was dropped without acknowledging, and reservations that nobody knows as far as
    /// `recover.orphans` allows: the next fetch hands them out first. Returns how many reservations. Blocks for REST
    /// calls.
    pub fn recover(&self) -> Result<usize> {
        let due = self.delivery.recover()?;
        if due > 0 {
            self.doorbell.ring_unsignalled();
        }
        Ok(due)
    }

    /// Tokens and open reservations as JSON, to go on elsewhere with [`Client::restore`]. Holds secrets by purpose.
    /// Works after closing too.
    pub fn state(&self) -> String {
        self.store.to_json(&self.portal.token_family())
    }

    /// Goes on from what [`Client::state`] gave: its open reservations are handed out first. Its tokens are used, unless
    /// the configured ones are newer.
    pub fn restore(&self, json: &str) -> Result<()> {
        let family = self.store.restore(json)?;
        self.portal.restore_tokens(family)?;
        self.more.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a state holds tokens that are or were this client's own: then it tells nothing that the client does not
    /// know better.
    pub fn has_outgrown(&self, state: &str) -> bool {
        #[derive(serde::Deserialize)]
        struct Outline {
            tokens: Tokens,
        }
        #[derive(serde::Deserialize)]
        struct Tokens {
            access_token: Secret,
        }
        let outline = serde_json::from_str::<Outline>(state);
        outline.is_ok_and(|outline| self.portal.knows_token(&outline.tokens.access_token))
    }

    /// Gives a notification back that could not be used, so that nobody misses it.
    pub fn give_back(&self, notification: Notification) {
        self.doorbell.give_back(notification);
    }

    /// Waits for a notification and fetches, until there is a batch that is not empty; `None` when the time is over.
    /// The time bounds the waiting; a fetch under way is not cut short, as that could lose its records.
    pub fn next(&self, timeout: Timeout) -> Result<Option<Batch>> {
        let deadline = timeout.deadline(self.ctx.clock.now());
        loop {
            if !self.more.load(Ordering::Relaxed) && self.wait(deadline.timeout(self.ctx.clock.now()))?.is_none() {
                return Ok(None);
            }
            let batch = self.fetch(0)?;
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
    }

    /// Calls any REST method. Returns the portal's whole answer. Blocks for at most `http.timeout_ms`.
    pub fn call(&self, method: &str, params_json: &str) -> Result<String> {
        self.portal.call_json(method, params_json, Repeat::No).map(|answer| answer.into_text())
    }

    /// Runs up to 50 calls in one request, see [`Portal::call_batch`]. Blocks for at most `http.timeout_ms`.
    pub fn call_batch(&self, calls_json: &str, halt: bool) -> Result<String> {
        self.portal.call_batch(calls_json, halt)
    }

    /// Buys the first pair of tokens with an authorization code (good for 30 s), stores it and uses it. Blocks for one
    /// request.
    pub fn authorize(&self, code: &str) -> Result<()> {
        self.portal.authorize(code)
    }

    /// Uses these tokens from now on: for hosts that renew them themselves (`auth.renew=host`), and after the application
    /// was authorized anew. `expires`: seconds since 1970, 0 when not known.
    pub fn set_tokens(&self, access: &str, refresh: &str, expires: u64) -> Result<()> {
        if access.is_empty() {
            return Err(Error::InvalidArgument("the access token is empty".into()));
        }
        let (access, refresh) = (Secret::new(access), Secret::new(refresh));
        self.portal.present_tokens(TokenPair { access, refresh, expires, ..TokenPair::none() }, true)
    }

    /// Counters and state as a JSON object. Holds no secret.
    pub fn stats(&self) -> String {
        let mut json = self.ctx.stats.to_json();
        json.insert("subscribed".into(), self.is_connected().into());
        json.insert("closed".into(), self.ctx.cancel.is_cancelled().into());
        json.insert("handler_address".into(), self.ends.port.address().map(|address| address.to_string()).into());
        let end = Some(self.ctx.cancel.reason()).filter(|_| self.ctx.cancel.is_cancelled());
        let last_error = end.or(self.listener.last_error()).filter(|error| *error != Error::Closed);
        json.insert("last_error".into(), last_error.map(|error| error.to_string()).into());
        serde_json::Value::Object(json).to_string()
    }

    /// Shows from now on whether a notification waits.
    pub fn set_readiness(&self, readiness: Arc<dyn Readiness>) {
        self.doorbell.set_readiness(readiness);
    }

    /// Whether it has come to its end, by [`Client::close`] or because the application was uninstalled.
    pub fn is_closed(&self) -> bool {
        self.ctx.cancel.is_cancelled()
    }

    /// Ends every blocked call with [`Error::Closed`] and interrupts every request. Does not wait for the threads to
    /// end; dropping the client does. Cancellation again does nothing.
    pub fn close(&self) {
        if self.ctx.cancel.cancel() {
            self.ends.wake();
            self.ctx.log.write(Level::Info, || "closed".into());
        }
    }

    /// Waits until the listening threads have ended. Call after [`Client::close`]; at once, save for a name resolution or
    /// a connection attempt under way, which the system does not let us interrupt.
    pub fn join(&self) {
        self.listener.join();
        self.receiver.join();
        // The answer to a renewal must not get lost, and the state must not be released before it is stored.
        self.portal.wait_for_renewal();
        self.store.release();
    }

    fn not_listening(&self) -> Error {
        match self.listener.last_error() {
            Some(error) => error,
            None => Error::State("not connected: call b24_client_connect (1C: Connect/Подключить) first".into()),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
        self.join();
    }
}

/// Everything that waits, to be woken when the client ends.
#[derive(Clone)]
struct Ends {
    portal: Arc<Portal>,
    listener: Arc<Listener>,
    port: Arc<Port>,
    doorbell: Arc<Doorbell>,
    ctx: Context,
}

impl Ends {
    fn wake(&self) {
        self.port.close();
        self.listener.shutdown();
        self.portal.shutdown();
        self.doorbell.cancelled();
    }
}

/// What a client does when its application comes or goes.
fn effects(source: Source, ends: Ends) -> Effects {
    let listener = ends.listener.clone();
    Effects {
        installed: Box::new(move || {
            if source == Source::Both {
                // It goes on by itself; what needs a person is told to who waits.
                let _ = listener.connect(Timeout::After(Duration::ZERO));
            }
        }),
        uninstalled: Box::new(move || {
            if ends.ctx.cancel.cancel_because(uninstalled()) {
                ends.wake();
            }
        }),
    }
}

fn uninstalled() -> Error {
    Error::Refused(Box::new(Refusal {
        status: Status::Auth,
        code: "APPLICATION_UNINSTALLED".into(),
        http_status: 0,
        text:
            "the application was uninstalled from the portal, and this client has ended with it; install it again, and \
               make a new client (1C: Disconnect/Отключить, then Connect/Подключить)"
                .into(),
    }))
}

/// Name of the file in `state.dir`.
const STATE_FILE: &str = "b24events-state.json";

fn open_store(settings: &Settings) -> Result<Store> {
    let file = settings.state_dir.as_ref().map(|folder| PrivateFile::new(folder.join(STATE_FILE))).transpose()?;
    let identity = Identity {
        portal: PortalName {
            origin: settings.portal.origin().to_owned(),
            member_id: settings.handler.member_id.clone(),
        },
        connector_id: settings.connector_id.clone(),
    };
    Store::new(file.map(|file| Box::new(file) as Box<dyn Storage>), identity)
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
        file: file.map(|file| TokensFile::new(Box::new(file), &settings.client_id)),
        keeper: Arc::new(Keeper::new(store.clone(), host, ctx.log.clone())),
        server: Box::new(AuthServer::new(settings)),
        renewed_by_host: settings.renewed_by_host,
    })
}

fn named(event: &str) -> Result<&str> {
    let plain = !event.is_empty() && event.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:.\\".contains(&byte));
    if plain {
        Ok(event)
    } else {
        Err(Error::InvalidArgument("an event's name is letters and digits, such as ONCRMDEALADD".into()))
    }
}
