//! The cryptography of TLS: what rustls selects, by *ring*.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, KeyProvider, ring};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(CryptoProvider { key_provider: &NoClientKeys, ..ring::default_provider() }));

/// The cipher suites, curves and signatures that rustls recommends. All clients share them.
pub fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

/// Portals identify applications by their tokens, not by client certificates. Signing is not linked.
#[derive(Debug)]
struct NoClientKeys;

impl KeyProvider for NoClientKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("client certificates are not supported".into()))
    }
}
