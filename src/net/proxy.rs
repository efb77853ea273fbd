//! Which connections go through a proxy.

use ureq::Proxy;
use ureq::http::Uri;

use crate::config::is_loopback;

/// The proxy of one client, if it has one.
#[derive(Clone)]
pub(super) struct ProxyRule(Option<Proxy>);

impl ProxyRule {
    /// The configured proxy, or else the one that the environment names.
    pub(super) fn new(configured: Option<Proxy>) -> ProxyRule {
        ProxyRule(configured.or_else(Proxy::try_from_env))
    }

    /// The proxy, whatever it is used for.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.0.as_ref()
    }

    /// The proxy to the host of this address.
    ///
    /// To this computer nothing goes through a proxy elsewhere, which could read it: addresses of this computer may do
    /// without TLS. A proxy that is on this computer itself is used if it was configured.
    pub(super) fn proxy_to(&self, uri: &Uri) -> Option<&Proxy> {
        let proxy = self.0.as_ref().filter(|proxy| !proxy.is_no_proxy(uri))?;
        let leaves_the_computer = proxy.is_from_env() || !is_loopback(proxy.host());
        if uri.host().is_some_and(is_loopback) && leaves_the_computer { None } else { Some(proxy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_used(proxy: &str, address: &str) -> bool {
        ProxyRule::new(Proxy::new(proxy).ok()).proxy_to(&address.parse().unwrap()).is_some()
    }

    #[test]
    fn nothing_for_this_computer_goes_through_a_proxy_elsewhere() {
        for proxy in ["http://proxy.example:3128", "socks5://192.0.2.1:1080"] {
            for address in ["http://localhost/", "http://127.0.0.1:8080/", "https://127.8.8.8/", "http://[::1]/x"] {
                assert!(!is_used(proxy, address), "{proxy} {address}");
            }
            for address in ["https://my.bitrix24.com/", "http://localhost.example/", "https://192.168.0.1/"] {
                assert!(is_used(proxy, address), "{proxy} {address}");
            }
        }
        assert!(is_used("http://localhost:3128", "http://127.0.0.1:8080/"));
    }
}
