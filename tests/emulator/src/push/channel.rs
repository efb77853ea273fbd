//! Channel ids and their signatures: HMAC-SHA1 with the server's key, in hexadecimal, after a dot.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::random::hex_of;

pub struct Signer {
    keyed: Hmac<Sha1>,
}

impl Signer {
    /// # Panics
    /// Never: HMAC takes keys of any length.
    pub fn new(key: &[u8]) -> Self {
        Self { keyed: Hmac::new_from_slice(key).expect("HMAC takes keys of any length") }
    }

    pub fn signed(&self, id: &str) -> String {
        format!("{id}.{}", hex_of(&self.mac(id).finalize().into_bytes()))
    }

    /// Public ids are signed differently from private ones, so that neither is accepted as the other.
    pub fn signed_public(&self, public_id: &str) -> String {
        let mac = self.mac(&format!("public:{public_id}"));
        format!("{public_id}.{}", hex_of(&mac.finalize().into_bytes()))
    }

    /// The bare channel id of `id.signature` or `id:public_id.signature`, if the signature is right.
    pub fn verify<'a>(&self, signed: &'a str) -> Option<&'a str> {
        let (id, signature) = signed.rsplit_once('.')?;
        if self.signed(id).rsplit_once('.')?.1 != signature {
            return None;
        }
        Some(id.split_once(':').map_or(id, |(private, _)| private))
    }

    fn mac(&self, text: &str) -> Hmac<Sha1> {
        let mut mac = self.keyed.clone();
        mac.update(text.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_recorded_server() {
        let recorded = include_str!("../../../vectors/v3_lp_200_replay_many.http");
        let signer = Signer::new(b"testkey");
        for id in ["0d875ab13a17a97fc2f5aabbccddeeff", "fb9f7e13dc3d595c5aefe1a0216c27a2"] {
            assert!(recorded.contains(&signer.signed(id)), "{id}");
        }
    }

    #[test]
    fn verifies() {
        let signer = Signer::new(b"testkey");
        assert_eq!(signer.verify(&signer.signed("abc")), Some("abc"));
        assert_eq!(signer.verify(&signer.signed("abc:def")), Some("abc"));
        assert_eq!(signer.verify(&signer.signed_public("abc")), None);
        assert_eq!(signer.verify("abc"), None);
        assert_eq!(signer.verify("abc.00"), None);
    }
}
