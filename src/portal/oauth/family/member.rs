//! A client as one of those who share a token family: where it stores tokens, and what its host knows.

use std::sync::{Arc, Mutex};
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
}

/// What has reached the client of what happened to the family.
struct Progress {
    /// The version that it has stored; 0: none.
    stored: u64,
    /// Why the last try to store failed.
    failed: Option<Error>,
    /// The newest access token that its host knows or is about to be told.
    known: Secret,
    /// What it is about to be told.
    news: Option<TokenPair>,
    /// Whether it is being told something at this moment.
    is_reporting: bool,
}

impl Member {
    /// A client that begins with this family.
    pub(in crate::portal::oauth) fn new(
        keeper: Arc<dyn TokenKeeper>,
        file: Option<TokensFile>,
        family: Arc<SharedFamily>,
    ) -> Arc<Member> {
        let known = family.access();
        let progress = Mutex::new(Progress { stored: 0, failed: None, known, news: None, is_reporting: false });
        let member = Arc::new(Member { keeper, file: file.map(Arc::new), family: Mutex::new(family), progress });
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

    /// Puts a pair down that its host has to know. `by_host`: it comes from there.
    pub(super) fn note(&self, pair: &TokenPair, by_host: bool) {
        let mut progress = lock(&self.progress);
        if progress.known != pair.access {
            progress.known = pair.access.clone();
            // What is older is not worth telling any more.
            progress.news = Some(pair.clone()).filter(|pair| !pair.is_none() && !by_host);
        }
    }

    /// Reports what was put down. The host is told one thing at a time: while another thread tells it something, or when
    /// it has called us from inside, whoever does that goes on with the rest. Waiting could wait for ever.
    pub(super) fn report(&self) {
        while let Some(report) = Report::begin(self) {
            self.keeper.report(&report.pair);
        }
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

/// A report to the host that is under way.
struct Report<'a> {
    member: &'a Member,
    pair: TokenPair,
}

impl Report<'_> {
    fn begin(member: &Member) -> Option<Report<'_>> {
        let mut progress = lock(&member.progress);
        if progress.is_reporting {
            return None;
        }
        let pair = progress.news.take()?;
        progress.is_reporting = true;
        Some(Report { member, pair })
    }
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        lock(&self.member.progress).is_reporting = false;
    }
}
