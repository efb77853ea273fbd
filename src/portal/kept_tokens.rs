//! A pair of tokens as it is kept: in the state, or in the file that several processes share.

use serde::{Deserialize, Serialize};

use super::tokens::TokenPair;
use crate::secret::Secret;

/// Tokens as JSON, and the configured token that they grew out of.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub struct KeptTokens {
    configured_access_token: String,
    access_token: String,
    refresh_token: String,
    expires: u64,
    client_endpoint: String,
    member_id: String,
}

impl KeptTokens {
    /// `pair`, which grew out of `configured`.
    pub fn new(pair: &TokenPair, configured: &Secret) -> KeptTokens {
        KeptTokens {
            configured_access_token: configured.expose().to_owned(),
            access_token: pair.access.expose().to_owned(),
            refresh_token: pair.refresh.expose().to_owned(),
            expires: pair.expires,
            client_endpoint: pair.client_endpoint.clone(),
            member_id: pair.member_id.clone(),
        }
    }

    /// The pair, if it is newer than the configured token. When the host has configured another token since, the
    /// application was authorized anew, and the kept pair is dead.
    pub fn newer_than(self, configured: &Secret) -> Option<TokenPair> {
        let configured = configured.expose();
        let grew_out_of_it =
            configured.is_empty() || configured == self.configured_access_token || configured == self.access_token;
        (grew_out_of_it && !self.access_token.is_empty()).then(|| TokenPair {
            access: Secret::new(self.access_token),
            refresh: Secret::new(self.refresh_token),
            expires: self.expires,
            client_endpoint: self.client_endpoint,
            member_id: self.member_id,
        })
    }
}
