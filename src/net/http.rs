//! HTTP: one agent that trusts the system's certificates, limits the size of answers, follows no redirects, and can be
//! shut down at any moment.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{HeaderMap, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::transport::Connector;
use ureq::{Agent, Body};

use super::connection::{Connection, ConnectionOpener, Connectors};
use super::observed::{ObservedConnector, WaitObserver};
use super::resolver::CallerResolver;
use super::tls;
use crate::cancel::Cancellation;
use crate::config::Settings;
use crate::error::{Error, Result};

/// Buffers of an HTTP connection. The heads of requests and answers have to fit in. ureq's defaults (2 × 128 KiB) are
/// sized for downloads, but our connections mostly wait.
const HTTP_BUFFERS: BufferSizes = BufferSizes { input: 12 * 1024, output: 8 * 1024 };
/// Buffers of a raw connection. Frames of a push server are small, and a process may hold hundreds of connections.
const RAW_BUFFERS: BufferSizes = BufferSizes { input: 4 * 1024, output: 4 * 1024 };

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
    max_answer_bytes: u64,
    cancel: Cancellation,
}

impl Http {
    /// An agent with these settings. The observer is called while requests wait for their answers.
    pub fn new(settings: &Settings, cancel: Cancellation, observer: Option<Arc<dyn WaitObserver>>) -> Http {
        let connectors = if settings.root_certificates.is_none() { Connectors::shared() } else { Connectors::new() };
        let connector = connectors.clone().chain(ObservedConnector::new(observer));
        Http {
            agent: Agent::with_parts(agent_config(settings, HTTP_BUFFERS), connector, CallerResolver),
            opener: Arc::new(ConnectionOpener::new(agent_config(settings, RAW_BUFFERS), connectors)),
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
        self.opener.open(&uri, timeout).map_err(|error| self.connection_error(url, error))
    }

    /// Why a connection to this address broke: the client was closed, or ureq's error.
    pub fn connection_error(&self, url: &str, error: ureq::Error) -> Error {
        if self.cancel.is_cancelled() { Error::Closed } else { explain(url, error) }
    }

    /// The maximum size of an answer or a message, in bytes.
    pub fn max_answer_bytes(&self) -> u64 {
        self.max_answer_bytes
    }

    /// Sends a `POST` request with a JSON body.
    pub fn post_json(&self, url: &str, body: &str, timeout: Duration) -> Result<HttpResponse> {
        let request = self.agent.post(url).content_type("application/json");
        let request = request.config().timeout_global(Some(timeout)).build();
        self.read_response(url, request.send(body))
    }

    /// Sends a `POST` request with form fields.
    pub fn post_form(&self, url: &str, fields: &[(&str, &str)], timeout: Duration) -> Result<HttpResponse> {
        let request = self.agent.post(url).config().timeout_global(Some(timeout)).build();
        self.read_response(url, request.send_form(fields.iter().copied()))
    }

    /// Sends a `GET` request for long polling. `timeout` applies to the head of the answer and, anew, to its body.
    pub fn get(&self, url: &str, timeout: Duration) -> Result<HttpResponse> {
        let request = self.agent.get(url).config();
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
            self.cancel.check().err().unwrap_or_else(|| explain(url, error))
        })
    }
}

/// ureq's errors as ours. Of the address only the host is shown, because path and query may hold secrets.
fn explain(url: &str, error: ureq::Error) -> Error {
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.authority().map(|a| a.to_string())).unwrap_or_default();
    match error {
        ureq::Error::Timeout(what) => Error::Network(format!(
            "{host} did not answer in time ({what}); check the network and the proxy, or raise http.timeout_ms or \
             http.connect_timeout_ms"
        )),
        ureq::Error::HostNotFound => {
            let text = format!("the host name {host} cannot be resolved; check its spelling and the DNS settings");
            Error::Unreachable(text)
        }
        ureq::Error::BodyExceedsLimit(limit) => Error::protocol(format!(
            "the answer of {host} is longer than {limit} bytes; raise http.max_answer_bytes, or request less at once \
             (fetch.limit)"
        )),
        ureq::Error::Rustls(error) => tls_error(&host, &error.to_string()),
        ureq::Error::Tls(text) => tls_error(&host, text),
        ureq::Error::Pem(error) => tls_error(&host, &error.to_string()),
        ureq::Error::Protocol(error) => Error::Network(format!(
            "the answer of {host} is not valid HTTP: {error}; check the address, and that no proxy or firewall \
             alters answers"
        )),
        ureq::Error::InvalidProxyUrl => Error::Config(
            "the proxy's address is not valid; correct http.proxy, or the proxy variables of the environment".into(),
        ),
        ureq::Error::ConnectProxyFailed(reason) => Error::Network(format!(
            "the proxy did not connect to {host}: {reason}; check http.proxy, its user and password, and that the \
             proxy allows this host"
        )),
        ureq::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(inner) => tls_error(&host, &inner.to_string()),
            None => {
                let text = format!(
                    "the connection to {host} failed: {}; check the address, the network and the proxy",
                    os_error_text(&error)
                );
                if is_unreachable(error.kind()) { Error::Unreachable(text) } else { Error::Network(text) }
            }
        },
        ureq::Error::ConnectionFailed => Error::Network(format!(
            "no connection to {host} could be opened; check the address, the network and the proxy"
        )),
        other => Error::Network(format!(
            "the request to {host} failed: {}; repeat it later, and report this text if it persists",
            variant_name(&other)
        )),
    }
}

/// Whether nothing got through to the other side. Only opening a connection fails in these ways.
fn is_unreachable(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable
    )
}

fn agent_config(settings: &Settings, buffers: BufferSizes) -> ureq::config::Config {
    let trusted = settings.root_certificates.clone().map_or(RootCerts::PlatformVerifier, RootCerts::Specific);
    let tls =
        TlsConfig::builder().root_certs(trusted).unversioned_rustls_crypto_provider(Arc::new(tls::provider())).build();
    let config = Agent::config_builder();
    // Without a call of `proxy`, ureq uses the proxy from the environment.
    let config = match &settings.proxy {
        Some(proxy) => config.proxy(Some(proxy.clone())),
        None => config,
    };
    config
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

fn tls_error(host: &str, text: &str) -> Error {
    Error::Tls(format!(
        "no secure connection to {host}: {text}; check this computer's clock, and that the issuer of the server's \
         certificate is trusted by the operating system or is in tls.ca_file"
    ))
}

/// The operating system's text only: texts that we or ureq have wrapped could quote an address.
fn os_error_text(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code).to_string(),
        None => error.kind().to_string(),
    }
}

/// The name of an error's variant without its contents.
fn variant_name(error: &ureq::Error) -> String {
    format!("{error:?}").chars().take_while(|c| c.is_ascii_alphanumeric()).collect()
}
