//! The application's tokens (protocol.md §2.3).
//!
//! A refresh token works once, so a pair of tokens and all that grow out of it make one *chain*, which has one renewal at
//! a time: clients of this process that start from the same pair share the chain, and processes of one machine can share
//! it through `auth.tokens_file`.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use once_cell::sync::Lazy;

use super::authorization::Authorization;
use super::http::Http;
use super::kept_tokens::KeptTokens;
use crate::clock::Clock;
use crate::closing::Closing;
use crate::config::Settings;
use crate::error::{Error, Refusal, Result, Status};
use crate::kept_file::{FileLock, KeptFile};
use crate::lock;
use crate::secret::Secret;

/// A pair of tokens and what came with it.
#[derive(Clone, Debug)]
pub struct TokenPair {
    /// Sent with every call.
    pub access: Secret,
    /// Buys the next pair, once.
    pub refresh: Secret,
    /// When `access` expires by this computer's clock, seconds since 1970; 0 when not known.
    pub expires: u64,
    /// The portal's REST address, or empty when the answer did not name it.
    pub client_endpoint: String,
    /// The portal's lasting id, or empty.
    pub member_id: String,
}

/// Told of every new pair before it is used, so that it is stored first.
pub type TokensSink = Arc<Sink>;
type Sink = dyn Fn(&TokenPair) + Send + Sync;

/// A token is renewed this long before it expires, so that it does not expire on the way.
const MARGIN: Duration = Duration::from_secs(30);

/// How often a lock that another process holds is tried again: a file lock wakes nobody who could be interrupted.
const FILE_LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// Past tokens that a chain remembers, to know clients that start from one of them.
const MOST_PAST: usize = 256;

/// The chains of this process.
static CHAINS: Lazy<Mutex<Vec<Weak<Chain>>>> = Lazy::new(Mutex::default);

struct Chain {
    state: Mutex<ChainState>,
    /// Holds one permit: who has it renews.
    permit: (Sender<()>, Receiver<()>),
}

struct ChainState {
    pair: TokenPair,
    past: Vec<Secret>,
    sinks: Vec<Weak<Sink>>,
}

/// One client's view of a chain.
pub struct Tokens {
    chain: Mutex<Arc<Chain>>,
    configured: Secret,
    authorization: Authorization,
    renewed_by_host: bool,
    file: Option<KeptFile>,
    sink: TokensSink,
    clock: Arc<dyn Clock>,
    closing: Closing,
}

impl Tokens {
    /// The pair that the tokens' file holds, else the one that the settings hold.
    pub fn new(settings: &Settings, sink: TokensSink, clock: Arc<dyn Clock>, closing: Closing) -> Result<Tokens> {
        let file = settings.tokens_file.clone().map(KeptFile::new).transpose()?;
        let configured = TokenPair {
            access: settings.access_token.clone(),
            refresh: settings.refresh_token.clone(),
            expires: settings.expires,
            client_endpoint: String::new(),
            member_id: String::new(),
        };
        let kept = match &file {
            Some(file) => read_kept(file, &settings.access_token)?,
            None => None,
        };
        let tokens = Tokens {
            chain: Mutex::new(Chain::of(kept.unwrap_or(configured))),
            configured: settings.access_token.clone(),
            authorization: Authorization::new(settings),
            renewed_by_host: settings.renewed_by_host,
            file,
            sink,
            clock,
            closing,
        };
        tokens.chain().listen(&tokens.sink);
        Ok(tokens)
    }

    /// The pair in use.
    pub fn pair(&self) -> TokenPair {
        lock(&self.chain().state).pair.clone()
    }

    /// Uses this pair from now on.
    pub fn replace(&self, pair: TokenPair) {
        let chain = Chain::of(pair);
        chain.listen(&self.sink);
        *lock(&self.chain) = chain;
    }

    /// Buys the first pair with an authorization code, stores it and uses it.
    pub fn authorize(&self, code: &str, http: &Http, timeout: Duration) -> Result<TokenPair> {
        let pair = self.authorization.first(code, http, timeout, self.clock.unix())?;
        self.keep(&pair)?;
        (self.sink)(&pair);
        self.replace(pair.clone());
        Ok(pair)
    }

    /// The access token to use now.
    pub fn access(&self) -> Secret {
        lock(&self.chain().state).pair.access.clone()
    }

    /// Whether the current token is about to expire and can be renewed here.
    pub fn is_due(&self) -> bool {
        let pair = self.pair();
        let known = pair.expires != 0 && !pair.refresh.is_empty() && !self.renewed_by_host;
        known && self.clock.unix() + MARGIN.as_secs() >= pair.expires
    }

    /// Whether there is what a renewal needs, or whom to ask for one.
    pub fn can_renew(&self) -> bool {
        self.renewed_by_host || !self.pair().refresh.is_empty()
    }

    /// Replaces every secret of ours in a text that came from outside.
    pub fn redact(&self, text: &str) -> String {
        let pair = self.pair();
        let secrets = [&pair.access, &pair.refresh, self.authorization.client_secret()];
        let known = secrets.into_iter().filter(|secret| !secret.is_empty());
        known.fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "***"))
    }

    /// Replaces the pair of which `stale` is the access token by a new one, unless that has been done since. Returns
    /// the new pair when this call bought it.
    pub fn renew(&self, stale: &Secret, http: &Http, deadline: Instant) -> Result<Option<TokenPair>> {
        let chain = self.chain();
        let _permit = chain.permit(deadline, &self.closing, &*self.clock)?;
        let refresh = {
            let state = lock(&chain.state);
            if state.pair.access != *stale {
                return Ok(None);
            }
            state.pair.refresh.clone()
        };
        let _locked = self.lock_file(deadline)?;
        if let Some(shared) = self.read_file()?.filter(|shared| shared.access != *stale) {
            chain.advance(shared);
            return Ok(None);
        }
        if self.renewed_by_host {
            return Err(host_must_renew());
        }
        let left = deadline.saturating_duration_since(self.clock.now());
        let pair = self.authorization.next(&refresh, http, left, self.clock.unix())?;
        // Even if it could not be kept, the pair is used: the old one is dead.
        let kept = self.keep(&pair);
        chain.advance(pair.clone());
        kept.map(|()| Some(pair))
    }

    fn chain(&self) -> Arc<Chain> {
        lock(&self.chain).clone()
    }

    fn keep(&self, pair: &TokenPair) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        // Texts and numbers: nothing in it can fail to be written.
        file.write(&serde_json::to_vec(&KeptTokens::new(pair, &self.configured)).unwrap_or_default())
    }

    fn read_file(&self) -> Result<Option<TokenPair>> {
        self.file.as_ref().map_or(Ok(None), |file| read_kept(file, &self.configured))
    }

    fn lock_file(&self, deadline: Instant) -> Result<Option<FileLock>> {
        let Some(file) = &self.file else { return Ok(None) };
        loop {
            if let Some(locked) = file.try_lock()? {
                return Ok(Some(locked));
            }
            if self.clock.now() >= deadline {
                return Err(Error::Timeout(
                    "another process renews the tokens and does not come to an end; repeat later".into(),
                ));
            }
            self.closing.pause(FILE_LOCK_INTERVAL)?;
        }
    }
}

impl Chain {
    /// The chain that knows this pair, or a new one.
    fn of(pair: TokenPair) -> Arc<Chain> {
        let mut chains = lock(&CHAINS);
        chains.retain(|chain| chain.strong_count() > 0);
        let known = chains.iter().filter_map(Weak::upgrade).find(|chain| {
            let state = lock(&chain.state);
            !pair.access.is_empty() && (state.pair.access == pair.access || state.past.contains(&pair.access))
        });
        if let Some(chain) = known {
            return chain;
        }
        let (give, take) = bounded(1);
        // There is room for it.
        let _ = give.send(());
        let state = ChainState { pair, past: Vec::new(), sinks: Vec::new() };
        let chain = Arc::new(Chain { state: Mutex::new(state), permit: (give, take) });
        chains.push(Arc::downgrade(&chain));
        chain
    }

    fn listen(&self, sink: &TokensSink) {
        lock(&self.state).sinks.push(Arc::downgrade(sink));
    }

    /// Stores the pair with everyone who listens, and uses it then.
    fn advance(&self, pair: TokenPair) {
        let sinks: Vec<TokensSink> = {
            let mut state = lock(&self.state);
            state.sinks.retain(|sink| sink.strong_count() > 0);
            state.sinks.iter().filter_map(Weak::upgrade).collect()
        };
        // If we die now, the new pair is not lost with us.
        for sink in sinks {
            sink(&pair);
        }
        let mut state = lock(&self.state);
        if state.past.len() == MOST_PAST {
            state.past.remove(0);
        }
        let old = std::mem::replace(&mut state.pair, pair);
        state.past.push(old.access);
    }

    /// Waits for the right to renew.
    fn permit(&self, deadline: Instant, closing: &Closing, clock: &dyn Clock) -> Result<Permit<'_>> {
        let left = deadline.saturating_duration_since(clock.now());
        select! {
            recv(self.permit.1) -> _ => Ok(Permit(&self.permit.0)),
            recv(closing.receiver()) -> _ => Err(Error::Closed),
            default(left) => Err(Error::Timeout("the tokens are being renewed by another call, which takes too long; repeat later".into())),
        }
    }
}

/// The right to renew; given back when dropped.
struct Permit<'a>(&'a Sender<()>);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // There is room for it: it was taken out before.
        let _ = self.0.send(());
    }
}

fn read_kept(file: &KeptFile, configured: &Secret) -> Result<Option<TokenPair>> {
    let Some(text) = file.read()? else { return Ok(None) };
    // serde's text could quote a token.
    let kept: KeptTokens = serde_json::from_str(&text).map_err(|_| {
        Error::State(format!(
            "{} holds no tokens; remove it, or set auth.tokens_file to another file",
            file.path().display()
        ))
    })?;
    Ok(kept.newer_than(configured))
}

fn host_must_renew() -> Error {
    Error::Refused(Box::new(Refusal {
        status: Status::Auth,
        code: "expired_token".into(),
        http_status: 401,
        text: "the access token has expired, and auth.renew=host leaves its renewal to the host: put the new pair in with b24_client_set_tokens (1C: УстановитьТокены)".into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(access: &str) -> TokenPair {
        TokenPair {
            access: Secret::new(access),
            refresh: Secret::new(format!("refresh of {access}")),
            expires: 0,
            client_endpoint: String::new(),
            member_id: String::new(),
        }
    }

    #[test]
    fn who_starts_from_the_same_pair_shares_the_chain() {
        let first = Chain::of(pair("same-1"));
        assert!(Arc::ptr_eq(&first, &Chain::of(pair("same-1"))));
        assert!(!Arc::ptr_eq(&first, &Chain::of(pair("another"))));
        first.advance(pair("same-2"));
        for known in ["same-1", "same-2"] {
            let late = Chain::of(pair(known));
            assert_eq!(lock(&late.state).pair.access.expose(), "same-2", "{known}");
        }
        assert!(!Arc::ptr_eq(&Chain::of(pair("")), &Chain::of(pair(""))), "no token is no chain");
    }

    #[test]
    fn a_new_pair_is_told_before_it_is_used_and_only_to_who_still_listens() {
        let chain = Chain::of(pair("told-1"));
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = |name: &'static str| -> TokensSink {
            let (told, chain) = (told.clone(), chain.clone());
            Arc::new(move |pair| {
                let used = lock(&chain.state).pair.access.clone();
                lock(&told).push(format!("{name}: {} before {}", used.expose(), pair.access.expose()));
            })
        };
        let (stays, goes) = (sink("stays"), sink("goes"));
        chain.listen(&stays);
        chain.listen(&goes);
        drop(goes);
        chain.advance(pair("told-2"));
        assert_eq!(*lock(&told), ["stays: told-1 before told-2"]);
    }
}
