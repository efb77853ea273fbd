//! The access tokens that a token family ever had, as short hashes.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::digest::{SHA256, digest};

use crate::secret::Secret;

/// Bytes of a hash. Among 50,000 of them a foreign token is taken for one of ours once in five billion times.
const HASH_BYTES: usize = 6;
/// Hourly renewals fill this in five years.
const MAX_TOKENS: usize = 50_000;
/// Beyond that the oldest go, but not the first ones: a host may present the token it was set up with for ever.
const FIRST_TOKENS: usize = 1_000;

type Hash = [u8; HASH_BYTES];

/// See the module. In the order in which the tokens were in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Ancestors {
    order: Vec<Hash>,
    known: HashSet<Hash>,
}

impl Ancestors {
    pub(super) fn contains(&self, token: &Secret) -> bool {
        !token.is_empty() && self.known.contains(&hash(token))
    }

    pub(super) fn insert(&mut self, token: &Secret) {
        if !token.is_empty() {
            self.add(hash(token));
        }
    }

    /// Takes over those of another family.
    pub(super) fn absorb(&mut self, others: &Ancestors) {
        others.order.iter().for_each(|hash| self.add(*hash));
    }

    pub(super) fn intersects(&self, others: &Ancestors) -> bool {
        let (few, many) = if self.order.len() < others.order.len() { (self, others) } else { (others, self) };
        few.order.iter().any(|hash| many.known.contains(hash))
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Base64 of all hashes.
    pub(super) fn to_text(&self) -> String {
        STANDARD_NO_PAD.encode(self.order.concat())
    }

    /// Reads [`Ancestors::to_text`]; `None` when it is something else.
    pub(super) fn from_text(text: &str) -> Option<Ancestors> {
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        let mut ancestors = Ancestors::default();
        for bytes in bytes.chunks(HASH_BYTES) {
            ancestors.add(Hash::try_from(bytes).ok()?);
        }
        Some(ancestors)
    }

    fn add(&mut self, hash: Hash) {
        if !self.known.insert(hash) {
            return;
        }
        self.order.push(hash);
        if self.order.len() > MAX_TOKENS {
            let oldest = self.order.remove(FIRST_TOKENS);
            self.known.remove(&oldest);
        }
    }
}

/// Two lists are the same when they know the same tokens.
impl PartialEq for Ancestors {
    fn eq(&self, others: &Ancestors) -> bool {
        self.known == others.known
    }
}

impl Eq for Ancestors {}

fn hash(token: &Secret) -> Hash {
    let mut short = Hash::default();
    short.iter_mut().zip(digest(&SHA256, token.expose().as_bytes()).as_ref()).for_each(|(to, from)| *to = *from);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: std::ops::Range<usize>) -> Ancestors {
        let mut ancestors = Ancestors::default();
        range.for_each(|number| ancestors.insert(&token(number)));
        ancestors
    }

    fn token(number: usize) -> Secret {
        Secret::new(format!("token-{number}"))
    }

    #[test]
    fn tokens_are_known_and_their_text_is_not_theirs() {
        let ancestors = of(0..100);
        assert!((0..100).all(|number| ancestors.contains(&token(number))));
        assert!(!ancestors.contains(&token(100)) && !ancestors.contains(&Secret::new("")));
        let text = ancestors.to_text();
        assert!(!text.contains("token"));
        let read = Ancestors::from_text(&text).unwrap();
        assert_eq!((read.len(), read.to_text()), (100, text));
        assert!(Ancestors::from_text("A").is_none() && Ancestors::from_text("не base64").is_none());
        assert_eq!(Ancestors::from_text("").unwrap().len(), 0);
    }

    #[test]
    fn sets_are_joined_and_compared() {
        let (mut first, second) = (of(0..10), of(9..20));
        assert!(first.intersects(&second) && second.intersects(&first));
        assert!(!first.intersects(&of(10..20)) && !first.intersects(&Ancestors::default()));
        first.absorb(&second);
        assert_eq!(first.len(), 20);
    }

    #[test]
    fn the_first_and_the_newest_are_never_forgotten() {
        let ancestors = of(0..MAX_TOKENS + 500);
        assert_eq!(ancestors.len(), MAX_TOKENS);
        assert!(
            [0, FIRST_TOKENS - 1, FIRST_TOKENS + 500, MAX_TOKENS + 499]
                .iter()
                .all(|number| ancestors.contains(&token(*number)))
        );
        assert!(!ancestors.contains(&token(FIRST_TOKENS + 499)));
    }
}
