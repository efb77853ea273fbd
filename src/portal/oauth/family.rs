//! A pair of tokens and all that grow out of it: a refresh token works once, so they make one family, which has one renewal
//! at a time. Clients of this process that start from the same pair share the family.

use std::sync::{Arc, Mutex, Weak};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use once_cell::sync::Lazy;

use crate::cancel::Cancellation;
use crate::clock::{Clock, Deadline};
use crate::error::{Error, Result};
use crate::lock;
use crate::secret::Secret;
use crate::state::tokens::TokenPair;

/// Told of every new pair before it is used, so that it is stored first.
pub type TokensSink = Arc<Sink>;
type Sink = dyn Fn(&TokenPair) + Send + Sync;

/// Past tokens that a family remembers, to know clients that start from one of them.
const MAX_ANCESTORS: usize = 256;

/// The families of this process.
static FAMILIES: Lazy<Mutex<Vec<Weak<Family>>>> = Lazy::new(Mutex::default);

/// See the module.
pub(super) struct Family {
    state: Mutex<FamilyState>,
    /// Holds one permit: who has it renews.
    permit: (Sender<()>, Receiver<()>),
}

struct FamilyState {
    pair: TokenPair,
    ancestors: Vec<Secret>,
    sinks: Vec<Weak<Sink>>,
}

impl Family {
    /// The family that knows this pair, or a new one.
    pub(super) fn of(pair: TokenPair) -> Arc<Family> {
        let mut families = lock(&FAMILIES);
        families.retain(|family| family.strong_count() > 0);
        let known = families
            .iter()
            .filter_map(Weak::upgrade)
            .find(|family| !pair.access.is_empty() && family.knows(&pair.access));
        if let Some(family) = known {
            family.complete(pair);
            return family;
        }
        let (give, take) = bounded(1);
        // There is room for it.
        let _ = give.send(());
        let state = FamilyState { pair, ancestors: Vec::new(), sinks: Vec::new() };
        let family = Arc::new(Family { state: Mutex::new(state), permit: (give, take) });
        families.push(Arc::downgrade(&family));
        family
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
        state.pair.access == *access || state.ancestors.contains(access)
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
    pub(super) fn succeed_with(&self, pair: TokenPair) {
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
        if state.ancestors.len() == MAX_ANCESTORS {
            state.ancestors.remove(0);
        }
        let old = std::mem::replace(&mut state.pair, pair);
        state.ancestors.push(old.access);
    }

    /// Waits for the right to renew.
    pub(super) fn permit(&self, deadline: Deadline, cancel: &Cancellation, clock: &dyn Clock) -> Result<Permit<'_>> {
        let left = deadline.left(clock.now());
        select! {
            recv(self.permit.1) -> _ => Ok(Permit(&self.permit.0)),
            recv(cancel.receiver()) -> _ => Err(cancel.reason()),
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
        let first = Family::of(pair("same-1"));
        assert!(Arc::ptr_eq(&first, &Family::of(pair("same-1"))));
        assert!(!Arc::ptr_eq(&first, &Family::of(pair("another"))));
        first.succeed_with(pair("same-2"));
        for known in ["same-1", "same-2"] {
            let late = Family::of(pair(known));
            assert_eq!(late.access().expose(), "same-2", "{known}");
        }
        assert!(!Arc::ptr_eq(&Family::of(pair("")), &Family::of(pair(""))), "no token is no family");
    }

    #[test]
    fn a_new_pair_is_told_before_it_is_used_and_only_to_who_still_listens() {
        let family = Family::of(pair("told-1"));
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = |name: &'static str| -> TokensSink {
            let (told, family) = (told.clone(), family.clone());
            Arc::new(move |pair| {
                let used = family.access();
                lock(&told).push(format!("{name}: {} before {}", used.expose(), pair.access.expose()));
            })
        };
        let (stays, goes) = (sink("stays"), sink("goes"));
        family.listen(&stays);
        family.listen(&goes);
        drop(goes);
        family.succeed_with(pair("told-2"));
        assert_eq!(*lock(&told), ["stays: told-1 before told-2"]);
    }
}
