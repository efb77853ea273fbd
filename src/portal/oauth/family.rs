//! A token family as the clients of one process share it: one renewal at a time, and everyone stores the outcome.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::cancel::Cancellation;
use crate::clock::{Clock, Deadline};
use crate::error::{Error, Result};
use crate::lock;
use crate::secret::Secret;
use crate::state::family::{Presented, TokenFamily};
use crate::state::tokens::TokenPair;

/// Where one client stores its tokens: in its state, and with its host.
pub trait TokenKeeper: Send + Sync {
    /// Makes sure that a new pair can be stored.
    fn reserve_space(&self) -> Result<()>;

    /// Stores the family durably.
    fn store(&self, family: &TokenFamily) -> Result<()>;

    /// Reports the newest pair to the host.
    fn report(&self, pair: &TokenPair);

    /// The client has ended: the host is not called again. Waits for a report under way, for so long at most.
    fn end(&self, max: Duration);
}

/// See the module.
pub(super) struct SharedFamily {
    state: Mutex<State>,
    /// Holds one permit: whoever has it may renew.
    permit: (Sender<()>, Receiver<()>),
}

struct State {
    family: TokenFamily,
    keepers: Vec<Weak<dyn TokenKeeper>>,
}

/// The families of a process. Clients whose tokens are of one family share it.
#[derive(Default)]
pub(super) struct Registry(Mutex<Vec<Weak<SharedFamily>>>);

impl Registry {
    /// The shared family that this one belongs to: a known one, which is brought up to date, or a new one.
    pub(super) fn join(&self, family: TokenFamily) -> Arc<SharedFamily> {
        let mut families = lock(&self.0);
        families.retain(|family| family.strong_count() > 0);
        for shared in families.iter().filter_map(Weak::upgrade) {
            if shared.family().is_related(&family) {
                drop(families);
                // Whoever shares it stores what is news to them; their own clients report when that fails.
                let (_, _) = shared.change(|known| known.meet(family), |_| Ok(()), None);
                return shared;
            }
        }
        let (give, take) = bounded(1);
        // There is room for it.
        let _ = give.send(());
        let state = State { family, keepers: Vec::new() };
        let shared = Arc::new(SharedFamily { state: Mutex::new(state), permit: (give, take) });
        families.push(Arc::downgrade(&shared));
        shared
    }
}

impl SharedFamily {
    /// The family as it is now.
    pub(super) fn family(&self) -> TokenFamily {
        lock(&self.state).family.clone()
    }

    /// The newest pair.
    pub(super) fn pair(&self) -> TokenPair {
        lock(&self.state).family.pair().clone()
    }

    /// The access token to use now.
    pub(super) fn access(&self) -> Secret {
        lock(&self.state).family.pair().access.clone()
    }

    /// Whether this access token is or was one of the family.
    pub(super) fn knows(&self, access: &Secret) -> bool {
        lock(&self.state).family.knows(access)
    }

    /// From now on the keeper is given every new generation.
    pub(super) fn add_keeper(&self, keeper: &Arc<dyn TokenKeeper>) {
        self.remove_keeper(keeper);
        lock(&self.state).keepers.push(Arc::downgrade(keeper));
    }

    /// The keeper is given nothing more.
    pub(super) fn remove_keeper(&self, keeper: &Arc<dyn TokenKeeper>) {
        let keeper = Arc::downgrade(keeper);
        lock(&self.state).keepers.retain(|known| !known.ptr_eq(&keeper));
    }

    /// Makes sure that every keeper has room for a new pair.
    pub(super) fn reserve_space(&self) -> Result<()> {
        self.keepers().iter().try_for_each(|keeper| keeper.reserve_space())
    }

    /// Changes a copy of the family, has `and_store` and every keeper store it, reports a new pair to the hosts (except
    /// that of `presenter`, who brought it), and only then uses it. The first failure to store is returned; the change is
    /// used all the same, as nobody can buy a pair again.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut TokenFamily) -> T,
        and_store: impl FnOnce(&TokenFamily) -> Result<()>,
        presenter: Option<&Arc<dyn TokenKeeper>>,
    ) -> (T, Result<()>) {
        let mut family = self.family();
        let before = family.pair().access.clone();
        let outcome = change(&mut family);
        let mut stored = and_store(&family);
        let keepers = self.keepers();
        for keeper in &keepers {
            stored = stored.and(keeper.store(&family));
        }
        // If the host dies in its own callback, the pair is stored already.
        if family.pair().access != before && !family.pair().is_none() {
            let others = |keeper: &&Arc<dyn TokenKeeper>| presenter.is_none_or(|own| !Arc::ptr_eq(keeper, own));
            keepers.iter().filter(others).for_each(|keeper| keeper.report(family.pair()));
        }
        let mut state = lock(&self.state);
        let meanwhile = std::mem::replace(&mut state.family, family);
        if meanwhile.is_newer_than(&state.family) {
            state.family.meet(meanwhile);
        }
        (outcome, stored)
    }

    /// Presents a pair, see [`TokenFamily::present`].
    pub(super) fn present(
        &self,
        pair: TokenPair,
        and_store: impl FnOnce(&TokenFamily) -> Result<()>,
        presenter: Option<&Arc<dyn TokenKeeper>>,
    ) -> (Presented, Result<()>) {
        self.change(|family| family.present(pair), and_store, presenter)
    }

    /// Waits for the right to change the family.
    pub(super) fn permit(&self, deadline: Deadline, cancel: &Cancellation, clock: &dyn Clock) -> Result<Permit<'_>> {
        let left = deadline.left(clock.now());
        let permit = select! {
            recv(self.permit.1) -> _ => Permit(&self.permit.0),
            recv(cancel.receiver()) -> _ => return Err(cancel.reason()),
            default(left) => return Err(Error::Busy(
                "another call is renewing the tokens and takes too long; repeat this call later".into(),
            )),
        };
        // A client that is about to end waits for whoever has the permit, but nobody may start then.
        cancel.check()?;
        Ok(permit)
    }

    /// Waits until nobody renews, for so long at most.
    pub(super) fn wait_for_renewal(&self, max: Duration) {
        // Taking the permit means that nobody else has it.
        if self.permit.1.recv_timeout(max).is_ok() {
            drop(Permit(&self.permit.0));
        }
    }

    fn keepers(&self) -> Vec<Arc<dyn TokenKeeper>> {
        let mut state = lock(&self.state);
        state.keepers.retain(|keeper| keeper.strong_count() > 0);
        state.keepers.iter().filter_map(Weak::upgrade).collect()
    }
}

/// The right to change the family, given back when dropped.
pub(super) struct Permit<'a>(&'a Sender<()>);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // There is room for it: it was taken out before.
        let _ = self.0.send(());
    }
}
