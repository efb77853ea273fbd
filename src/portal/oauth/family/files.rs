//! The tokens files of everyone who shares a family, while they are locked.

use std::sync::Arc;
use std::time::Duration;

use super::member::Member;
use crate::clock::Deadline;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::state::family::TokenFamily;
use crate::state::storage::Guard;
use crate::state::tokens_file::TokensFile;

/// How often a lock that another process holds is tried again: a file lock wakes nobody who could be interrupted.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Default)]
pub(in crate::portal::oauth) struct Files {
    open: Vec<OpenFile>,
    /// Those that could not be opened, or written, and why. The others are used.
    failed: Vec<(String, Error)>,
}

struct OpenFile {
    file: Arc<TokensFile>,
    holds: Option<TokenFamily>,
    _guard: Guard,
}

impl Files {
    /// Locks and reads those of `members`, who use the family `ours`.
    pub(in crate::portal::oauth) fn open(
        members: &[Arc<Member>],
        ours: &TokenFamily,
        deadline: Deadline,
        ctx: &Context,
    ) -> Files {
        let mut distinct: Vec<_> = members.iter().filter_map(|member| member.file()).collect();
        // In one order everywhere, so that nobody holds what another one waits for.
        distinct.sort_by_key(|file| file.key());
        distinct.dedup_by_key(|file| file.key());
        let mut files = Files::default();
        for file in distinct {
            match OpenFile::open(file, ours, deadline, ctx) {
                Ok(file) => files.open.push(file),
                Err((key, error)) => files.failed.push((key, error)),
            }
        }
        files
    }

    /// Whether all of them can be used.
    pub(in crate::portal::oauth) fn check(&self) -> Result<()> {
        self.failed.first().map_or(Ok(()), |(_, error)| Err(error.clone()))
    }

    /// Whether the one of `member`, if it has one, can be used.
    pub(in crate::portal::oauth) fn check_that_of(&self, member: &Member) -> Result<()> {
        let key = member.file().map(|file| file.key());
        let failed = self.failed.iter().find(|(failed, _)| Some(failed) == key.as_ref());
        failed.map_or(Ok(()), |(_, error)| Err(error.clone()))
    }

    /// Others may go on.
    pub(super) fn unlock(&mut self) {
        self.open.clear();
    }

    /// What they hold.
    pub(in crate::portal::oauth) fn families(&self) -> Vec<TokenFamily> {
        self.open.iter().filter_map(|file| file.holds.clone()).collect()
    }

    /// Makes sure that a family with a new pair can be written.
    pub(in crate::portal::oauth) fn reserve_space(&self, family: &TokenFamily) -> Result<()> {
        self.open.iter().try_for_each(|open| open.file.reserve_space(family))
    }

    /// Writes the family into those that hold something else. The first failure is returned, when the others are written.
    pub(in crate::portal::oauth) fn write(&mut self, family: &TokenFamily) -> Result<()> {
        for open in self.open.iter_mut().filter(|open| family.generation() > 0 && open.holds.as_ref() != Some(family)) {
            match open.file.write(family) {
                Ok(()) => open.holds = Some(family.clone()),
                Err(error) => self.failed.push((open.file.key(), error)),
            }
        }
        self.check()
    }
}

impl OpenFile {
    fn open(
        file: Arc<TokensFile>,
        ours: &TokenFamily,
        deadline: Deadline,
        ctx: &Context,
    ) -> Result<OpenFile, (String, Error)> {
        let open = || {
            let guard = lock_file(&file, deadline, ctx)?;
            Ok((file.read(ours)?, guard))
        };
        let (holds, guard) = open().map_err(|error| (file.key(), error))?;
        Ok(OpenFile { holds, file, _guard: guard })
    }
}

fn lock_file(file: &TokensFile, deadline: Deadline, ctx: &Context) -> Result<Guard> {
    loop {
        if let Some(guard) = file.try_lock()? {
            return Ok(guard);
        }
        if deadline.has_passed(ctx.clock.now()) {
            return Err(Error::Busy(
                "another process is renewing the tokens in auth.tokens_file and takes too long; repeat this call later"
                    .into(),
            ));
        }
        ctx.cancel.sleep(LOCK_INTERVAL)?;
    }
}
