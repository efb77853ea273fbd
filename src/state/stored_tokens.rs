//! A pair of tokens as it is kept: in the state, or in the file that several processes share.

use serde::{Deserialize, Serialize};

use super::tokens::TokenPair;
use crate::secret::Secret;

/// Tokens as JSON, and the tokens that they grew out of.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub struct StoredTokens {
    /// Access tokens that are dead now: the configured ones of all who share the pair, and those before it.
    ancestors: Vec<String>,
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

impl StoredTokens {
    /// `pair`, which grew out of `ancestors`.
    pub fn new(pair: &TokenPair, ancestors: impl IntoIterator<Item = String>) -> StoredTokens {
        let mut stored = StoredTokens {
            ancestors: Vec::new(),
            access_token: pair.access.expose().to_owned(),
            refresh_token: pair.refresh.expose().to_owned(),
            expires: pair.expires,
            lifetime: pair.lifetime,
            client_endpoint: pair.client_endpoint.clone(),
            member_id: pair.member_id.clone(),
            client_id: String::new(),
        };
        for root in ancestors {
            if !root.is_empty() && !stored.ancestors.contains(&root) {
                stored.ancestors.push(root);
            }
        }
        let old = stored.ancestors.len().saturating_sub(MOST_ROOTS);
        stored.ancestors.drain(..old);
        stored
    }

    /// The same, marked as those of an application.
    pub fn of(self, client_id: &str) -> StoredTokens {
        StoredTokens { client_id: client_id.to_owned(), ..self }
    }

    /// Whether they may be those of this application.
    pub fn may_belong_to(&self, client_id: &str) -> bool {
        self.client_id.is_empty() || client_id.is_empty() || self.client_id == client_id
    }

    /// The tokens that these grew out of.
    pub fn ancestors(&self) -> Vec<String> {
        self.ancestors.clone()
    }

    /// The pair, if it is `token`'s or grew out of it. When the host has configured another token since, the application
    /// was authorized anew, and the kept pair is dead. Without a token any pair is better than none.
    pub fn descended_from(self, token: &Secret) -> Option<TokenPair> {
        let token = token.expose();
        let related = token.is_empty() || token == self.access_token || self.ancestors.iter().any(|root| root == token);
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
        let stored =
            || StoredTokens::new(&pair, (0..100).map(|number| format!("root-{number}")).chain(["root-99".into()]));
        assert_eq!(stored().ancestors().len(), MOST_ROOTS);
        for (token, related) in [("", true), ("now", true), ("root-99", true), ("root-0", false), ("other", false)] {
            assert_eq!(stored().descended_from(&Secret::new(token)).is_some(), related, "{token}");
        }
        assert!(stored().of("app").may_belong_to("app") && !stored().of("app").may_belong_to("another"));
    }
}
