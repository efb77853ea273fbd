//! Raw connections for WebSockets, over the same sockets, proxies and TLS as HTTP requests.

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

use super::observed::ObservedConnector;
use super::proxy_timeout::ProxyDeadline;
use super::resolver::CallerResolver;
use crate::lock;
use crate::process::PerProcess;

/// A connection that reads and writes bytes.
pub type Connection = TransportAdapter;

/// How connections are made: directly or through a proxy, with TLS where the address asks for it.
#[derive(Clone)]
pub(super) struct Connectors(Arc<DynConnector>);

type DynConnector = dyn Connector<(), Out = Box<dyn Transport>>;

/// The operating system's root certificates take a few hundred kilobytes, so all clients of the process share them.
static SHARED: PerProcess<Mutex<Option<Weak<DynConnector>>>> = PerProcess::new();

impl Connectors {
    /// Connectors that trust the operating system's root certificates. Freed with the last client that uses them.
    pub(super) fn shared() -> Connectors {
        let mut shared = lock(SHARED.get());
        if let Some(connectors) = shared.as_ref().and_then(Weak::upgrade) {
            return Connectors(connectors);
        }
        let connectors = Connectors::new();
        *shared = Some(Arc::downgrade(&connectors.0));
        connectors
    }

    /// Connectors of one client, for other root certificates.
    pub(super) fn new() -> Connectors {
        let connectors =
            ().chain(SocksConnector::default())
                .chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(ObservedConnector::for_shutdown())
                .chain(RustlsConnector::default())
                .chain(ObservedConnector::new(None));
        Connectors(Arc::new(connectors))
    }
}

impl fmt::Debug for Connectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connectors")
    }
}

impl Connector for Connectors {
    type Out = Box<dyn Transport>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<()>) -> Result<Option<Self::Out>, Error> {
        let deadline = ProxyDeadline::new(&details.timeout);
        let (bounded, connect_to_proxy) = (deadline.clone(), details.run_connector.clone());
        // With `request_level` set, ureq would load the root certificates again for every request that has a timeout.
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: false,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            // Called for the connection to a proxy only.
            run_connector: Arc::new(move |proxy| Ok(bounded.bound(connect_to_proxy(proxy)?))),
            register_shutdown: details.register_shutdown.clone(),
        };
        let connected = self.0.connect(&details, chained);
        deadline.lift();
        connected
    }
}

/// Opens connections, and can shut all of them down at any moment.
pub(super) struct ConnectionOpener {
    direct: Config,
    /// The same with the proxy, if there is one.
    proxied: Option<Config>,
    connectors: Connectors,
    /// `None` after the shutdown: no connection can be opened then.
    open: Arc<Mutex<Option<ShutdownHandles>>>,
}

type ShutdownHandles = Vec<Weak<dyn ShutdownHandle>>;

impl ConnectionOpener {
    /// `proxied` names the proxy, if there is one.
    pub(super) fn new(direct: Config, proxied: Option<Config>, connectors: Connectors) -> ConnectionOpener {
        ConnectionOpener { direct, proxied, connectors, open: Arc::new(Mutex::new(Some(Vec::new()))) }
    }

    /// Connects to the host of an `http` or `https` address.
    pub(super) fn open(&self, uri: &Uri, through_proxy: bool, timeout: Duration) -> Result<Connection, Error> {
        let resolver = CallerResolver;
        let timeout = NextTimeout { after: timeout.into(), reason: ureq::Timeout::Connect, ..NextTimeout::default() };
        // Most proxies resolve the name themselves.
        let config = self.proxied.as_ref().filter(|_| through_proxy).unwrap_or(&self.direct);
        let proxy_resolves = config.proxy().is_some_and(|proxy| !proxy.resolve_target());
        let addrs = if proxy_resolves { resolver.empty() } else { resolver.resolve(uri, config, timeout)? };
        let connectors = self.connectors.clone();
        let open = self.open.clone();
        let details = ConnectionDetails {
            uri,
            addrs,
            config,
            request_level: false,
            resolver: &resolver,
            now: Instant::now(),
            timeout,
            current_time: Arc::new(Instant::now),
            // Connects to the proxy itself.
            run_connector: Arc::new(move |details| connectors.connect(details, None)?.ok_or(Error::ConnectionFailed)),
            register_shutdown: Arc::new(move |handle| {
                let mut open = lock(&open);
                let handles = open.as_mut().ok_or(Error::ConnectionFailed)?;
                handles.retain(|handle| handle.strong_count() > 0);
                handles.push(handle);
                Ok(())
            }),
        };
        let transport = self.connectors.connect(&details, None)?.ok_or(Error::ConnectionFailed)?;
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
