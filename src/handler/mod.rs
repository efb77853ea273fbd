//! The handler side: the portal calls us (protocol.md §4).
//!
//! [`receiver`] takes calls over HTTP, or the host passes them on from a web server of its own. Either way [`Handler`]
//! reads the body ([`form`], [`call`]), asks [`sender`] who it comes from, and rings the doorbell.

pub mod binding;
pub mod call;
mod chunked;
pub mod form;
mod http_connection;
pub mod port;
pub mod receiver;
mod request;
pub mod sender;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use call::Call;
use form::Unreadable;
use port::Port;
use sender::{Event, Known};

use crate::config::Settings;
use crate::context::Context;
use crate::error::Result;
use crate::lock;
use crate::log::Level;
use crate::notify::Doorbell;
use crate::portal::Portal;
use crate::secret::Secret;
use crate::state::store::Store;
use crate::state::tokens::TokenPair;

/// After the pause of a binding (`options[minTimeout]`) the portal is given this long for what it was about to do.
const MARGIN: Duration = Duration::from_secs(1);
/// `options[minTimeout]` of a binding that does not say it.
const USUAL_PAUSE_S: u32 = 1;
/// After an installation that proved nothing, the next one is not looked at for this long: each costs a REST call.
const PROOF_PAUSE: Duration = Duration::from_secs(1);
/// Refused calls are counted; a log line of them comes no more often than this.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(1);

const OK: u16 = 200;
const FORBIDDEN: u16 = 403;

/// What the client does when the application comes or goes.
pub struct Effects {
    /// It was installed, and there are tokens now.
    pub installed: Box<dyn Fn() + Send + Sync>,
    /// It was uninstalled: the client is to end.
    pub uninstalled: Box<dyn Fn() + Send + Sync>,
}

/// Judges the portal's calls and does what they ask for.
pub struct Handler {
    portal: Arc<Portal>,
    doorbell: Arc<Doorbell>,
    store: Arc<Store>,
    port: Arc<Port>,
    effects: Effects,
    application_token: Secret,
    member_id: String,
    client_id: String,
    pause_s: AtomicU32,
    times: Mutex<Times>,
    /// Held while an installation proves itself.
    proving: Mutex<()>,
    ctx: Context,
}

#[derive(Default)]
struct Times {
    /// When to look for what fell into the portal's pause.
    look: Option<Instant>,
    next_proof: Option<Instant>,
    next_complaint: Option<Instant>,
}

impl Handler {
    /// A handler that nobody calls yet.
    pub fn new(
        settings: &Settings,
        portal: Arc<Portal>,
        doorbell: Arc<Doorbell>,
        store: Arc<Store>,
        port: Arc<Port>,
        effects: Effects,
        ctx: Context,
    ) -> Handler {
        Handler {
            portal,
            doorbell,
            store,
            port,
            effects,
            application_token: settings.handler.application_token.clone(),
            member_id: settings.handler.member_id.clone(),
            client_id: settings.client_id.clone(),
            pause_s: AtomicU32::new(USUAL_PAUSE_S),
            times: Mutex::default(),
            proving: Mutex::new(()),
            ctx,
        }
    }

    /// The pause between two calls that the portal was asked to keep.
    pub fn set_pause(&self, seconds: u32) {
        self.pause_s.store(seconds, Ordering::Relaxed);
    }

    /// Takes a call. Returns the HTTP status that answers it. Blocks for a REST call when an application is installed.
    pub fn accept(&self, body: &[u8], content_type: &str) -> u16 {
        match self.accepted(body, content_type) {
            Ok(()) => {
                self.ctx.stats.handler_calls.add(1);
                OK
            }
            Err((status, why)) => {
                self.refused(status, why);
                status
            }
        }
    }

    /// Counts a call that was answered with an error.
    fn refused(&self, status: u16, why: &str) {
        self.ctx.stats.handler_refused.add(1);
        let now = self.ctx.clock.now();
        let mut times = lock(&self.times);
        if times.next_complaint.is_none_or(|next| next <= now) {
            times.next_complaint = Some(now + COMPLAINT_INTERVAL);
            drop(times);
            self.log(Level::Warning, || format!("a call of the handler was answered with HTTP {status}: {why}"));
        }
    }

    /// Rings if it is time to. Returns how long it is until the next time; `None` while there is nothing to look with.
    fn tick(&self) -> Option<Duration> {
        if !self.portal.has_token() {
            return None;
        }
        let next = self.doorbell.tick();
        let now = self.ctx.clock.now();
        let look = {
            let mut times = lock(&self.times);
            let due = times.look.take_if(|look| *look <= now).is_some();
            if due { Err(()) } else { Ok(times.look) }
        };
        match look {
            Ok(look) => Some(look.map_or(next, |look| next.min(look.saturating_duration_since(now)))),
            Err(()) => {
                self.doorbell.ring_unsignalled();
                Some(next)
            }
        }
    }

    fn accepted(&self, body: &[u8], content_type: &str) -> Result<(), (u16, &'static str)> {
        let tree = form::decode(body, content_type).map_err(|unreadable| match unreadable {
            Unreadable::TooLong => (413, "its body is longer than 64 KiB"),
            Unreadable::Malformed => (400, "its body is neither a form nor JSON of a portal"),
        })?;
        let call = Call::read(tree).ok_or((400, "its body names no event"))?;
        let stored = self.stored_token();
        let pair = self.portal.tokens();
        let member_id = if self.member_id.is_empty() { &pair.member_id } else { &self.member_id };
        let known = Known {
            application_token: &stored,
            member_id,
            is_domain: &|domain| self.portal.is_domain(domain),
            now: self.ctx.clock.unix(),
        };
        match sender::check(&call, &known).map_err(|why| (FORBIDDEN, why))? {
            Event::QueueGrew => self.queue_grew(&call, member_id),
            Event::Installed { proved } => self.installed(&call, proved)?,
            Event::Uninstalled => self.uninstalled(),
        }
        Ok(())
    }

    /// What the host has configured, else what an installation has set.
    fn stored_token(&self) -> Secret {
        if self.application_token.is_empty() {
            self.store.application_token().unwrap_or(Secret::new(""))
        } else {
            self.application_token.clone()
        }
    }

    fn queue_grew(&self, call: &Call, member_id: &str) {
        self.ctx.stats.signals.add(1);
        // When it is not known whose tokens ours are, others do not take their place.
        if !member_id.is_empty() {
            let pair = call.auth.tokens(self.ctx.clock.unix(), |address| self.portal.is_domain(address));
            pair.into_iter().for_each(|pair| self.portal.offer_fallback_tokens(pair));
        }
        // The portal says nothing of how many.
        self.doorbell.ring(0);
        let pause = self.pause_s.load(Ordering::Relaxed);
        if pause > 0 {
            // A change within the pause is not told later either: one look finds it.
            let look = self.ctx.clock.now() + Duration::from_secs(pause.into()) + MARGIN;
            lock(&self.times).look = Some(look);
            self.port.wake();
        }
    }

    fn installed(&self, call: &Call, proved: bool) -> Result<(), (u16, &'static str)> {
        let now = self.ctx.clock.unix();
        let pair = call.auth.tokens(now, |address| self.portal.is_domain(address));
        let pair = pair.ok_or((FORBIDDEN, "an installation without access_token"))?;
        // Played again within its time: the pair may have been renewed since.
        let known = self.portal.knows_token(&pair.access);
        if proved && known {
            return Ok(());
        }
        // Also when the sender is proved: dead tokens would take the place of living ones.
        self.prove(&pair.access)?;
        let application_token = (!proved).then(|| call.auth.application_token());
        self.believe(application_token, (!known).then_some(pair));
        Ok(())
    }

    /// The token must be one of our application on our portal.
    fn prove(&self, access: &Secret) -> Result<(), (u16, &'static str)> {
        if self.client_id.is_empty() {
            return Err((
                FORBIDDEN,
                "an installation cannot be proved without the application's id; set auth.client_id",
            ));
        }
        let _proving = match self.proving.try_lock() {
            Ok(proving) => proving,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err((FORBIDDEN, "another installation is being proved")),
        };
        let now = self.ctx.clock.now();
        if lock(&self.times).next_proof.is_some_and(|next| now < next) {
            return Err((FORBIDDEN, "an installation right after one that proved nothing; install once more"));
        }
        let failed = |status, why| {
            lock(&self.times).next_proof = Some(self.ctx.clock.now() + PROOF_PAUSE);
            Err((status, why))
        };
        match self.portal.application_of(access) {
            Ok(code) if code == self.client_id => Ok(()),
            Ok(_) => failed(FORBIDDEN, "an installation of another application; check auth.client_id"),
            Err(error) if error.is_transient() => failed(
                503,
                "an installation could not be proved, the portal did not answer app.info; install once more",
            ),
            Err(_) => failed(FORBIDDEN, "an installation whose access_token the portal does not accept"),
        }
    }

    /// The installation is ours: what it brought is stored and used.
    fn believe(&self, application_token: Option<Secret>, pair: Option<TokenPair>) {
        // The portal does not call again, so what cannot be kept is used all the same.
        let token_kept = application_token.map_or(Ok(()), |token| self.store.set_application_token(&token));
        let pair_kept = pair.map_or(Ok(()), |pair| self.portal.present_tokens(pair, false));
        match token_kept.and(pair_kept) {
            Ok(()) => self.log(Level::Info, || "the application was installed; its tokens are stored".into()),
            Err(error) => {
                self.log(Level::Error, || format!("the tokens of the installation could not be kept: {error}"))
            }
        }
        self.doorbell.ring_unsignalled();
        (self.effects.installed)();
        self.port.wake();
    }

    fn uninstalled(&self) {
        if let Err(error) = self.store.forget_application_token() {
            self.log(Level::Error, || format!("that the application was uninstalled could not be kept: {error}"));
        }
        // They are dead, and the state is not to carry them on.
        self.portal.retire_tokens();
        self.log(Level::Error, || "the application was uninstalled from the portal; the client ends".into());
        (self.effects.uninstalled)();
    }

    fn log(&self, level: Level, text: impl FnOnce() -> String) {
        self.ctx.log.write(level, text);
    }
}
