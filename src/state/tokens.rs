//! A pair of tokens.

use crate::secret::Secret;

/// A pair of tokens and what came with it.
#[derive(Clone, Debug)]
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
}
