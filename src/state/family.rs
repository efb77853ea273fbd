//! Token families: tokens that follow from one another by renewal (docs/protocol.md §2.3).
//!
//! A refresh token works once. Whoever uses a pair that has a successor kills the application's tokens, so one question
//! decides everything: which of two pairs is newer? A family answers it. It counts generations, holds the newest pair,
//! and recognizes every token it ever had. All decisions are here, without I/O.

use super::ancestors::Ancestors;
use super::tokens::TokenPair;
use crate::secret::Secret;

/// A token family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFamily {
    /// How often somebody authorized anew, as far as it knows.
    authorizations: u64,
    generation: u64,
    pair: TokenPair,
    /// Every access token it ever had, that of `pair` included.
    known: Ancestors,
    renewal_begun: Option<u64>,
    /// The authorization server does not accept the refresh token of `pair`.
    refused: bool,
}

/// What became of a pair that somebody presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// It is the family's newest, or there was nothing to look at.
    Current,
    /// The family has a newer one.
    Outdated,
    /// The family did not know it: it is the newest generation now.
    Adopted,
}

impl TokenFamily {
    /// A family without tokens.
    pub fn none() -> TokenFamily {
        TokenFamily {
            authorizations: 0,
            generation: 0,
            pair: TokenPair::none(),
            known: Ancestors::default(),
            renewal_begun: None,
            refused: false,
        }
    }

    /// The family that begins with this pair.
    pub fn new(pair: TokenPair) -> TokenFamily {
        let mut family = TokenFamily::none();
        family.present(pair);
        family
    }

    /// A family that was stored; `None` when its list of ancestors cannot be read.
    pub(super) fn stored(generation: u64, pair: TokenPair, ancestors: &str) -> Option<TokenFamily> {
        let mut known = Ancestors::from_text(ancestors)?;
        known.insert(&pair.access);
        // A family counts at least the tokens that it remembers.
        let generation = generation.max(known.len() as u64);
        Some(TokenFamily { generation, pair, known, ..TokenFamily::none() })
    }

    /// Likewise, with what else was stored. Notes are of its newest pair.
    pub(super) fn with_notes(mut self, authorizations: u64, renewal_begun: Option<u64>, refused: bool) -> TokenFamily {
        if self.generation > 0 {
            self.authorizations = authorizations;
        }
        if !self.pair.is_none() {
            self.renewal_begun = renewal_begun;
            self.refused = refused;
        }
        self
    }

    pub(super) fn ancestors(&self) -> String {
        self.known.to_text()
    }

    /// The newest pair.
    pub fn pair(&self) -> &TokenPair {
        &self.pair
    }

    /// How often somebody authorized anew, as far as the family knows.
    pub(super) fn authorizations(&self) -> u64 {
        self.authorizations
    }

    /// How many generations there were.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether this access token is or was one of the family.
    pub fn knows(&self, access: &Secret) -> bool {
        self.known.contains(access)
    }

    /// When a renewal was begun of which no outcome is known, seconds since 1970.
    pub fn renewal_begun(&self) -> Option<u64> {
        self.renewal_begun
    }

    /// Whether the authorization server does not accept the newest pair's refresh token.
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// Notes that the authorization server does not accept the newest pair's refresh token. If the host mistyped it, the
    /// next one that it presents together with the same access token takes its place.
    pub fn refuse(&mut self) {
        self.refused = true;
    }

    /// Notes something of the pair with this access token, if it is still the newest.
    pub fn note(&mut self, access: &Secret, note: impl FnOnce(&mut TokenFamily)) {
        if self.pair.access == *access {
            note(self);
        }
    }

    /// Notes that the newest pair is about to be used for a renewal.
    pub fn begin_renewal(&mut self, now: u64) {
        self.renewal_begun.get_or_insert(now);
    }

    /// Takes a note back of which nothing came: what was in doubt before is in doubt again.
    pub fn restore_doubt(&mut self, doubt: Option<u64>) {
        self.renewal_begun = doubt;
    }

    /// The pair that a renewal or a new authorization brought becomes the newest generation.
    pub fn succeed(&mut self, mut pair: TokenPair) {
        pair.inherit(&self.pair);
        self.known.insert(&pair.access);
        self.pair = pair;
        self.generation = self.generation.saturating_add(1);
        self.renewal_begun = None;
        self.refused = false;
    }

    /// A renewal of `sold` brought a pair. If another one has taken the place of `sold` meanwhile, or the application was
    /// uninstalled, the bought pair counts as a token that the family once had.
    pub fn renewed(&mut self, sold: &Secret, pair: TokenPair) {
        if self.pair.access == *sold {
            self.succeed(pair);
        } else {
            self.known.insert(&pair.access);
        }
    }

    /// The application was uninstalled: there is no pair any longer, and the old ones stay known.
    pub fn retire(&mut self) {
        if !self.is_retired() {
            self.pair = TokenPair::none();
            self.generation = self.generation.saturating_add(1);
            self.renewal_begun = None;
            self.refused = false;
        }
    }

    /// Whether the application was uninstalled and not installed again.
    fn is_retired(&self) -> bool {
        self.generation > 0 && self.pair.is_none()
    }

    /// Somebody presents a pair: the host in its configuration or by setting tokens, or an installation. A known one
    /// changes nothing but what it tells of the newest pair; an unknown one was authorized anew.
    pub fn present(&mut self, pair: TokenPair) -> Presented {
        if pair.is_none() {
            return Presented::Current;
        }
        if pair.access == self.pair.access {
            self.complete(pair, false);
            return Presented::Current;
        }
        if self.knows(&pair.access) {
            return Presented::Outdated;
        }
        self.succeed(pair);
        self.authorizations = self.authorizations.saturating_add(1);
        Presented::Adopted
    }

    /// Whether this is a later stage of the same family.
    pub fn is_newer_than(&self, other: &TokenFamily) -> bool {
        self.is_related(other) && other.is_older_than(self)
    }

    /// Whether both are branches of one family.
    pub fn is_related(&self, other: &TokenFamily) -> bool {
        self.known.intersects(&other.known)
    }

    /// Meets another copy of the same family, or one that begins: afterwards this is the newer of both and knows the
    /// tokens of both. Returns whether its pair has changed.
    pub fn meet(&mut self, other: TokenFamily) -> bool {
        let is_newer = self.is_older_than(&other);
        let same_pair = self.pair.access == other.pair.access;
        self.known.absorb(&other.known);
        self.authorizations = self.authorizations.max(other.authorizations);
        if is_newer {
            self.generation = other.generation.max(self.generation.saturating_add(1));
            self.pair = other.pair;
            self.renewal_begun = other.renewal_begun;
            self.refused = other.refused;
        } else if same_pair {
            self.generation = self.generation.max(other.generation);
            self.renewal_begun = self.renewal_begun.or(other.renewal_begun);
            self.complete(other.pair, other.refused);
        }
        is_newer
    }

    /// Learns what somebody else knows of the newest pair; `refused`: that its refresh token is not accepted.
    fn complete(&mut self, other: TokenPair, refused: bool) {
        if other.refresh == self.pair.refresh {
            self.refused |= refused;
        } else if self.refused && !other.refresh.is_empty() {
            self.pair.refresh = other.refresh.clone();
            self.refused = refused;
            self.renewal_begun = None;
        }
        self.pair.complete(other);
    }

    /// Whether it knows a family's newest pair as one that it had before.
    pub fn has_outgrown(&self, other: &TokenFamily) -> bool {
        self.knows(&other.pair.access) && other.pair.access != self.pair.access
    }

    /// Meets what another process has left in a shared file. A stranger there means that somebody authorized anew; only
    /// one that is known to expire earlier was not the last to do so.
    pub fn meet_shared(&mut self, other: &TokenFamily) {
        if other.generation == 0 {
            return;
        }
        if self.generation == 0 {
            *self = other.clone();
        } else if self.is_related(other) {
            self.meet(other.clone());
        } else if other.is_retired() || (other.pair.expires != 0 && other.pair.expires < self.pair.expires) {
            self.outdate(other);
        } else {
            let ours = std::mem::replace(self, other.clone());
            self.outdate(&ours);
        }
    }

    /// Meets a state that was carried from elsewhere. Ours is what the host configured or what its folder holds: it
    /// outdates a stranger, whose tokens are recognized from now on, as with any authorization anew.
    pub fn meet_carried(&mut self, carried: &TokenFamily) {
        if self.generation == 0 {
            *self = carried.clone();
        } else if self.is_related(carried) {
            self.meet(carried.clone());
        } else if carried.generation > 0 {
            self.outdate(carried);
        }
    }

    /// Who knows the other's newest token has had it before. Where neither does, somebody authorized twice: a pair counts
    /// more than an uninstallation, as a pair that is lost cannot be had again; then the later authorization counts, then
    /// the longer family, then the later pair.
    fn is_older_than(&self, other: &TokenFamily) -> bool {
        if self.pair.access == other.pair.access || other.generation == 0 {
            return false;
        }
        match (self.knows(&other.pair.access), other.knows(&self.pair.access)) {
            (true, false) => false,
            (false, true) => true,
            _ if self.is_retired() != other.is_retired() => self.is_retired(),
            _ => other.rank() > self.rank(),
        }
    }

    fn rank(&self) -> (u64, u64, u64) {
        (self.authorizations, self.generation, self.pair.expires)
    }

    /// The tokens of a family that ours replaces become its ancestors, so that whoever still uses them follows ours.
    fn outdate(&mut self, other: &TokenFamily) {
        self.known.absorb(&other.known);
        self.authorizations = self.authorizations.max(other.authorizations.saturating_add(1));
        self.generation = self.generation.max(other.generation.saturating_add(1));
    }
}

#[cfg(test)]
mod tests;
