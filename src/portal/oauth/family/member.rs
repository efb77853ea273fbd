//! A client as one of those who share a token family: where it stores tokens, and what its host knows.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::SharedFamily;
use crate::clock::{Clock, Deadline};
use crate::error::{Error, Result};
use crate::lock;
use crate::secret::Secret;
use crate::state::family::TokenFamily;
use crate::state::tokens::TokenPair;
use crate::state::tokens_file::TokensFile;

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

    /// Where it stores tokens for its successor, if it does; the same for every spelling.
    fn storage_key(&self) -> Option<String>;

    /// Stores the family for its successor. Returns false when that has begun, and stores by itself.
    fn store_after_end(&self, family: &TokenFamily) -> Result<bool>;
}

/// See the module.
pub(in crate::portal::oauth) struct Member {
    keeper: Arc<dyn TokenKeeper>,
    /// The file that it shares with other processes.
    file: Option<Arc<TokensFile>>,
    /// The family that it uses. Another one takes its place when both turn out to be one.
    family: Mutex<Arc<SharedFamily>>,
    progress: Mutex<Progress>,
    /// Notified when a report has ended.
    reported: Condvar,
}

/// What has reached the client of what happened to the family.
struct Progress {
    /// The version that it has stored; 0: none.
    stored: u64,
    /// Why the last try to store failed.
    failed: Option<Error>,
    /// The access token that its host knows.
    reported: Secret,
    /// The thread that reports to the host.
    reporter: Option<ThreadId>,
}

impl Member {
    /// A client that begins with this family.
    pub(in crate::portal::oauth) fn new(
        keeper: Arc<dyn TokenKeeper>,
        file: Option<TokensFile>,
        family: Arc<SharedFamily>,
    ) -> Arc<Member> {
        let progress = Mutex::new(Progress { stored: 0, failed: None, reported: family.access(), reporter: None });
        let member = Arc::new(Member {
            keeper,
            file: file.map(Arc::new),
            family: Mutex::new(family),
            progress,
            reported: Condvar::new(),
        });
        member.family().add(&member);
        member
    }

    /// The family that it uses.
    pub(in crate::portal::oauth) fn family(&self) -> Arc<SharedFamily> {
        lock(&self.family).clone()
    }

    /// From now on it uses another family.
    pub(in crate::portal::oauth) fn move_to(self: &Arc<Member>, family: &Arc<SharedFamily>) {
        lock(&self.progress).stored = 0;
        family.add(self);
        *lock(&self.family) = family.clone();
    }

    /// The file that it shares with other processes.
    pub(in crate::portal::oauth) fn file(&self) -> Option<Arc<TokensFile>> {
        self.file.clone()
    }

    /// Makes sure that a new pair can be stored.
    pub(in crate::portal::oauth) fn reserve_space(&self) -> Result<()> {
        self.keeper.reserve_space()
    }

    /// Stores the family, unless this version is stored.
    pub(in crate::portal::oauth) fn store(&self, family: &TokenFamily, version: u64) -> Result<()> {
        if family.generation() == 0 || lock(&self.progress).stored == version {
            return Ok(());
        }
        let stored = self.keeper.store(family);
        let mut progress = lock(&self.progress);
        progress.failed = stored.clone().err();
        if stored.is_ok() {
            progress.stored = version;
        }
        stored
    }

    /// Whether it has stored what it was given last.
    pub(in crate::portal::oauth) fn check(&self) -> Result<()> {
        lock(&self.progress).failed.clone().map_or(Ok(()), Err)
    }

    /// Reports a pair that its host does not know. `by_host`: it comes from there. One report follows the other, so that
    /// the host is never told of a pair after the one that has taken its place; only from inside of a report, where the
    /// host itself brings the next pair, nothing is waited for.
    pub(in crate::portal::oauth) fn report(&self, pair: &TokenPair, by_host: bool) {
        let this = thread::current().id();
        let is_others = |progress: &mut Progress| progress.reporter.is_some_and(|reporter| reporter != this);
        let progress = lock(&self.progress);
        let mut progress = self.reported.wait_while(progress, is_others).unwrap_or_else(PoisonError::into_inner);
        let known = std::mem::replace(&mut progress.reported, pair.access.clone());
        if known == pair.access || pair.is_none() || by_host {
            return;
        }
        let outer = progress.reporter.replace(this);
        drop(progress);
        let _reporting = Reporting { member: self, outer };
        self.keeper.report(pair);
    }

    /// Ends it: nothing is stored or reported any more. Waits for a renewal under way and for its host, until `deadline`.
    pub(in crate::portal::oauth) fn end(self: &Arc<Member>, deadline: Deadline, clock: &dyn Clock) {
        loop {
            let family = self.family();
            // Whoever begins a renewal afterwards does not count on this member.
            let _permit = family.wait_for_permit(deadline.left(clock.now()));
            family.remove(self, &self.keeper);
            if Arc::ptr_eq(&family, &self.family()) {
                break;
            }
        }
        self.keeper.end(deadline.left(clock.now()));
    }
}

/// A report to the host that is under way, also if the host panics.
struct Reporting<'a> {
    member: &'a Member,
    /// The report from inside of which it was made.
    outer: Option<ThreadId>,
}

impl Drop for Reporting<'_> {
    fn drop(&mut self) {
        lock(&self.member.progress).reporter = self.outer;
        self.member.reported.notify_all();
    }
}
