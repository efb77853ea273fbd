//! A pair of tokens.

use crate::secret::Secret;

/// A pair of tokens and what came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    /// Sent with every call.
    pub access: Secret,
    /// Buys the next pair, once.
    pub refresh: Secret,
    /// When `access` expires by this computer's clock, seconds since 1970; 0 when not known.
    pub expires: u64,
    /// For how many seconds `access` was good when it was bought; 0 when not known.
    pub lifetime: u64,
    /// The portal's REST address, or empty when the answer did not name it.
    pub client_endpoint: String,
    /// The portal's lasting id, or empty.
    pub member_id: String,
}

impl TokenPair {
    /// No tokens at all.
    pub fn none() -> TokenPair {
        let nothing = Secret::new("");
        TokenPair {
            access: nothing.clone(),
            refresh: nothing,
            expires: 0,
            lifetime: 0,
            client_endpoint: String::new(),
            member_id: String::new(),
        }
    }

    /// Whether there is no access token.
    pub fn is_none(&self) -> bool {
        self.access.is_empty()
    }

    /// Takes over what is not known yet of the same access token. What is known stays: a host that stores the two tokens
    /// one after the other may present a new one together with an old one.
    pub(super) fn complete(&mut self, other: TokenPair) {
        self.inherit(&other);
        if self.refresh.is_empty() {
            self.refresh = other.refresh;
        }
        if self.expires == 0 {
            self.expires = other.expires;
            self.lifetime = other.lifetime;
        }
    }

    /// Takes over where the portal is, unless this pair says so itself.
    pub(super) fn inherit(&mut self, other: &TokenPair) {
        if self.client_endpoint.is_empty() {
            self.client_endpoint.clone_from(&other.client_endpoint);
        }
        if self.member_id.is_empty() {
            self.member_id.clone_from(&other.member_id);
        }
    }
}
