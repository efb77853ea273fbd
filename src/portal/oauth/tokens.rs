//! The application's tokens as one client uses them (docs/protocol.md §2.3).
//!
//! A pair is bought like this, in the client's turn ([`super::turn`]): make room in every place that will store the new
//! pair; note there that a renewal has begun; ask the authorization server; store; use. A process that dies in between
//! costs at most the pair whose answer never arrived, and the note tells why.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::family::{Files, Member, SharedFamily, TokenKeeper};
use super::registry::Registry;
use super::server::TokenServer;
use super::turn::Turn;
use crate::clock::Deadline;
use crate::context::Context;
use crate::error::{Error, Refusal, Result};
use crate::lock;
use crate::portal::refusal;
use crate::process::PerProcess;
use crate::secret::{self, Secret};
use crate::state::family::TokenFamily;
use crate::state::tokens::TokenPair;
use crate::state::tokens_file::TokensFile;

/// A token is renewed this many seconds before it expires, so that it does not expire on the way; one that lives short,
/// in the last tenth of its life.
const MARGIN: u64 = 30;

/// The longest that the end of a client waits for a renewal under way: longer than the request to the server may take,
/// as the answer is stored after it.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest that what arrives from the portal waits for its turn: the portal waits for our answer.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The families of this process.
static REGISTRY: PerProcess<Arc<Registry>> = PerProcess::new();

/// What [`Tokens`] are made from.
pub struct TokensSetup {
    /// The pair that the host has configured, or none.
    pub configured: TokenPair,
    /// The family that the client's own state holds.
    pub stored: TokenFamily,
    /// The file shared with other processes.
    pub file: Option<TokensFile>,
    /// Where new pairs go.
    pub keeper: Arc<dyn TokenKeeper>,
    /// Who sells them.
    pub server: Box<dyn TokenServer>,
    /// `auth.renew=host`.
    pub renewed_by_host: bool,
}

/// See the module.
pub struct Tokens {
    member: Arc<Member>,
    registry: Arc<Registry>,
    server: Box<dyn TokenServer>,
    renewed_by_host: bool,
    /// Came with an event: used when ours has expired and cannot be renewed.
    fallback: Mutex<Option<TokenPair>>,
    ctx: Context,
}

impl Tokens {
    /// The newest pair that is known anywhere: in the state, in the shared file, in another client of this process, or
    /// in the configuration.
    pub fn new(setup: TokensSetup, ctx: Context) -> Result<Tokens> {
        Tokens::in_registry(REGISTRY.get().clone(), setup, ctx)
    }

    fn in_registry(registry: Arc<Registry>, setup: TokensSetup, ctx: Context) -> Result<Tokens> {
        let TokensSetup { configured, stored, file, keeper, server, renewed_by_host } = setup;
        let mut family = stored;
        if let Some(shared) = file.as_ref().map_or(Ok(None), |file| file.read(&family))? {
            family.meet_shared(&shared);
        }
        family.present(configured);
        let member = Member::new(keeper, file, registry.open(family));
        let tokens = Tokens { member, registry, server, renewed_by_host, fallback: Mutex::default(), ctx };
        // Whoever has the turn at this moment is not waited for: the next renewal brings everything together.
        let checked = match tokens.turn(|_| (), None, Duration::ZERO) {
            Ok(turn) => turn.check(&tokens.member),
            Err(Error::Busy(_)) => {
                let (_, _) = tokens.family().change(|_| (), &mut Files::default(), None, false);
                tokens.member.check()
            }
            Err(error) => Err(error),
        };
        match checked {
            Ok(()) | Err(Error::Busy(_)) => Ok(tokens),
            Err(error) => Err(error),
        }
    }

    /// The newest pair.
    pub fn pair(&self) -> TokenPair {
        self.family().pair()
    }

    /// The access token to use now.
    pub fn access(&self) -> Secret {
        self.family().access()
    }

    /// The family in use, to be carried elsewhere.
    pub fn to_carry(&self) -> TokenFamily {
        self.family().family()
    }

    /// Whether this access token is or was one of the family.
    pub fn knows(&self, access: &Secret) -> bool {
        self.family().knows(access)
    }

    /// A family that was carried from elsewhere: the newer one of it and ours is used.
    pub fn restore(&self, carried: TokenFamily) -> Result<()> {
        self.turn(|family| family.meet_carried(&carried), None, RENEWAL_TIMEOUT)?.check(&self.member)
    }

    /// The host, or an installation, presents a pair. It is used if the family does not know it; then it is stored too.
    /// If it cannot be stored, or not everywhere, that is the error, and it is used nevertheless.
    pub fn present(&self, pair: TokenPair, by_host: bool) -> Result<()> {
        let (presenter, timeout) =
            if by_host { (Some(&self.member), RENEWAL_TIMEOUT) } else { (None, ARRIVAL_TIMEOUT) };
        self.arrive(|family| family.present(pair.clone()), presenter, timeout)
    }

    /// Exchanges an authorization code for the first pair of tokens, stores and uses it.
    pub fn authorize(&self, code: &str) -> Result<()> {
        let turn = self.turn(|_| (), None, RENEWAL_TIMEOUT)?;
        // A code works once: what could fail has to fail before.
        turn.files.check()?;
        turn.reserve_space()?;
        let pair = self.server.exchange_code(code, self.ctx.clock.unix())?;
        turn.finish(|family| family.present(pair.clone()))
    }

    /// The application was uninstalled: its tokens are dead.
    pub fn retire(&self) {
        // They are dead even where that cannot be stored.
        let _ = self.arrive(TokenFamily::retire, None, ARRIVAL_TIMEOUT);
    }

    /// A pair that may stand in when ours has expired and cannot be renewed.
    pub fn offer_fallback(&self, pair: TokenPair) {
        if !self.renewed_by_host && !pair.is_none() && !self.knows(&pair.access) {
            *lock(&self.fallback) = Some(pair);
        }
    }

    /// Whether there is a pair that may stand in.
    pub fn has_fallback(&self) -> bool {
        lock(&self.fallback).is_some()
    }

    /// Whether the current token is about to expire and can be renewed here.
    pub fn expires_soon(&self) -> bool {
        let pair = self.pair();
        let known = pair.expires != 0 && !pair.refresh.is_empty() && !self.renewed_by_host;
        let margin = if pair.lifetime == 0 { MARGIN } else { MARGIN.min(pair.lifetime / 10) };
        known && self.ctx.clock.unix().saturating_add(margin) >= pair.expires
    }

    /// Whether there is what a renewal needs, whom to ask for one, or a pair that may stand in.
    pub fn can_renew(&self) -> bool {
        self.renewed_by_host || self.member.file().is_some() || !self.pair().refresh.is_empty() || self.has_fallback()
    }

    /// Replaces every secret of ours in a text that answers a request with the token `sent`: also tokens of the family
    /// that others have bought, and earlier ones.
    pub fn redact(&self, text: &str, sent: &Secret) -> String {
        let family = self.to_carry();
        let pair = family.pair();
        let secrets = [sent, &pair.access, &pair.refresh, self.server.client_secret()];
        secret::redact(text, &secrets, |word| family.knows(word))
    }

    /// Ends the client's part in its family. Waits for a renewal that is under way in this process, for 20 s at most: its
    /// answer must not get lost. Afterwards nothing is stored or reported for this client.
    pub fn end(&self) {
        let deadline = Deadline::after(RENEWAL_TIMEOUT, self.ctx.clock.now());
        self.member.end(deadline, &*self.ctx.clock);
    }

    /// Replaces the pair of which `stale` is the access token by a new one, unless that has been done since. Returns
    /// whether this call bought it. `deadline` bounds the wait for the right to buy, not the purchase.
    pub fn renew(&self, stale: &Secret, deadline: Deadline) -> Result<bool> {
        if self.access() != *stale {
            return Ok(false);
        }
        let mut turn = Turn::begin(&self.member, &self.registry, |_| (), None, deadline, &self.ctx)?;
        let TokenPair { access, refresh, .. } = turn.family.family().pair().clone();
        if access != *stale {
            return Ok(false);
        }
        turn.files.check()?;
        if self.renewed_by_host {
            return Err(Error::HostMustRenew);
        }
        let fallback = if refresh.is_empty() { lock(&self.fallback).take() } else { None };
        if let Some(pair) = fallback {
            return turn.finish(|family| family.present(pair.clone())).map(|()| true);
        }
        if refresh.is_empty() {
            return Err(refusal::to_error(401, "expired_token", ""));
        }
        turn.reserve_space()?;
        let doubt = turn.family.family().renewal_begun();
        let now = self.ctx.clock.unix();
        turn.change(|family| family.note(stale, |family| family.begin_renewal(now)))?;
        if turn.family.family().pair().access != *stale {
            return Ok(false);
        }
        // The note has taken the room that was reserved.
        if let Err(error) = turn.reserve_space() {
            // Nothing was asked for yet. A note that cannot be removed does no harm.
            let _ = turn.change(|family| family.note(stale, |family| family.restore_doubt(doubt)));
            return Err(error);
        }
        match self.server.refresh(&refresh, now) {
            Ok(pair) => turn.finish(|family| family.renewed(stale, pair.clone())).map(|()| true),
            Err(error) => Err(not_renewed(turn, stale, doubt, error)),
        }
    }

    fn family(&self) -> Arc<SharedFamily> {
        self.member.family()
    }

    fn turn<T>(
        &self,
        arrives: impl Fn(&mut TokenFamily) -> T,
        presenter: Option<&Arc<Member>>,
        timeout: Duration,
    ) -> Result<Turn> {
        let deadline = Deadline::after(timeout, self.ctx.clock.now());
        Turn::begin(&self.member, &self.registry, arrives, presenter, deadline, &self.ctx)
    }

    /// Something arrives that holds whether it can be stored or not, and whoever has the turn.
    fn arrive<T>(
        &self,
        arrives: impl Fn(&mut TokenFamily) -> T,
        presenter: Option<&Arc<Member>>,
        timeout: Duration,
    ) -> Result<()> {
        match self.turn(&arrives, presenter, timeout) {
            Ok(turn) => turn.check(&self.member),
            Err(Error::Busy(text)) => {
                loop {
                    let family = self.family();
                    let (_, _) = family.change(&arrives, &mut Files::default(), presenter, false);
                    // Unless everyone has moved to another family meanwhile.
                    if Arc::ptr_eq(&family, &self.family()) {
                        break;
                    }
                }
                self.member.check().and(if self.member.file().is_some() { Err(Error::Busy(text)) } else { Ok(()) })
            }
            Err(error) => Err(error),
        }
    }
}

/// What a failed renewal of the pair `sold` means for the note that it had begun. `doubt`: when an earlier one began whose
/// outcome is not known.
fn not_renewed(mut turn: Turn, sold: &Secret, doubt: Option<u64>, error: Error) -> Error {
    let is_refused = match &error {
        Error::Refused(refusal) => refusal.code.eq_ignore_ascii_case("invalid_grant"),
        // Nothing was sent.
        Error::Unreachable(_) | Error::Config(_) => false,
        // The server may have sold the pair, and the answer was lost.
        _ => return error,
    };
    // The pair was not used up by this attempt. A note that cannot be stored does no harm.
    let _ = turn.change(|family| {
        family.note(sold, |family| {
            family.restore_doubt(doubt);
            if is_refused {
                family.refuse();
            }
        });
    });
    match (error, doubt) {
        (Error::Refused(refusal), Some(begun)) if is_refused => {
            Error::Refused(Box::new(Refusal { text: answer_lost(begun), ..*refusal }))
        }
        (error, _) => error,
    }
}

fn answer_lost(begun: u64) -> String {
    format!(
        "the authorization server no longer accepts the refresh token: a renewal was begun at {begun} (seconds since \
         1970), and its answer with the new tokens never arrived, because the process ended or the connection broke; \
         authorize the application again"
    )
}

#[cfg(test)]
mod tests;
