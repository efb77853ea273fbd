//! A token family as the clients of one process share it: one renewal at a time, and everyone stores the outcome.

mod files;
mod member;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::cancel::Cancellation;
use crate::clock::{Clock, Deadline};
use crate::error::{Error, Result};
use crate::lock;
use crate::secret::Secret;
use crate::state::family::TokenFamily;
use crate::state::tokens::TokenPair;

pub(super) use files::Files;
pub(super) use member::Member;
pub use member::TokenKeeper;

/// See the module.
pub(super) struct SharedFamily {
    /// Whoever needs the permits of two families takes that of the lower number first.
    number: u64,
    state: Mutex<State>,
    /// Holds one permit: whoever has it may renew.
    permit: (Sender<()>, Receiver<()>),
}

struct State {
    /// What was decided last. Its pair is stored, and the hosts are being told.
    family: TokenFamily,
    /// The pair for calls: the last one of which the hosts know.
    in_use: TokenPair,
    /// Changes with the family.
    version: u64,
    members: Vec<Weak<Member>>,
    /// Clients that have ended. Their successors begin with what they stored, so it must not fall behind while others go
    /// on with the tokens.
    ended: Vec<Arc<dyn TokenKeeper>>,
}

impl SharedFamily {
    /// A family of which nobody is a member yet.
    pub(super) fn new(family: TokenFamily) -> Arc<SharedFamily> {
        let (give, take) = bounded(1);
        // There is room for it.
        let _ = give.send(());
        let in_use = family.pair().clone();
        let state = State { family, in_use, version: unique(), members: Vec::new(), ended: Vec::new() };
        Arc::new(SharedFamily { number: unique(), state: Mutex::new(state), permit: (give, take) })
    }

    /// See [`SharedFamily::number`].
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The family as it is now.
    pub(super) fn family(&self) -> TokenFamily {
        lock(&self.state).family.clone()
    }

    /// The pair to use now.
    pub(super) fn pair(&self) -> TokenPair {
        lock(&self.state).in_use.clone()
    }

    /// The access token to use now.
    pub(super) fn access(&self) -> Secret {
        lock(&self.state).in_use.access.clone()
    }

    /// Whether this access token is or was one of the family.
    pub(super) fn knows(&self, access: &Secret) -> bool {
        lock(&self.state).family.knows(access)
    }

    /// Whether somebody uses it, and it is a branch of the family `other`.
    pub(super) fn is_related(&self, other: &TokenFamily) -> bool {
        let state = lock(&self.state);
        state.members.iter().any(|member| member.strong_count() > 0) && state.family.is_related(other)
    }

    /// Who uses it.
    pub(super) fn members(&self) -> Vec<Arc<Member>> {
        lock(&self.state).members()
    }

    /// From now on the member is given every new generation.
    pub(super) fn add(&self, member: &Arc<Member>) {
        lock(&self.state).members.push(Arc::downgrade(member));
    }

    /// The member has ended: from now on only what it stored for its successor is kept up to date.
    pub(super) fn remove(&self, member: &Arc<Member>, keeper: &Arc<dyn TokenKeeper>) {
        let member = Arc::downgrade(member);
        let key = keeper.storage_key();
        let mut state = lock(&self.state);
        state.members.retain(|known| !known.ptr_eq(&member));
        if key.is_some() {
            state.ended.retain(|ended| ended.storage_key() != key);
            state.ended.push(keeper.clone());
        }
    }

    /// Everyone who uses it, for the family that takes its place.
    pub(super) fn take_members(&self) -> Vec<Arc<Member>> {
        let mut state = lock(&self.state);
        let members = state.members();
        state.members.clear();
        members
    }

    /// Takes over the clients of another family that have ended.
    pub(super) fn take_ended_of(&self, other: &SharedFamily) {
        let ended = std::mem::take(&mut lock(&other.state).ended);
        lock(&self.state).ended.extend(ended);
        self.store_for_successors();
    }

    fn store_for_successors(&self) {
        let (family, ended) = {
            let state = lock(&self.state);
            (state.family.clone(), state.ended.clone())
        };
        // What cannot be stored now is stored another time.
        let begun = |keeper: &&Arc<dyn TokenKeeper>| keeper.store_after_end(&family) == Ok(false);
        let begun: Vec<_> = ended.iter().filter(begun).collect();
        lock(&self.state).ended.retain(|keeper| !begun.iter().any(|begun| Arc::ptr_eq(begun, keeper)));
    }

    /// Makes sure that every member has room for a new pair.
    pub(super) fn reserve_space(&self) -> Result<()> {
        self.members().iter().try_for_each(|member| member.reserve_space())
    }

    /// Changes a copy of the family, stores it in the files and with every member who has not stored this version,
    /// reports a new pair to the hosts (except that of `presenter`, who brought it), and only then uses it. The first
    /// failure to store is returned; the change is used all the same, as nobody can buy a pair again. When something else
    /// has changed the family meanwhile, or somebody has joined, it is done once more. `last`: the files are unlocked as
    /// soon as the outcome is in them, whatever the hosts do with it.
    pub(super) fn change<T>(
        &self,
        change: impl Fn(&mut TokenFamily) -> T,
        files: &mut Files,
        presenter: Option<&Arc<Member>>,
        last: bool,
    ) -> (T, Result<()>) {
        loop {
            let (before, version, members) = {
                let mut state = lock(&self.state);
                (state.family.clone(), state.version, state.members())
            };
            let mut family = before.clone();
            let outcome = change(&mut family);
            let next = if family == before { version } else { unique() };
            let mut stored = files.write(&family);
            for member in &members {
                stored = stored.and(member.store(&family, next));
            }
            if !self.decide(version, next, family, &members, presenter) {
                continue;
            }
            if last {
                files.unlock();
            }
            // If a host dies in its own callback, the pair is stored already.
            members.iter().for_each(|member| member.report());
            self.use_pair_of(next);
            if next != version {
                self.store_for_successors();
            }
            return (outcome, stored);
        }
    }

    /// Makes `family` the one from which others go on, unless there is another version than `version`, or there are other
    /// members than `members`. What the hosts have to be told is put down under the same lock, so that all of them are
    /// told of the changes in the order in which they were decided.
    fn decide(
        &self,
        version: u64,
        next: u64,
        family: TokenFamily,
        members: &[Arc<Member>],
        presenter: Option<&Arc<Member>>,
    ) -> bool {
        let mut state = lock(&self.state);
        if !state.is_unchanged(version, members) {
            return false;
        }
        for member in state.members() {
            member.note(family.pair(), presenter.is_some_and(|own| Arc::ptr_eq(own, &member)));
        }
        state.family = family;
        state.version = next;
        true
    }

    /// The hosts know the pair of this version. Whoever has decided a later one meanwhile does the same for that one.
    fn use_pair_of(&self, version: u64) {
        let mut state = lock(&self.state);
        if state.version == version {
            state.in_use = state.family.pair().clone();
        }
    }

    /// Waits for the right to change the family.
    pub(super) fn permit(&self, deadline: Deadline, cancel: &Cancellation, clock: &dyn Clock) -> Result<Permit> {
        let permit = match self.permit.1.try_recv() {
            Ok(()) => Permit(self.permit.0.clone()),
            Err(_) => select! {
                recv(self.permit.1) -> _ => Permit(self.permit.0.clone()),
                recv(cancel.receiver()) -> _ => return Err(cancel.reason()),
                default(deadline.left(clock.now())) => return Err(Error::Busy(
                    "another call is renewing the tokens and takes too long; repeat this call later".into(),
                )),
            },
        };
        // A client that is about to end waits for whoever has the permit, but nobody may start then.
        cancel.check()?;
        Ok(permit)
    }

    /// Waits until nobody renews, for so long at most. Nobody does while the permit is kept.
    pub(super) fn wait_for_permit(&self, max: Duration) -> Option<Permit> {
        self.permit.1.recv_timeout(max).ok().map(|()| Permit(self.permit.0.clone()))
    }
}

impl State {
    fn members(&mut self) -> Vec<Arc<Member>> {
        self.members.retain(|member| member.strong_count() > 0);
        self.members.iter().filter_map(Weak::upgrade).collect()
    }

    /// Whether the family is still of this version, and has no other members than these. Others may have ended.
    fn is_unchanged(&self, version: u64, members: &[Arc<Member>]) -> bool {
        let is_known = |member: &Weak<Member>| {
            member.strong_count() == 0 || members.iter().any(|known| Arc::as_ptr(known) == member.as_ptr())
        };
        self.version == version && self.members.iter().all(is_known)
    }
}

/// The right to change the family, given back when dropped.
pub(super) struct Permit(Sender<()>);

impl Drop for Permit {
    fn drop(&mut self) {
        // There is room for it: it was taken out before.
        let _ = self.0.send(());
    }
}

/// A number that nothing else in this process has.
fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
