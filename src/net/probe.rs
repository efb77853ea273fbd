//! Looks whether a connection is possible and what it goes through, for a diagnosis.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use ureq::Proxy;

use super::explain::explain;
use super::http::Http;
use crate::error::{Error, Result};

/// The proxy that requests to an address go through.
pub struct UsedProxy {
    /// Host and port.
    pub name: String,
    /// Whether the environment names it, and not `http.proxy`.
    pub is_from_environment: bool,
    /// Whether it resolves the names of the servers behind it.
    pub resolves_names: bool,
    proxy: Proxy,
}

impl Http {
    /// The proxy to this address, if one is used.
    pub fn used_proxy(&self, url: &str) -> Option<UsedProxy> {
        let proxy = self.proxy_to(url)?;
        Some(UsedProxy {
            name: format!("{}:{}", proxy.host(), proxy.port()),
            is_from_environment: proxy.is_from_env(),
            resolves_names: !proxy.resolve_target(),
            proxy,
        })
    }
}

impl UsedProxy {
    /// Whether the proxy accepts a connection to its port; what it allows is not asked. `url`: for the text of the error.
    pub fn check(&self, url: &str, timeout: Duration) -> Result<()> {
        let failed = |error: ureq::Error| explain(url, Some(&self.proxy), error);
        let address = resolve(self.proxy.host(), self.proxy.port()).ok().and_then(|found| found.first().copied());
        let address = address.ok_or_else(|| {
            let name = &self.name;
            Error::Unreachable(format!(
                "the name of the proxy {name} cannot be resolved; check http.proxy or the proxy variables of the \
                 environment, and the DNS settings"
            ))
        })?;
        // Zero is no timeout to the system.
        let timeout = timeout.max(Duration::from_millis(1));
        TcpStream::connect_timeout(&address, timeout).map(drop).map_err(|error| failed(error.into()))
    }
}

/// The addresses of a host. Blocks for as long as the system's resolver does.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let found: Vec<_> = (host, port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    if found.is_empty() {
        return Err(Error::Unreachable(format!(
            "the host name {host} cannot be resolved; check its spelling and the DNS settings"
        )));
    }
    Ok(found)
}
