//! The handler: the portal calls us (docs/protocol.md §4).
//!
//! [`receiver`] accepts calls over HTTP, or the host passes them on from its own web server. Either way [`Handler`]
//! reads the body ([`body`], [`call`]), verifies the sender ([`verification`], `proof`), and rings the doorbell.

pub mod binding;
pub mod body;
pub mod call;
mod chunked;
mod event_loop;
mod http_connection;
pub mod port;
mod proof;
mod queue_checks;
pub mod receiver;
mod request;
pub mod verification;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use body::BodyError;
use call::Call;
use port::Port;
use proof::InstallationProof;
use queue_checks::QueueChecks;
use verification::{Event, ExpectedSender};

use crate::config::Settings;
use crate::context::Context;
use crate::lock;
use crate::log::Level;
use crate::notify::Doorbell;
use crate::portal::Portal;
use crate::secret::Secret;
use crate::state::store::Store;
use crate::state::tokens::TokenPair;

/// `options[minTimeout]` of the binding unless the client was given another one.
const DEFAULT_MIN_TIMEOUT_S: u32 = 1;
/// Rejected calls are all counted, but logged no more often than this.
const WARNING_INTERVAL: Duration = Duration::from_secs(1);

const OK: u16 = 200;
const BAD_REQUEST: u16 = 400;
const FORBIDDEN: u16 = 403;
const TOO_LARGE: u16 = 413;
const UNAVAILABLE: u16 = 503;

/// How a call is answered that is not accepted.
struct Rejection {
    /// HTTP status.
    status: u16,
    /// For the log; holds nothing of the call.
    reason: &'static str,
}

/// What the client does when the application is installed or uninstalled.
pub struct InstallationCallbacks {
    /// The application was installed, and its tokens are in use.
    pub on_install: Box<dyn Fn() + Send + Sync>,
    /// The application was uninstalled: the client has to close.
    pub on_uninstall: Box<dyn Fn() + Send + Sync>,
}

/// Verifies the portal's calls and acts on them.
pub struct Handler {
    portal: Arc<Portal>,
    doorbell: Arc<Doorbell>,
    store: Arc<Store>,
    port: Arc<Port>,
    callbacks: InstallationCallbacks,
    application_token: Secret,
    member_id: String,
    proof: InstallationProof,
    min_timeout_s: AtomicU32,
    timers: Mutex<Timers>,
    ctx: Context,
}

#[derive(Default)]
struct Timers {
    /// When to check the queue for changes that the portal did not announce.
    checks: QueueChecks,
    /// When the next rejected call may be logged.
    next_warning: Option<Instant>,
}

impl Handler {
    /// Makes the handler of one client. It has no port of its own.
    pub fn new(
        settings: &Settings,
        portal: Arc<Portal>,
        doorbell: Arc<Doorbell>,
        store: Arc<Store>,
        port: Arc<Port>,
        callbacks: InstallationCallbacks,
        ctx: Context,
    ) -> Handler {
        let proof = InstallationProof::new(portal.clone(), settings.client_id.clone(), ctx.clock.clone());
        Handler {
            portal,
            doorbell,
            store,
            port,
            callbacks,
            application_token: settings.handler.application_token.clone(),
            member_id: settings.handler.member_id.clone(),
            proof,
            min_timeout_s: AtomicU32::new(DEFAULT_MIN_TIMEOUT_S),
            timers: Mutex::default(),
            ctx,
        }
    }

    /// Sets the `minTimeout` that the portal was asked to keep between two calls.
    pub fn set_min_timeout(&self, seconds: u32) {
        self.min_timeout_s.store(seconds, Ordering::Relaxed);
    }

    /// Handles a call and returns the HTTP status of the answer. Blocks for a REST call if the application is being
    /// installed.
    pub fn accept(&self, body: &[u8], content_type: &str) -> u16 {
        match self.process(body, content_type) {
            Ok(()) => {
                self.ctx.stats.handler_calls.add(1);
                OK
            }
            Err(rejection) => {
                self.count_rejected(&rejection);
                rejection.status
            }
        }
    }

    /// Counts a call that is answered with an error.
    fn count_rejected(&self, rejection: &Rejection) {
        self.ctx.stats.handler_refused.add(1);
        let now = self.ctx.clock.now();
        let mut timers = lock(&self.timers);
        if timers.next_warning.is_none_or(|next| next <= now) {
            timers.next_warning = Some(now + WARNING_INTERVAL);
            drop(timers);
            let Rejection { status, reason } = rejection;
            self.log(Level::Warning, || format!("a handler call was answered with HTTP {status}: {reason}"));
        }
    }

    /// Rings the doorbell if it is time to. Returns how long it is until the next time; `None` while there are no
    /// tokens to fetch with.
    fn tick(&self) -> Option<Duration> {
        if !self.portal.has_token() {
            return None;
        }
        let next_ring = self.doorbell.tick();
        let now = self.ctx.clock.now();
        let (is_time, next_check) = {
            let checks = &mut lock(&self.timers).checks;
            (checks.is_time(now), checks.next())
        };
        if is_time {
            self.doorbell.ring_unsignalled();
        }
        Some(next_check.map_or(next_ring, |at| next_ring.min(at.saturating_duration_since(now))))
    }

    fn process(&self, body: &[u8], content_type: &str) -> Result<(), Rejection> {
        let tree = body::decode(body, content_type).map_err(|error| match error {
            BodyError::TooLong => Rejection { status: TOO_LARGE, reason: "its body is longer than 64 KiB" },
            BodyError::Malformed => {
                Rejection { status: BAD_REQUEST, reason: "its body cannot be read as a form or as JSON" }
            }
        })?;
        let call = Call::parse(tree).ok_or(Rejection {
            status: BAD_REQUEST,
            reason: "its body names no event, or a field has an unexpected type",
        })?;
        let expected_token = self.expected_token();
        let pair = self.portal.tokens();
        let member_id = if self.member_id.is_empty() { &pair.member_id } else { &self.member_id };
        let expected = ExpectedSender {
            application_token: &expected_token,
            member_id,
            is_domain: &|domain| self.portal.is_domain(domain),
            now: self.ctx.clock.unix(),
        };
        match verification::verify(&call, &expected).map_err(|reason| Rejection { status: FORBIDDEN, reason })? {
            Event::QueueGrew => self.on_queue_grew(&call, member_id),
            Event::Installed { verified } => self.on_install(&call, verified)?,
            Event::Uninstalled => self.on_uninstall(),
        }
        Ok(())
    }

    /// The `application_token` that the host has configured, or else the one of the installation.
    fn expected_token(&self) -> Secret {
        if self.application_token.is_empty() {
            self.store.application_token().unwrap_or(Secret::new(""))
        } else {
            self.application_token.clone()
        }
    }

    fn on_queue_grew(&self, call: &Call, member_id: &str) {
        self.ctx.stats.signals.add(1);
        // Without a known member_id the tokens of the call could belong to another portal.
        if !member_id.is_empty() {
            let pair = call.auth.tokens(self.ctx.clock.unix(), |address| self.portal.is_domain(address));
            pair.into_iter().for_each(|pair| self.portal.offer_fallback_tokens(pair));
        }
        // The portal does not say how many records.
        self.doorbell.ring(0);
        let min_timeout_s = self.min_timeout_s.load(Ordering::Relaxed);
        lock(&self.timers).checks.call_arrived(self.ctx.clock.now(), min_timeout_s);
        self.port.wake();
    }

    fn on_install(&self, call: &Call, verified: bool) -> Result<(), Rejection> {
        let now = self.ctx.clock.unix();
        let pair = call.auth.tokens(now, |address| self.portal.is_domain(address));
        let pair = pair.ok_or(Rejection { status: FORBIDDEN, reason: "the installation has no access_token" })?;
        // A replay: the pair may have been renewed since.
        let known = self.portal.knows_token(&pair.access);
        if verified && known {
            return Ok(());
        }
        // Proved even if the sender is verified, because dead tokens must not replace valid ones.
        self.proof.check(&pair.access)?;
        let application_token = (!verified).then(|| call.auth.application_token());
        self.store_installation(application_token, (!known).then_some(pair));
        Ok(())
    }

    /// Stores and uses what a proved installation brought.
    fn store_installation(&self, application_token: Option<Secret>, pair: Option<TokenPair>) {
        // The portal does not call again, so tokens that cannot be stored are used all the same.
        let token_stored = application_token.map_or(Ok(()), |token| self.store.set_application_token(&token));
        let pair_stored = pair.map_or(Ok(()), |pair| self.portal.present_tokens(pair, false));
        match token_stored.and(pair_stored) {
            Ok(()) => self.log(Level::Info, || "the application was installed; its tokens are stored".into()),
            Err(error) => self.log(Level::Error, || {
                format!("the application was installed, but its tokens could not be stored: {error}")
            }),
        }
        self.doorbell.ring_unsignalled();
        (self.callbacks.on_install)();
        self.port.wake();
    }

    fn on_uninstall(&self) {
        if let Err(error) = self.store.forget_application_token() {
            self.log(Level::Error, || {
                format!("the application was uninstalled, but its application_token could not be removed from the store: {error}")
            });
        }
        // The tokens are dead, and the state must not carry them on.
        self.portal.retire_tokens();
        self.log(Level::Error, || "the application was uninstalled from the portal; the client closes".into());
        (self.callbacks.on_uninstall)();
    }

    fn log(&self, level: Level, text: impl FnOnce() -> String) {
        self.ctx.log.write(level, text);
    }
}
