//! A pair of tokens as it is kept: in the state, or in the file that several processes share.

use serde::{Deserialize, Serialize};

use super::tokens::TokenPair;
use crate::secret::Secret;

/// Tokens as JSON, and the tokens that they grew out of.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub struct KeptTokens {
    /// Access tokens that are dead now: the configured ones of all who share the pair, and those before it.
    roots: Vec<String>,
    access_token: String,
    refresh_token: String,
    expires: u64,
    lifetime: u64,
    client_endpoint: String,
    member_id: String,
    /// Whose tokens these are; empty when it does not matter.
    #[serde(skip_serializing_if = "String::is_empty")]
    client_id: String,
}

/// Most roots that are kept: those of processes that started long ago go first.
const MOST_ROOTS: usize = 64;

impl KeptTokens {
    /// `pair`, which grew out of `roots`.
    pub fn new(pair: &TokenPair, roots: impl IntoIterator<Item = String>) -> KeptTokens {
        let mut kept = KeptTokens {
            roots: Vec::new(),
            access_token: pair.access.expose().to_owned(),
            refresh_token: pair.refresh.expose().to_owned(),
            expires: pair.expires,
            lifetime: pair.lifetime,
            client_endpoint: pair.client_endpoint.clone(),
            member_id: pair.member_id.clone(),
            client_id: String::new(),
        };
        for root in roots {
            if !root.is_empty() && !kept.roots.contains(&root) {
                kept.roots.push(root);
            }
        }
        let old = kept.roots.len().saturating_sub(MOST_ROOTS);
        kept.roots.drain(..old);
        kept
    }

    /// The same, marked as those of an application.
    pub fn of(self, client_id: &str) -> KeptTokens {
        KeptTokens { client_id: client_id.to_owned(), ..self }
    }

    /// Whether they may be those of this application.
    pub fn may_belong_to(&self, client_id: &str) -> bool {
        self.client_id.is_empty() || client_id.is_empty() || self.client_id == client_id
    }

    /// The tokens that these grew out of.
    pub fn roots(&self) -> Vec<String> {
        self.roots.clone()
    }

    /// The pair, if it is `token`'s or grew out of it. When the host has configured another token since, the application
    /// was authorized anew, and the kept pair is dead. Without a token any pair is better than none.
    pub fn grown_out_of(self, token: &Secret) -> Option<TokenPair> {
        let token = token.expose();
        let related = token.is_empty() || token == self.access_token || self.roots.iter().any(|root| root == token);
        (related && !self.access_token.is_empty()).then(|| TokenPair {
            access: Secret::new(self.access_token),
            refresh: Secret::new(self.refresh_token),
            expires: self.expires,
            lifetime: self.lifetime,
            client_endpoint: self.client_endpoint,
            member_id: self.member_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_stay_known_and_do_not_grow_for_ever() {
        let pair = TokenPair { access: Secret::new("now"), ..TokenPair::none() };
        let kept = || KeptTokens::new(&pair, (0..100).map(|number| format!("root-{number}")).chain(["root-99".into()]));
        assert_eq!(kept().roots().len(), MOST_ROOTS);
        for (token, related) in [("", true), ("now", true), ("root-99", true), ("root-0", false), ("other", false)] {
            assert_eq!(kept().grown_out_of(&Secret::new(token)).is_some(), related, "{token}");
        }
        assert!(kept().of("app").may_belong_to("app") && !kept().of("app").may_belong_to("another"));
    }
}
