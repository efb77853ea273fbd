//! Connections beside ureq's requests: what a WebSocket runs over. The same sockets, proxies and TLS as for HTTP.

use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::time::Instant;
use ureq::unversioned::transport::{
    ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, RustlsConnector, ShutdownHandle, SocksConnector,
    TcpConnector, Transport, TransportAdapter,
};

use super::http::CallerResolver;
use super::watched::WatchedConnector;
use crate::lock;

/// A connection that reads and writes bytes.
pub type Line = TransportAdapter;

/// How connections are made.
#[derive(Clone)]
pub(super) struct Chain(Arc<Links>);

type Links = dyn Connector<(), Out = Box<dyn Transport>>;

/// The list of the operating system's authorities takes some hundred kilobytes; all clients of the process share it.
static SHARED: Mutex<Option<Weak<Links>>> = Mutex::new(None);

impl Chain {
    /// The chain for the operating system's authorities; it goes with the last client.
    pub(super) fn shared() -> Chain {
        let mut shared = lock(&SHARED);
        if let Some(links) = shared.as_ref().and_then(Weak::upgrade) {
            return Chain(links);
        }
        let chain = Chain::new();
        *shared = Some(Arc::downgrade(&chain.0));
        chain
    }

    /// A chain for other authorities.
    pub(super) fn new() -> Chain {
        let chain =
            ().chain(SocksConnector::default())
                .chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(WatchedConnector::for_shutdown())
                .chain(RustlsConnector::default())
                .chain(WatchedConnector::new(None));
        Chain(Arc::new(chain))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain")
    }
}

impl Connector for Chain {
    type Out = Box<dyn Transport>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<()>) -> Result<Option<Self::Out>, Error> {
        // A request's own time limits are no reason to read the list of authorities anew, which ureq would do.
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: false,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        self.0.connect(&details, chained)
    }
}

/// Opens lines, and shuts all of them down at any moment of their lives.
pub(super) struct Lines {
    config: Config,
    chain: Chain,
    /// `None` once they are shut down: no new ones then.
    open: Arc<Mutex<Option<Handles>>>,
}

type Handles = Vec<Weak<dyn ShutdownHandle>>;

impl Lines {
    pub(super) fn new(config: Config, chain: Chain) -> Lines {
        Lines { config, chain, open: Arc::new(Mutex::new(Some(Vec::new()))) }
    }

    /// Connects to the host of an `http` or `https` address.
    pub(super) fn open(&self, uri: &Uri, timeout: Duration) -> Result<Line, Error> {
        let resolver = CallerResolver;
        let timeout = NextTimeout { after: timeout.into(), reason: ureq::Timeout::Connect, ..NextTimeout::default() };
        // A proxy resolves the name itself, save for the one kind that cannot.
        let by_proxy = self.config.proxy().is_some_and(|proxy| !proxy.resolve_target() && !proxy.is_no_proxy(uri));
        let addrs = if by_proxy { resolver.empty() } else { resolver.resolve(uri, &self.config, timeout)? };
        let chain = self.chain.clone();
        let open = self.open.clone();
        let details = ConnectionDetails {
            uri,
            addrs,
            config: &self.config,
            request_level: false,
            resolver: &resolver,
            now: Instant::now(),
            timeout,
            current_time: Arc::new(Instant::now),
            // For the connection to the proxy itself.
            run_connector: Arc::new(move |details| chain.connect(details, None)?.ok_or(Error::ConnectionFailed)),
            register_shutdown: Arc::new(move |handle| {
                let mut open = lock(&open);
                let handles = open.as_mut().ok_or(Error::ConnectionFailed)?;
                handles.retain(|handle| handle.strong_count() > 0);
                handles.push(handle);
                Ok(())
            }),
        };
        let transport = self.chain.connect(&details, None)?.ok_or(Error::ConnectionFailed)?;
        if details.needs_tls() && !transport.is_tls() {
            return Err(Error::TlsRequired);
        }
        Ok(TransportAdapter::new(transport, details.current_time.clone()))
    }

    pub(super) fn shutdown(&self) {
        let handles = lock(&self.open).take().unwrap_or_default();
        for handle in handles.iter().filter_map(Weak::upgrade) {
            handle.shutdown();
        }
    }
}
