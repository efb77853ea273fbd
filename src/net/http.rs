//! HTTP: one agent that trusts the system's certificates, limits the size of answers, follows no redirects, and can be
//! shut down at any moment.

use std::sync::Arc;
use std::time::Duration;

use ureq::http::{HeaderMap, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::transport::Connector;
use ureq::{Agent, Body, Proxy};

use super::connection::{Connection, ConnectionOpener, Connectors};
use super::explain::explain;
use super::observed::{ObservedConnector, WaitObserver};
use super::proxy::ProxyRule;
use super::resolver::CallerResolver;
use super::tls;
use crate::cancel::Cancellation;
use crate::config::Settings;
use crate::error::{Error, Result};

/// Buffers of an HTTP connection. The heads of requests and answers have to fit in. ureq's defaults (2 × 128 KiB) are
/// sized for downloads, but our connections mostly wait.
const HTTP_BUFFERS: BufferSizes = BufferSizes { input: 10 * 1024, output: 8 * 1024 };
/// Buffers of a raw connection. Frames of a push server are small, ours even more so, and a process may hold hundreds of
/// connections. The head of a request to a proxy has to fit in, its user and password included.
const RAW_BUFFERS: BufferSizes = BufferSizes { input: 4 * 1024, output: 2 * 1024 };

struct BufferSizes {
    input: usize,
    output: usize,
}

/// The `User-Agent` of all requests.
pub const USER_AGENT: &str = concat!("b24events/", env!("CARGO_PKG_VERSION"));

/// A complete HTTP response.
pub struct HttpResponse {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, at most `http.max_answer_bytes` long.
    pub body: Vec<u8>,
}

/// Makes requests on behalf of one client. Clones share connections.
#[derive(Clone)]
pub struct Http {
    agent: Agent,
    opener: Arc<ConnectionOpener>,
    proxy: ProxyRule,
    max_answer_bytes: u64,
    cancel: Cancellation,
}

impl Http {
    /// An agent with these settings. The observer is called while requests wait for their answers.
    pub fn new(settings: &Settings, cancel: Cancellation, observer: Option<Arc<dyn WaitObserver>>) -> Http {
        let connectors = if settings.root_certificates.is_none() { Connectors::shared() } else { Connectors::new() };
        let connector = connectors.clone().chain(ObservedConnector::new(observer));
        let proxy = ProxyRule::new(settings.proxy.clone());
        let direct = agent_config(settings, &RAW_BUFFERS, None);
        let proxied = proxy.proxy().map(|proxy| agent_config(settings, &RAW_BUFFERS, Some(proxy)));
        Http {
            agent: Agent::with_parts(agent_config(settings, &HTTP_BUFFERS, None), connector, CallerResolver),
            opener: Arc::new(ConnectionOpener::new(direct, proxied, connectors)),
            proxy,
            max_answer_bytes: settings.max_answer_bytes,
            cancel,
        }
    }

    /// Interrupts every request in flight and refuses new ones.
    pub fn shutdown(&self) {
        self.agent.clone().shutdown();
        self.opener.shutdown();
    }

    /// Opens a raw connection to the host of this address.
    pub fn open_connection(&self, url: &str, timeout: Duration) -> Result<Connection> {
        self.cancel.check()?;
        let uri = url.parse::<Uri>().map_err(|_| {
            Error::protocol(
                "the push server's address is not a valid URL; have an administrator check the push settings",
            )
        })?;
        let through_proxy = self.proxy.proxy_to(&uri).is_some();
        self.opener.open(&uri, through_proxy, timeout).map_err(|error| self.connection_error(url, error))
    }

    /// Why a connection to this address broke: the client was closed, or ureq's error.
    pub fn connection_error(&self, url: &str, error: ureq::Error) -> Error {
        if self.cancel.is_cancelled() { Error::Closed } else { explain(url, self.proxy_to(url).as_ref(), error) }
    }

    /// The proxy for this address: each request names it.
    pub(super) fn proxy_to(&self, url: &str) -> Option<Proxy> {
        self.proxy.proxy_to(&url.parse().ok()?).cloned()
    }

    /// The maximum size of an answer or a message, in bytes.
    pub fn max_answer_bytes(&self) -> u64 {
        self.max_answer_bytes
    }

    /// Sends a `POST` request with a JSON body.
    pub fn post_json(&self, url: &str, body: &str, timeout: Duration) -> Result<HttpResponse> {
        let request = self.agent.post(url).content_type("application/json");
        let request = request.config().proxy(self.proxy_to(url)).timeout_global(Some(timeout)).build();
        self.read_response(url, request.send(body))
    }

    /// Sends a `POST` request with form fields.
    pub fn post_form(&self, url: &str, fields: &[(&str, &str)], timeout: Duration) -> Result<HttpResponse> {
        let request = self.agent.post(url).config().proxy(self.proxy_to(url));
        let request = request.timeout_global(Some(timeout)).build();
        self.read_response(url, request.send_form(fields.iter().copied()))
    }

    /// Sends a `GET` request for long polling. `timeout` applies to the head of the answer and, anew, to its body.
    pub fn get(&self, url: &str, timeout: Duration) -> Result<HttpResponse> {
        let request = self.agent.get(url).config().proxy(self.proxy_to(url));
        let request = request.timeout_recv_response(Some(timeout)).timeout_recv_body(Some(timeout)).build();
        self.read_response(url, request.call())
    }

    fn read_response(
        &self,
        url: &str,
        result: Result<ureq::http::Response<Body>, ureq::Error>,
    ) -> Result<HttpResponse> {
        let read = result.and_then(|response| {
            let (head, mut body) = response.into_parts();
            let body = body.with_config().limit(self.max_answer_bytes).read_to_vec()?;
            Ok(HttpResponse { status: head.status.as_u16(), headers: head.headers, body })
        });
        read.map_err(|error| {
            // A request that closing has interrupted is not a network error. A complete answer is used even then: it
            // may be the only copy of records or tokens.
            self.cancel.check().err().unwrap_or_else(|| explain(url, self.proxy_to(url).as_ref(), error))
        })
    }
}

/// Without a call of `proxy`, ureq would use the proxy from the environment for everything.
fn agent_config(settings: &Settings, buffers: &BufferSizes, proxy: Option<&Proxy>) -> ureq::config::Config {
    let trusted = settings.root_certificates.clone().map_or(RootCerts::PlatformVerifier, RootCerts::Specific);
    let tls = TlsConfig::builder().root_certs(trusted).unversioned_rustls_crypto_provider(tls::provider()).build();
    Agent::config_builder()
        .proxy(proxy.cloned())
        .tls_config(tls)
        // A redirect would send the token, which is in the body, to whatever address the answer names.
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(USER_AGENT)
        .timeout_connect(Some(settings.connect_timeout))
        .input_buffer_size(buffers.input)
        .output_buffer_size(buffers.output)
        .build()
}
