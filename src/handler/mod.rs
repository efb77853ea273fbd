//! The handler: the portal calls us (docs/protocol.md §4).
//!
//! [`receiver`] accepts calls over HTTP, or the host passes them on from its own web server. Either way [`Handler`]
//! reads the body ([`body`], [`call`]), verifies the sender ([`verification`]), and rings the doorbell. What an
//! installation brings is the matter of `installation`.

pub mod binding;
pub mod body;
pub mod call;
mod chunked;
mod event_loop;
mod http_connection;
mod installation;
pub mod port;
mod proof;
mod proof_queue;
mod queue_checks;
pub mod receiver;
mod rejection;
pub mod request;
pub mod verification;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use binding::Bindings;
use body::BodyError;
use call::Call;
pub use installation::InstallationCallbacks;
use installation::Installations;
use port::Port;
use proof_queue::Candidate;
use queue_checks::QueueChecks;
use rejection::{ACCEPTED, BAD_REQUEST, FORBIDDEN, OK, Rejection, TOO_LARGE};
use verification::{Event, ExpectedSender};

use crate::config::Settings;
use crate::context::Context;
use crate::lock;
use crate::log::Level;
use crate::notify::Doorbell;
use crate::portal::Portal;
use crate::state::store::Store;
use crate::state::tokens::TokenPair;

/// Rejected calls are all counted, but logged no more often than this.
const WARNING_INTERVAL: Duration = Duration::from_secs(1);

/// Verifies the portal's calls and acts on them.
pub struct Handler {
    portal: Arc<Portal>,
    doorbell: Arc<Doorbell>,
    port: Arc<Port>,
    member_id: String,
    installations: Installations,
    bindings: Bindings,
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
        let installations =
            Installations::new(settings, portal.clone(), doorbell.clone(), store, port.clone(), callbacks, ctx.clone());
        let bindings = Bindings::new(portal.clone(), doorbell.clone(), ctx.clone());
        Handler {
            portal,
            doorbell,
            port,
            member_id: settings.handler.member_id.clone(),
            installations,
            bindings,
            timers: Mutex::default(),
            ctx,
        }
    }

    /// What this client has bound.
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Handles a call and returns the HTTP status of the answer. Blocks for a proof if the application is being
    /// installed, and without a handler thread to bind everything anew if it was updated.
    pub fn accept(&self, body: &[u8], content_type: &str) -> u16 {
        let processed = self.process(body, content_type);
        if !self.port.was_opened() {
            // The host passes calls on and listens in another way: no thread of ours does this.
            self.make_requests();
        }
        match processed {
            // Counted when its outcome is known.
            Ok(ACCEPTED) => ACCEPTED,
            Ok(status) => {
                self.ctx.stats.handler_calls.add(1);
                status
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

    /// Does what it is time for. Returns how long it is until the next time. Blocks if an installation is to be proved,
    /// or everything to be bound anew.
    fn tick(&self) -> Option<Duration> {
        self.make_requests();
        let now = self.ctx.clock.now();
        let requests = self.installations.next_proof().into_iter().chain(self.bindings.next_rebinding());
        let requests = requests.map(|at| at.saturating_duration_since(now));
        self.check_queue(now).into_iter().chain(requests).min()
    }

    /// Makes the requests that calls have caused and that it is time for.
    fn make_requests(&self) {
        self.installations.prove_next();
        self.bindings.rebind();
    }

    /// Rings the doorbell if it is time to. Returns how long it is until the next time; `None` while there are no
    /// tokens to fetch with.
    fn check_queue(&self, now: Instant) -> Option<Duration> {
        if !self.portal.has_token() {
            return None;
        }
        let next_ring = self.doorbell.tick();
        let (is_time, next_check) = {
            let checks = &mut lock(&self.timers).checks;
            (checks.is_time(now), checks.next())
        };
        if is_time {
            self.doorbell.ring_unsignalled();
        }
        Some(next_check.map_or(next_ring, |at| next_ring.min(at.saturating_duration_since(now))))
    }

    fn process(&self, body: &[u8], content_type: &str) -> Result<u16, Rejection> {
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
        let expected_token = self.installations.expected_token();
        let pair = self.portal.tokens();
        let member_id = if self.member_id.is_empty() { &pair.member_id } else { &self.member_id };
        let now = self.ctx.clock.unix();
        let expected = ExpectedSender { application_token: &expected_token, member_id, now };
        let event = verification::verify(&call, &expected).map_err(|reason| Rejection { status: FORBIDDEN, reason })?;
        let domain = call.auth.domain.as_str();
        if event != Event::Installed && !domain.is_empty() && !self.portal.is_domain(domain) {
            // A portal can have several names, and calls carry the one under which somebody works in it.
            self.log(Level::Debug, || format!("a handler call names the portal {domain:?}"));
        }
        match event {
            Event::QueueGrew => self.on_queue_grew(&call, member_id),
            Event::Installed => return self.installations.install(self.candidate(&call)),
            Event::Updated => self.on_update(&call, member_id),
            Event::Uninstalled => self.installations.uninstall(),
        }
        Ok(OK)
    }

    fn candidate(&self, call: &Call) -> Candidate {
        let pair = call.auth.tokens(self.ctx.clock.unix(), |address| self.portal.is_domain(address));
        Candidate {
            pair: pair.unwrap_or_else(TokenPair::none),
            application_token: call.auth.application_token(),
            names_portal: self.portal.is_domain(&call.auth.domain),
            arrived: self.ctx.clock.now(),
        }
    }

    fn on_queue_grew(&self, call: &Call, member_id: &str) {
        self.ctx.stats.signals.add(1);
        self.offer_tokens(call, member_id);
        // The portal does not say how many records.
        self.doorbell.ring(0);
        let min_timeout_s = self.bindings.min_timeout_s();
        lock(&self.timers).checks.call_arrived(self.ctx.clock.now(), min_timeout_s);
        self.port.wake();
    }

    fn on_update(&self, call: &Call, member_id: &str) {
        self.offer_tokens(call, member_id);
        self.bindings.application_updated();
        self.port.wake();
    }

    fn offer_tokens(&self, call: &Call, member_id: &str) {
        // Without a known member_id the tokens of the call could belong to another portal.
        if !member_id.is_empty() {
            let pair = call.auth.tokens(self.ctx.clock.unix(), |address| self.portal.is_domain(address));
            pair.into_iter().for_each(|pair| self.portal.offer_fallback_tokens(pair));
        }
    }

    fn log(&self, level: Level, text: impl FnOnce() -> String) {
        self.ctx.log.write(level, text);
    }
}
