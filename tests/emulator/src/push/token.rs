//! The token of version 5, a JWT: it names the channels and its expiry, so that the server needs no other source.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

const HEAD: &str = r#"{"typ":"JWT","alg":"HS256"}"#;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The portal's name at the push server.
    pub iss: String,
    /// Unix seconds.
    pub iat: i64,
    pub exp: i64,
    /// The user.
    pub sub: String,
    /// Bare channel ids, joined by commas.
    pub chan: String,
}

pub struct TokenSigner {
    keyed: Hmac<Sha256>,
}

impl TokenSigner {
    /// # Panics
    /// Never: HMAC takes keys of any length.
    pub fn new(key: &[u8]) -> Self {
        Self { keyed: Hmac::new_from_slice(key).expect("HMAC takes keys of any length") }
    }

    pub fn sign(&self, claims: &Claims) -> String {
        let claims = serde_json::to_string(claims).unwrap_or_default();
        let signed =
            format!("{}.{}", BASE64URL_NOPAD.encode(HEAD.as_bytes()), BASE64URL_NOPAD.encode(claims.as_bytes()));
        let signature = BASE64URL_NOPAD.encode(&self.mac(&signed).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    /// The claims of a token with the right signature, expired or not.
    pub fn verify(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
        self.mac(signed).verify_slice(&signature).ok()?;
        let (_, claims) = signed.split_once('.')?;
        serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?).ok()
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(text.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_and_read_again() {
        let signer = TokenSigner::new(b"testkey");
        let claims = Claims { iss: "p".into(), iat: 1, exp: 2, sub: "1".into(), chan: "a,b".into() };
        let token = signer.sign(&claims);
        assert!(token.starts_with("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9."), "{token}");
        assert_eq!(signer.verify(&token), Some(claims));
        assert_eq!(TokenSigner::new(b"other").verify(&token), None);
        assert_eq!(signer.verify(&token[..token.len() - 2]), None);
        assert_eq!(signer.verify("a.b.c"), None);
        assert_eq!(signer.verify(""), None);
    }
}
