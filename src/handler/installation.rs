//! The application is installed or uninstalled: which installations are believed, and what a believed one changes.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::port::Port;
use super::proof::{InstallationProof, Unproved};
use super::proof_queue::{Candidate, Outcome, ProofQueue};
use super::rejection::{ACCEPTED, FORBIDDEN, OK, Rejection};
use crate::config::Settings;
use crate::context::Context;
use crate::lock;
use crate::log::Level;
use crate::notify::Doorbell;
use crate::portal::Portal;
use crate::secret::Secret;
use crate::state::store::Store;

/// What the client does when the application is installed or uninstalled.
pub struct InstallationCallbacks {
    /// The application was installed, and its tokens are in use.
    pub on_install: Box<dyn Fn() + Send + Sync>,
    /// The application was uninstalled: the client has to close.
    pub on_uninstall: Box<dyn Fn() + Send + Sync>,
}

/// Installs and uninstalls the application in one client.
pub struct Installations {
    portal: Arc<Portal>,
    doorbell: Arc<Doorbell>,
    store: Arc<Store>,
    port: Arc<Port>,
    callbacks: InstallationCallbacks,
    application_token: Secret,
    proof: InstallationProof,
    queue: Mutex<ProofQueue>,
    ctx: Context,
}

impl Installations {
    /// Sends no request.
    pub fn new(
        settings: &Settings,
        portal: Arc<Portal>,
        doorbell: Arc<Doorbell>,
        store: Arc<Store>,
        port: Arc<Port>,
        callbacks: InstallationCallbacks,
        ctx: Context,
    ) -> Installations {
        Installations {
            proof: InstallationProof::new(settings, portal.clone()),
            application_token: settings.handler.application_token.clone(),
            portal,
            doorbell,
            store,
            port,
            callbacks,
            queue: Mutex::default(),
            ctx,
        }
    }

    /// The `application_token` that the host has configured, or else the one of the installation; empty if none is
    /// known.
    pub fn expected_token(&self) -> Secret {
        if self.application_token.is_empty() {
            self.store.application_token().unwrap_or(Secret::new(""))
        } else {
            self.application_token.clone()
        }
    }

    /// The application was installed, as a call says whose sender is verified or not known yet. Returns the HTTP status
    /// to answer with. Blocks for a proof if it is time for one.
    pub fn install(&self, candidate: Candidate) -> Result<u16, Rejection> {
        if candidate.pair.is_none() {
            return Err(Rejection { status: FORBIDDEN, reason: "the installation has no access_token" });
        }
        if candidate.is_too_long() {
            return Err(Rejection { status: FORBIDDEN, reason: "the installation is longer than any of a portal" });
        }
        if self.is_repeated(&candidate) {
            return Ok(OK);
        }
        if !self.proof.is_possible() {
            return Err(Rejection {
                status: FORBIDDEN,
                reason: "the installation cannot be verified without auth.client_id; set it to the application's id \
                         and install the application again",
            });
        }
        let now = self.ctx.clock.now();
        let (offered, waiting) = {
            let mut queue = lock(&self.queue);
            (queue.offer(candidate, now), queue.waiting())
        };
        let Some(candidate) = offered else {
            // Only for the first one: there may be a flood of forged ones.
            if waiting == 1 {
                self.log(Level::Warning, || {
                    "an installation is verified later, as another one could not be verified within the last minute"
                        .into()
                });
            }
            self.port.wake();
            return Ok(ACCEPTED);
        };
        self.prove(candidate)
    }

    /// When to call [`Installations::prove_next`].
    pub fn next_proof(&self) -> Option<Instant> {
        lock(&self.queue).next_time()
    }

    /// Proves an installation that waits for it, if it is time. Blocks for the proof.
    pub fn prove_next(&self) {
        let now = self.ctx.clock.now();
        let expired = lock(&self.queue).expire(now);
        for _ in 0..expired {
            self.count_refused("its access_token has expired before; install the application again");
        }
        loop {
            let next = lock(&self.queue).next_candidate(now);
            let Some(candidate) = next else { return };
            self.report_displaced();
            let expected = self.expected_token();
            if !expected.is_empty() && !expected.matches(&candidate.application_token) {
                lock(&self.queue).finished(Outcome::NotNeeded, now);
                self.count_refused("another installation has been verified since");
            } else if self.is_repeated(&candidate) {
                lock(&self.queue).finished(Outcome::NotNeeded, now);
            } else {
                match self.prove(candidate) {
                    Ok(OK) => self.ctx.stats.handler_calls.add(1),
                    Ok(_) => {}
                    Err(rejection) => self.count_refused(rejection.reason),
                }
            }
        }
    }

    /// The application was uninstalled, as a verified call says.
    pub fn uninstall(&self) {
        if let Err(error) = self.store.forget_application_token() {
            self.log(Level::Error, || {
                format!(
                    "the application was uninstalled, but its application_token could not be removed from the store: \
                     {error}"
                )
            });
        }
        // The tokens are dead, and the state must not carry them on.
        self.portal.retire_tokens();
        self.log(Level::Error, || "the application was uninstalled from the portal; the client closes".into());
        (self.callbacks.on_uninstall)();
    }

    /// Whether a verified call brings tokens that are known. They may have been renewed since.
    fn is_repeated(&self, candidate: &Candidate) -> bool {
        self.expected_token().matches(&candidate.application_token) && self.portal.knows_token(&candidate.pair.access)
    }

    /// Proved even if the sender is verified, because dead tokens must not replace valid ones.
    fn prove(&self, candidate: Candidate) -> Result<u16, Rejection> {
        let proof = self.proof.check(&candidate.pair);
        let now = self.ctx.clock.now();
        let (outcome, answer) = match proof {
            Ok(()) => {
                self.use_installation(candidate);
                (Outcome::Proved, Ok(OK))
            }
            Err(Unproved::Refused(reason)) => (Outcome::Refused, Err(Rejection { status: FORBIDDEN, reason })),
            Err(Unproved::Unknown(reason)) => {
                self.log(Level::Warning, || {
                    format!("an installation could not be verified, which is tried again in a minute: {reason}")
                });
                (Outcome::Unknown(candidate), Ok(ACCEPTED))
            }
        };
        lock(&self.queue).finished(outcome, now);
        self.port.wake();
        answer
    }

    /// Stores and uses what a proved installation brought.
    fn use_installation(&self, candidate: Candidate) {
        let Candidate { pair, application_token, .. } = candidate;
        let is_known = self.expected_token().matches(&application_token);
        // The portal does not call again, so tokens that cannot be stored are used all the same.
        let token_stored = if is_known { Ok(()) } else { self.store.set_application_token(&application_token) };
        let pair_stored =
            if self.portal.knows_token(&pair.access) { Ok(()) } else { self.portal.present_tokens(pair, false) };
        match token_stored.and(pair_stored) {
            Ok(()) => self.log(Level::Info, || "the application was installed; its tokens are stored".into()),
            Err(error) => self.log(Level::Error, || {
                format!("the application was installed, but its tokens could not be stored: {error}")
            }),
        }
        self.doorbell.ring_unsignalled();
        (self.callbacks.on_install)();
    }

    /// Tells, as often as installations are proved, that too many came to be proved.
    fn report_displaced(&self) {
        let displaced = lock(&self.queue).take_displaced();
        if displaced > 0 {
            self.ctx.stats.handler_refused.add(displaced);
            self.log(Level::Warning, || {
                format!(
                    "{displaced} installations were dropped unverified, because too many claim to be one; if yours is \
                     missing, set handler.member_id and install the application again"
                )
            });
        }
    }

    /// Counts an installation that was answered with [`ACCEPTED`] and is refused now.
    fn count_refused(&self, reason: &str) {
        self.ctx.stats.handler_refused.add(1);
        self.log(Level::Warning, || format!("an installation that waited to be verified was refused: {reason}"));
    }

    fn log(&self, level: Level, text: impl FnOnce() -> String) {
        self.ctx.log.write(level, text);
    }
}
