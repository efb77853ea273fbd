//! Token families: tokens that follow from one another by renewal (docs/protocol.md §2.3).
//!
//! A refresh token works once. Whoever uses a pair that has a successor kills the application's tokens, so one question
//! decides everything: which of two pairs is newer? A family answers it. It counts generations, holds the newest pair,
//! and recognizes every token it ever had. All decisions are here, without I/O.

use super::ancestors::Ancestors;
use super::tokens::TokenPair;
use crate::secret::Secret;

/// A token family.
#[derive(Clone, Debug)]
pub struct TokenFamily {
    generation: u64,
    pair: TokenPair,
    /// Every access token it ever had, that of `pair` included.
    known: Ancestors,
    renewal_begun: Option<u64>,
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
        TokenFamily { generation: 0, pair: TokenPair::none(), known: Ancestors::default(), renewal_begun: None }
    }

    /// The family that begins with this pair.
    pub fn new(pair: TokenPair) -> TokenFamily {
        let mut family = TokenFamily::none();
        if !pair.is_none() {
            family.succeed(pair);
        }
        family
    }

    /// A family that was stored; `None` when its list of ancestors cannot be read.
    pub(super) fn stored(generation: u64, pair: TokenPair, ancestors: &str, begun: Option<u64>) -> Option<TokenFamily> {
        let mut known = Ancestors::from_text(ancestors)?;
        known.insert(&pair.access);
        // A family counts at least the tokens that it remembers.
        Some(TokenFamily { generation: generation.max(known.len() as u64), pair, known, renewal_begun: begun })
    }

    pub(super) fn ancestors(&self) -> String {
        self.known.to_text()
    }

    /// The newest pair.
    pub fn pair(&self) -> &TokenPair {
        &self.pair
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

    /// Notes that the newest pair is about to be used for a renewal.
    pub fn begin_renewal(&mut self, now: u64) {
        self.renewal_begun.get_or_insert(now);
    }

    /// Notes that the authorization server has not used the newest pair up.
    pub fn end_renewal(&mut self) {
        self.renewal_begun = None;
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
    }

    /// The application was uninstalled: there is no pair any longer, and the old ones stay known.
    pub fn retire(&mut self) {
        self.pair = TokenPair::none();
        self.generation = self.generation.saturating_add(1);
        self.renewal_begun = None;
    }

    /// Somebody presents a pair: the host in its configuration or by setting tokens, or an installation. A known one
    /// changes nothing but what it tells of the newest pair; an unknown one was authorized anew.
    pub fn present(&mut self, pair: TokenPair) -> Presented {
        if pair.is_none() {
            return Presented::Current;
        }
        if pair.access == self.pair.access {
            self.pair.complete(pair);
            return Presented::Current;
        }
        if self.knows(&pair.access) {
            return Presented::Outdated;
        }
        self.succeed(pair);
        Presented::Adopted
    }

    /// Whether this is a later stage of the same family.
    pub fn is_newer_than(&self, other: &TokenFamily) -> bool {
        self.is_related(other) && other.is_older_than(self)
    }

    /// Whether another copy of the family learns something from this one: a newer pair, an ancestor, or that its pair may
    /// be used up.
    pub fn has_news_for(&self, other: &TokenFamily) -> bool {
        let in_doubt = self.pair.access == other.pair.access && self.renewal_begun.is_some();
        self.is_related(other)
            && (other.is_older_than(self)
                || (in_doubt && other.renewal_begun.is_none())
                || !other.known.contains_all(&self.known))
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
        if is_newer {
            self.generation = other.generation.max(self.generation.saturating_add(1));
            self.pair = other.pair;
            self.renewal_begun = other.renewal_begun;
        } else if same_pair {
            self.generation = self.generation.max(other.generation);
            self.renewal_begun = self.renewal_begun.or(other.renewal_begun);
            self.pair.complete(other.pair);
        }
        is_newer
    }

    /// Who knows the other's newest token has had it before. Where neither does, somebody authorized twice, and the
    /// longer family counts, then the later pair.
    fn is_older_than(&self, other: &TokenFamily) -> bool {
        if self.pair.access == other.pair.access || other.generation == 0 {
            return false;
        }
        match (self.knows(&other.pair.access), other.knows(&self.pair.access)) {
            (true, false) => false,
            (false, true) => true,
            _ => (other.generation, other.pair.expires) > (self.generation, self.pair.expires),
        }
    }

    /// Joins two states of one client that were found in different places. `configured` is the access token that the
    /// host configured, or empty.
    pub fn reconcile(mut self, other: TokenFamily, configured: &Secret) -> TokenFamily {
        if other.generation == 0 {
            return self;
        }
        if self.generation == 0 {
            return other;
        }
        if self.is_related(&other) {
            self.meet(other);
            return self;
        }
        // They know nothing of each other: a copied base, or two authorizations. The host's own word decides.
        if other.knows(configured) && !self.knows(configured) {
            return other;
        }
        if !configured.is_empty() && !self.knows(configured) {
            // Both are outdated by the configured token, which is about to be presented.
            self.known.absorb(&other.known);
            self.generation = self.generation.max(other.generation);
        }
        self
    }
}

#[cfg(test)]
mod tests;
