//! The turn of one client with its token family: nobody else in this process changes it, no other process the files.

use std::sync::Arc;

use super::family::{Files, Member, Permit, SharedFamily};
use super::registry::Registry;
use crate::clock::Deadline;
use crate::context::Context;
use crate::error::Result;
use crate::state::family::TokenFamily;

/// See the module. Begun by [`Turn::begin`], ended by dropping it.
pub(super) struct Turn {
    pub(super) family: Arc<SharedFamily>,
    pub(super) files: Files,
    _permit: Permit,
}

impl Turn {
    /// Brings everything together that belongs to the family of `member`: what `arrives`, what the files hold, and other
    /// families of this process that are related. Waits for its turn until `deadline`. What could not be stored, and
    /// files that cannot be used, are no error here. `presenter` brought what arrives.
    pub(super) fn begin<T>(
        member: &Arc<Member>,
        registry: &Registry,
        arrives: impl Fn(&mut TokenFamily) -> T,
        presenter: Option<&Arc<Member>>,
        deadline: Deadline,
        ctx: &Context,
    ) -> Result<Turn> {
        loop {
            let family = member.family();
            let permit = family.permit(deadline, &ctx.cancel, &*ctx.clock)?;
            if !Arc::ptr_eq(&family, &member.family()) {
                continue;
            }
            let mut files = Files::open(&family.members(), &family.family(), deadline, ctx);
            let (_, _) = family.change(met(files.families(), &arrives), &mut files, presenter, false);
            // It is in use before others are looked for: of two that do this at once, at least one finds the other.
            let Some(other) = registry.related(&family) else {
                return Ok(Turn { family, files, _permit: permit });
            };
            drop((files, permit));
            merge(&family, &other, deadline, ctx)?;
        }
    }

    /// Whether all that is known could be stored where `member` stores it. Trouble of others is theirs.
    pub(super) fn check(&self, member: &Member) -> Result<()> {
        self.files.check_that_of(member).and(member.check())
    }

    /// Changes the family, see [`SharedFamily::change`].
    pub(super) fn change<T>(&mut self, change: impl Fn(&mut TokenFamily) -> T) -> Result<()> {
        self.family.change(change, &mut self.files, None, false).1
    }

    /// Likewise, for the last time: other processes need not wait until the hosts know.
    pub(super) fn finish<T>(mut self, change: impl Fn(&mut TokenFamily) -> T) -> Result<()> {
        self.family.change(change, &mut self.files, None, true).1
    }

    /// Makes sure that a new pair can be stored in every place.
    pub(super) fn reserve_space(&self) -> Result<()> {
        self.family.reserve_space()?;
        self.files.reserve_space(&self.family.family())
    }
}

/// From now on everyone who uses one of the two uses the other. Neither is in somebody's turn meanwhile.
fn merge(family: &Arc<SharedFamily>, other: &Arc<SharedFamily>, deadline: Deadline, ctx: &Context) -> Result<()> {
    let (first, second) = if family.number() < other.number() { (family, other) } else { (other, family) };
    let _first = first.permit(deadline, &ctx.cancel, &*ctx.clock)?;
    let _second = second.permit(deadline, &ctx.cancel, &*ctx.clock)?;
    let (ours, theirs) = (family.members(), other.members());
    if ours.is_empty() || theirs.is_empty() {
        // Somebody else has done it, or the clients have ended.
        return Ok(());
    }
    // The fewer move: each of them has to store what it finds there.
    let (from, to) = if ours.len() > theirs.len() { (other, family) } else { (family, other) };
    let mut files = Files::open(&[ours, theirs].concat(), &to.family(), deadline, ctx);
    // Those who use it store what is news to them; their own clients report when that fails.
    let tokens = from.family();
    let (_, _) = to.change(met(files.families(), |family| family.meet(tokens.clone())), &mut files, None, false);
    from.take_members().iter().for_each(|member| member.move_to(to));
    to.take_ended_of(from);
    // Once more: something may have arrived there without a turn until everyone had moved.
    let tokens = from.family();
    let (_, _) = to.change(|family| family.meet(tokens.clone()), &mut files, None, false);
    Ok(())
}

/// Meets what the files hold, then what arrives.
fn met<T>(theirs: Vec<TokenFamily>, arrives: impl Fn(&mut TokenFamily) -> T) -> impl Fn(&mut TokenFamily) {
    move |family| {
        theirs.iter().for_each(|theirs| family.meet_shared(theirs));
        arrives(family);
    }
}
