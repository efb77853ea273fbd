//! The application's tokens as one client uses them (docs/protocol.md §2.3).
//!
//! A pair is bought like this, under the permit of its family and the lock of the shared file: make room in every place
//! that will store the new pair; note there that a renewal has begun; ask the authorization server; store; use. A
//! process that dies in between costs at most the pair whose answer never arrived, and the note tells why.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use super::family::{Permit, Registry, SharedFamily, TokenKeeper};
use super::server::TokenServer;
use crate::clock::Deadline;
use crate::context::Context;
use crate::error::{Error, Refusal, Result};
use crate::lock;
use crate::portal::refusal;
use crate::secret::Secret;
use crate::state::family::{Presented, TokenFamily};
use crate::state::storage::Guard;
use crate::state::tokens::TokenPair;
use crate::state::tokens_file::TokensFile;

/// A token is renewed this many seconds before it expires, so that it does not expire on the way; one that lives short,
/// in the last tenth of its life.
const MARGIN: u64 = 30;

/// How often a lock that another process holds is tried again: a file lock wakes nobody who could be interrupted.
const FILE_LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// The longest that the end of a client waits for a renewal under way: longer than the request to the server may take,
/// as the answer is stored after it.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(20);

/// The families of this process.
static PROCESS: LazyLock<Arc<Registry>> = LazyLock::new(Arc::default);

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
    family: Mutex<Arc<SharedFamily>>,
    registry: Arc<Registry>,
    server: Box<dyn TokenServer>,
    renewed_by_host: bool,
    file: Option<TokensFile>,
    keeper: Arc<dyn TokenKeeper>,
    /// Came with an event: used when ours has expired and cannot be renewed.
    fallback: Mutex<Option<TokenPair>>,
    ctx: Context,
}

impl Tokens {
    /// The newest pair that is known anywhere: in the state, in the shared file, in another client of this process, or
    /// in the configuration.
    pub fn new(setup: TokensSetup, ctx: Context) -> Result<Tokens> {
        Tokens::in_registry(PROCESS.clone(), setup, ctx)
    }

    fn in_registry(registry: Arc<Registry>, setup: TokensSetup, ctx: Context) -> Result<Tokens> {
        let TokensSetup { configured, stored, file, keeper, server, renewed_by_host } = setup;
        let access = configured.access.clone();
        let shared = file.as_ref().map_or(Ok(None), TokensFile::read)?.unwrap_or_else(TokenFamily::none);
        let mut family = stored.reconcile(shared, &access);
        let is_new = family.present(configured) == Presented::Adopted;
        let tokens = Tokens {
            family: Mutex::new(registry.join(family)),
            registry,
            server,
            renewed_by_host,
            file,
            keeper,
            fallback: Mutex::default(),
            ctx,
        };
        let family = tokens.family();
        family.add_keeper(&tokens.keeper);
        if family.family().generation() > 0 {
            tokens.keeper.store(&family.family())?;
        }
        tokens.offer_to_file(&family, is_new)?;
        Ok(tokens)
    }

    /// Tells those who share the file of tokens that it does not hold. A stranger in it is replaced only by what the host
    /// has just configured (`is_new`). When somebody else is writing the file at this moment, the next renewal brings both
    /// together.
    fn offer_to_file(&self, family: &SharedFamily, is_new: bool) -> Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| family.family().generation() > 0) else { return Ok(()) };
        let Some(_guard) = file.try_lock()? else { return Ok(()) };
        self.meet_file(family)?;
        let ours = family.family();
        match file.read()? {
            Some(theirs) if !is_new && !ours.has_news_for(&theirs) => Ok(()),
            _ => file.write(&ours),
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
        if carried.generation() == 0 {
            return Ok(());
        }
        let ours = self.family();
        let known = ours.family();
        if known.is_related(&carried) {
            let deadline = Deadline::after(RENEWAL_TIMEOUT, self.ctx.clock.now());
            let _permit = self.permit(&ours, deadline)?;
            let _locked = self.lock_file(deadline)?;
            self.meet_file(&ours)?;
            return ours.change(|family| family.meet(carried), |family| self.write_file(family), None).1;
        }
        // Strangers: ours is what the host configured or what its folder holds.
        if known.generation() > 0 {
            return Ok(());
        }
        let shared = self.registry.join(carried);
        ours.remove_keeper(&self.keeper);
        shared.add_keeper(&self.keeper);
        *lock(&self.family) = shared.clone();
        self.keeper.store(&shared.family())?;
        self.offer_to_file(&shared, false)
    }

    /// The host, or an installation, presents a pair. It is used if the family does not know it; then it is stored too.
    pub fn present(&self, pair: TokenPair, by_host: bool) -> Result<()> {
        let family = self.family();
        let deadline = Deadline::after(RENEWAL_TIMEOUT, self.ctx.clock.now());
        let permit = self.permit(&family, deadline)?;
        // A file that cannot be read is no reason not to use the pair: it may be the only one that is alive.
        let locked = self.lock_file(deadline);
        let met = locked.as_ref().map_or(Ok(()), |_| self.meet_file(&family));
        let presenter = by_host.then_some(&self.keeper);
        let and_store = |family: &TokenFamily| match (&locked, &met) {
            (Ok(_), Ok(())) => self.write_file(family),
            (Err(error), _) | (_, Err(error)) => Err(error.clone()),
        };
        let (_, stored) = family.present(pair, and_store, presenter);
        drop(permit);
        stored
    }

    /// Exchanges an authorization code for the first pair of tokens, stores and uses it.
    pub fn authorize(&self, code: &str) -> Result<()> {
        let family = self.family();
        let deadline = Deadline::after(RENEWAL_TIMEOUT, self.ctx.clock.now());
        let _permit = self.permit(&family, deadline)?;
        let _locked = self.lock_file(deadline)?;
        self.meet_file(&family)?;
        // A code works once: what could fail has to fail before.
        self.reserve_space(&family)?;
        let pair = self.server.exchange_code(code, self.ctx.clock.unix())?;
        family.present(pair, |family| self.write_file(family), None).1
    }

    /// The application was uninstalled: its tokens are dead.
    pub fn retire(&self) {
        // They are dead even where that cannot be stored.
        let (_, _) = self.family().change(TokenFamily::retire, |_| Ok(()), None);
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
        self.renewed_by_host || self.file.is_some() || !self.pair().refresh.is_empty() || self.has_fallback()
    }

    /// Replaces every secret of ours in a text that came from outside.
    pub fn redact(&self, text: &str) -> String {
        let pair = self.pair();
        let secrets = [&pair.access, &pair.refresh, self.server.client_secret()];
        let known = secrets.into_iter().filter(|secret| !secret.is_empty());
        known.fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "***"))
    }

    /// Ends the client's part in its family. Waits for a renewal that is under way in this process, for 20 s at most: its
    /// answer must not get lost. Afterwards nothing is stored or reported for this client.
    pub fn end(&self) {
        let family = self.family();
        family.wait_for_renewal(RENEWAL_TIMEOUT);
        family.remove_keeper(&self.keeper);
        self.keeper.end(RENEWAL_TIMEOUT);
    }

    /// Replaces the pair of which `stale` is the access token by a new one, unless that has been done since. Returns
    /// whether this call bought it. `deadline` bounds the wait for the right to buy, not the purchase.
    pub fn renew(&self, stale: &Secret, deadline: Deadline) -> Result<bool> {
        let family = self.family();
        let _permit = self.permit(&family, deadline)?;
        if family.access() != *stale {
            return Ok(false);
        }
        let locked = self.lock_file(deadline)?;
        self.meet_file(&family)?;
        if family.access() != *stale {
            return Ok(false);
        }
        if self.renewed_by_host {
            return Err(Error::HostMustRenew);
        }
        let TokenPair { refresh, .. } = family.pair();
        let fallback = if refresh.is_empty() { lock(&self.fallback).take() } else { None };
        if let Some(pair) = fallback {
            return family.present(pair, |family| self.write_file(family), None).1.map(|()| true);
        }
        if refresh.is_empty() {
            return Err(refusal::to_error(401, "expired_token", ""));
        }
        self.reserve_space(&family)?;
        let doubt = family.family().renewal_begun();
        let now = self.ctx.clock.unix();
        family.change(|family| family.begin_renewal(now), |family| self.write_file(family), None).1?;
        // The note has taken the room that was reserved.
        if let Err(error) = self.reserve_space(&family) {
            // Nothing was asked for yet. A note that cannot be removed does no harm.
            let (_, _) = family.change(|family| family.restore_doubt(doubt), |_| Ok(()), None);
            return Err(error);
        }
        match self.server.refresh(&refresh, now) {
            Ok(pair) => {
                let (_, stored) = family.change(
                    |family| family.succeed(pair),
                    |family| {
                        let written = self.write_file(family);
                        // Others may go on with the pair from here on.
                        drop(locked);
                        written
                    },
                    None,
                );
                stored.map(|()| true)
            }
            Err(error) => Err(self.not_renewed(&family, doubt, error)),
        }
    }

    /// What a failed renewal means for the note that it had begun. `doubt`: when an earlier one began whose outcome is
    /// not known.
    fn not_renewed(&self, family: &SharedFamily, doubt: Option<u64>, error: Error) -> Error {
        let Error::Refused(refusal) = error else {
            // The server may have sold the pair, and the answer was lost.
            return error;
        };
        match doubt.filter(|_| refusal.code.eq_ignore_ascii_case("invalid_grant")) {
            Some(begun) => Error::Refused(Box::new(Refusal { text: answer_lost(begun), ..*refusal })),
            None => {
                // It was answered, and the pair was not used up. A note that cannot be removed does no harm.
                let (_, _) = family.change(TokenFamily::end_renewal, |family| self.write_file(family), None);
                Error::Refused(refusal)
            }
        }
    }

    fn family(&self) -> Arc<SharedFamily> {
        lock(&self.family).clone()
    }

    fn permit<'a>(&self, family: &'a SharedFamily, deadline: Deadline) -> Result<Permit<'a>> {
        family.permit(deadline, &self.ctx.cancel, &*self.ctx.clock)
    }

    fn reserve_space(&self, family: &SharedFamily) -> Result<()> {
        family.reserve_space()?;
        self.file.as_ref().map_or(Ok(()), |file| file.reserve_space(&family.family()))
    }

    /// Brings the family up to date with the file, which is locked for us.
    fn meet_file(&self, family: &SharedFamily) -> Result<()> {
        let Some(theirs) = self.file.as_ref().map_or(Ok(None), TokensFile::read)? else { return Ok(()) };
        let ours = family.family();
        if !theirs.has_news_for(&ours) {
            return Ok(());
        }
        let met = |family: &TokenFamily| {
            // What they have to learn from us can wait for the next purchase, if it has to.
            let _ = if family.has_news_for(&theirs) { self.write_file(family) } else { Ok(()) };
            Ok(())
        };
        family.change(|family| family.meet(theirs.clone()), met, None).1
    }

    fn write_file(&self, family: &TokenFamily) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.write(family))
    }

    fn lock_file(&self, deadline: Deadline) -> Result<Option<Guard>> {
        let Some(file) = &self.file else { return Ok(None) };
        loop {
            if let Some(locked) = file.try_lock()? {
                return Ok(Some(locked));
            }
            if deadline.has_passed(self.ctx.clock.now()) {
                return Err(Error::Busy(
                    "another process is renewing the tokens in auth.tokens_file and takes too long; repeat this call \
                     later"
                        .into(),
                ));
            }
            self.ctx.cancel.sleep(FILE_LOCK_INTERVAL)?;
        }
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
