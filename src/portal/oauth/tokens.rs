//! The application's tokens (protocol.md §2.3).
//!
//! A refresh token works once, so a pair of tokens and all that grow out of it make one family (`token_chain`).
//! Clients of this process share it by themselves; processes of one machine can share it through `auth.tokens_file`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::family::{Family, TokensSink};
use super::server::AuthServer;
use crate::cancel::Cancellation;
use crate::clock::{Clock, Deadline};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::lock;
use crate::portal::refusal;
use crate::secret::Secret;
use crate::state::private_file::{FileLock, PrivateFile};
use crate::state::stored_tokens::StoredTokens;
use crate::state::tokens::TokenPair;

/// A token is renewed this many seconds before it expires, so that it does not expire on the way; one that lives short,
/// in the last tenth of its life.
const MARGIN: u64 = 30;

/// How often a lock that another process holds is tried again: a file lock wakes nobody who could be interrupted.
const FILE_LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// One client's view of a family.
pub struct Tokens {
    family: Mutex<Arc<Family>>,
    configured: Secret,
    client_id: String,
    authorization: AuthServer,
    renewed_by_host: bool,
    file: Option<PrivateFile>,
    sink: TokensSink,
    /// Came with an event: used when ours has expired and cannot be renewed.
    fallback: Mutex<Option<TokenPair>>,
    clock: Arc<dyn Clock>,
    cancel: Cancellation,
}

impl Tokens {
    /// The pair that the tokens' file holds, else the one that the settings hold.
    pub fn new(settings: &Settings, sink: TokensSink, clock: Arc<dyn Clock>, cancel: Cancellation) -> Result<Tokens> {
        let file = settings.tokens_file.clone().map(PrivateFile::new).transpose()?;
        let configured = TokenPair {
            access: settings.access_token.clone(),
            refresh: settings.refresh_token.clone(),
            expires: settings.expires,
            ..TokenPair::none()
        };
        let stored = match &file {
            Some(file) => read_kept(file, &settings.client_id)?,
            None => None,
        };
        let stored = stored.and_then(|stored| stored.descended_from(&settings.access_token));
        let tokens = Tokens {
            family: Mutex::new(Family::of(stored.unwrap_or(configured))),
            configured: settings.access_token.clone(),
            client_id: settings.client_id.clone(),
            authorization: AuthServer::new(settings),
            renewed_by_host: settings.renewed_by_host,
            file,
            sink,
            fallback: Mutex::default(),
            clock,
            cancel,
        };
        tokens.family().listen(&tokens.sink);
        Ok(tokens)
    }

    /// The pair in use.
    pub fn pair(&self) -> TokenPair {
        self.family().pair()
    }

    /// Uses this pair from now on.
    pub fn replace(&self, pair: TokenPair) {
        let family = Family::of(pair);
        let mut current = lock(&self.family);
        current.forget(&self.sink);
        family.listen(&self.sink);
        *current = family;
    }

    /// The same for a pair that the host has got; whoever shares the tokens' file is to have it too.
    pub fn put_in(&self, pair: TokenPair) -> Result<()> {
        self.keep(&pair, &self.configured)?;
        self.replace(pair);
        Ok(())
    }

    /// Buys the first pair with an authorization code, stores it and uses it.
    pub fn authorize(&self, code: &str) -> Result<TokenPair> {
        let pair = self.authorization.first(code, self.clock.unix())?;
        self.adopt(pair.clone())?;
        Ok(pair)
    }

    /// Stores a pair that starts a family, and uses it.
    pub fn adopt(&self, pair: TokenPair) -> Result<()> {
        // Even if it could not be kept, the pair is used: nobody can buy it again.
        let stored = self.keep(&pair, &self.configured);
        (self.sink)(&pair);
        self.replace(pair);
        stored
    }

    /// Whether the family holds this access token or has held it.
    pub fn knows(&self, access: &Secret) -> bool {
        self.family().knows(access)
    }

    /// A pair that may stand in when ours has expired and cannot be renewed.
    pub fn offer_fallback(&self, pair: TokenPair) {
        if !self.renewed_by_host && !pair.access.is_empty() && !self.knows(&pair.access) {
            *lock(&self.fallback) = Some(pair);
        }
    }

    /// Whether there is a pair that may stand in.
    pub fn has_fallback(&self) -> bool {
        lock(&self.fallback).is_some()
    }

    /// The access token to use now.
    pub fn access(&self) -> Secret {
        self.family().access()
    }

    /// Whether the current token is about to expire and can be renewed here.
    pub fn is_due(&self) -> bool {
        let pair = self.pair();
        let known = pair.expires != 0 && !pair.refresh.is_empty() && !self.renewed_by_host;
        let margin = if pair.lifetime == 0 { MARGIN } else { MARGIN.min(pair.lifetime / 10) };
        known && self.clock.unix().saturating_add(margin) >= pair.expires
    }

    /// Whether there is what a renewal needs, whom to ask for one, or a pair that may stand in.
    pub fn can_renew(&self) -> bool {
        self.renewed_by_host || self.file.is_some() || !self.pair().refresh.is_empty() || self.has_fallback()
    }

    /// Replaces every secret of ours in a text that came from outside.
    pub fn redact(&self, text: &str) -> String {
        let pair = self.pair();
        let secrets = [&pair.access, &pair.refresh, self.authorization.client_secret()];
        let known = secrets.into_iter().filter(|secret| !secret.is_empty());
        known.fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "***"))
    }

    /// Replaces the pair of which `stale` is the access token by a new one, unless that has been done since. Returns
    /// whether this call bought it. `deadline` bounds the wait for the right to buy, not the purchase.
    pub fn renew(&self, stale: &Secret, deadline: Deadline) -> Result<bool> {
        let family = self.family();
        let _permit = family.permit(deadline, &self.cancel, &*self.clock)?;
        let TokenPair { access, refresh, .. } = family.pair();
        if access != *stale {
            return Ok(false);
        }
        let _locked = self.lock_file(deadline)?;
        let shared = self.read_file()?.and_then(|stored| stored.descended_from(stale));
        if let Some(shared) = shared.filter(|shared| shared.access != *stale) {
            family.succeed_with(shared);
            return Ok(false);
        }
        if self.renewed_by_host {
            return Err(Error::HostMustRenew);
        }
        let fallback = if refresh.is_empty() { lock(&self.fallback).take() } else { None };
        if let Some(pair) = fallback {
            let stored = self.keep(&pair, stale);
            family.succeed_with(pair);
            return stored.map(|()| true);
        }
        if refresh.is_empty() {
            return Err(refusal::refused(401, "expired_token", ""));
        }
        let pair = self.authorization.next(&refresh, self.clock.unix())?;
        // Even if it could not be kept, the pair is used: the old one is dead.
        let stored = self.keep(&pair, stale);
        family.succeed_with(pair);
        stored.map(|()| true)
    }

    fn family(&self) -> Arc<Family> {
        lock(&self.family).clone()
    }

    /// Writes a pair that takes the place of `stale` into the tokens' file.
    fn keep(&self, pair: &TokenPair, stale: &Secret) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut ancestors = self.read_file()?.map(|stored| stored.ancestors()).unwrap_or_default();
        ancestors.extend([&self.configured, stale].map(|root| root.expose().to_owned()));
        // Texts and numbers: nothing in it can fail to be written.
        file.write(&serde_json::to_vec(&StoredTokens::new(pair, ancestors).of(&self.client_id)).unwrap_or_default())
    }

    fn read_file(&self) -> Result<Option<StoredTokens>> {
        self.file.as_ref().map_or(Ok(None), |file| read_kept(file, &self.client_id))
    }

    fn lock_file(&self, deadline: Deadline) -> Result<Option<FileLock>> {
        let Some(file) = &self.file else { return Ok(None) };
        loop {
            if let Some(locked) = file.try_lock()? {
                return Ok(Some(locked));
            }
            if deadline.has_passed(self.clock.now()) {
                return Err(Error::Timeout(
                    "another process renews the tokens and does not come to an end; repeat later".into(),
                ));
            }
            self.cancel.sleep(FILE_LOCK_INTERVAL)?;
        }
    }
}

fn read_kept(file: &PrivateFile, client_id: &str) -> Result<Option<StoredTokens>> {
    let Some(text) = file.read()? else { return Ok(None) };
    // serde's text could quote a token.
    let stored: StoredTokens = serde_json::from_str(&text).map_err(|_| {
        Error::State(format!(
            "{} holds no tokens; remove it, or set auth.tokens_file to another file",
            file.path().display()
        ))
    })?;
    if !stored.may_belong_to(client_id) {
        let path = file.path().display();
        return Err(Error::State(format!(
            "{path} holds the tokens of another application; set auth.tokens_file to a file of its own"
        )));
    }
    Ok(Some(stored))
}
