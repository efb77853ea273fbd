//! A pair of tokens and all that grow out of it: a refresh token works once, so they make one chain, which has one renewal
//! at a time. Clients of this process that start from the same pair share the chain.

use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use once_cell::sync::Lazy;

use crate::clock::Clock;
use crate::closing::Closing;
use crate::error::{Error, Result};
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
    /// For how many seconds `access` was good when it was bought; 0 when not known.
    pub lifetime: u64,
    /// The portal's REST address, or empty when the answer did not name it.
    pub client_endpoint: String,
    /// The portal's lasting id, or empty.
    pub member_id: String,
}

impl TokenPair {
    /// No tokens at all.
    pub fn none() -> TokenPair {
        let nothing = Secret::new("");
        TokenPair {
            access: nothing.clone(),
            refresh: nothing,
            expires: 0,
            lifetime: 0,
            client_endpoint: String::new(),
            member_id: String::new(),
        }
    }
}

/// Told of every new pair before it is used, so that it is stored first.
pub type TokensSink = Arc<Sink>;
type Sink = dyn Fn(&TokenPair) + Send + Sync;

/// Past tokens that a chain remembers, to know clients that start from one of them.
const MOST_PAST: usize = 256;

/// The chains of this process.
static CHAINS: Lazy<Mutex<Vec<Weak<Chain>>>> = Lazy::new(Mutex::default);

/// See the module.
pub(super) struct Chain {
    state: Mutex<ChainState>,
    /// Holds one permit: who has it renews.
    permit: (Sender<()>, Receiver<()>),
}

struct ChainState {
    pair: TokenPair,
    past: Vec<Secret>,
    sinks: Vec<Weak<Sink>>,
}

impl Chain {
    /// The chain that knows this pair, or a new one.
    pub(super) fn of(pair: TokenPair) -> Arc<Chain> {
        let mut chains = lock(&CHAINS);
        chains.retain(|chain| chain.strong_count() > 0);
        let known =
            chains.iter().filter_map(Weak::upgrade).find(|chain| !pair.access.is_empty() && chain.knows(&pair.access));
        if let Some(chain) = known {
            chain.complete(pair);
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

    /// The pair in use.
    pub(super) fn pair(&self) -> TokenPair {
        lock(&self.state).pair.clone()
    }

    /// The access token to use now.
    pub(super) fn access(&self) -> Secret {
        lock(&self.state).pair.access.clone()
    }

    /// Whether this is the access token in use, or was.
    pub(super) fn knows(&self, access: &Secret) -> bool {
        let state = lock(&self.state);
        state.pair.access == *access || state.past.contains(access)
    }

    /// Takes what `pair` knows better of the present access token.
    fn complete(&self, pair: TokenPair) {
        let present = &mut lock(&self.state).pair;
        if present.access != pair.access {
            return;
        }
        if !pair.refresh.is_empty() {
            present.refresh = pair.refresh;
        }
        if pair.expires != 0 {
            present.expires = pair.expires;
            present.lifetime = pair.lifetime;
        }
        if !pair.client_endpoint.is_empty() {
            present.client_endpoint = pair.client_endpoint;
        }
    }

    /// From now on `sink` is told of new pairs.
    pub(super) fn listen(&self, sink: &TokensSink) {
        self.forget(sink);
        lock(&self.state).sinks.push(Arc::downgrade(sink));
    }

    /// `sink` is told no more.
    pub(super) fn forget(&self, sink: &TokensSink) {
        let sink = Arc::downgrade(sink);
        lock(&self.state).sinks.retain(|known| !known.ptr_eq(&sink));
    }

    /// Stores the pair with everyone who listens, and uses it then.
    pub(super) fn advance(&self, pair: TokenPair) {
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
    pub(super) fn permit(&self, deadline: Instant, closing: &Closing, clock: &dyn Clock) -> Result<Permit<'_>> {
        let left = deadline.saturating_duration_since(clock.now());
        select! {
            recv(self.permit.1) -> _ => Ok(Permit(&self.permit.0)),
            recv(closing.receiver()) -> _ => Err(closing.end()),
            default(left) => Err(Error::Timeout("the tokens are being renewed by another call, which takes too long; repeat later".into())),
        }
    }
}

/// The right to renew; given back when dropped.
pub(super) struct Permit<'a>(&'a Sender<()>);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // There is room for it: it was taken out before.
        let _ = self.0.send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(access: &str) -> TokenPair {
        TokenPair {
            access: Secret::new(access),
            refresh: Secret::new(format!("refresh of {access}")),
            ..TokenPair::none()
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
            assert_eq!(late.access().expose(), "same-2", "{known}");
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
                let used = chain.access();
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
