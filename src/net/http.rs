//! HTTP: one agent with TLS by the system's trust store, bounded answers, no redirects, and an end at any moment.

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

/// Buffers of one connection: the head of an answer has to fit in, and that of a request. ureq's defaults (2 × 128 KiB)
/// are sized for downloads; a client here mostly waits.
const BUFFERS: Buffers = Buffers { input: 12 * 1024, output: 8 * 1024 };
/// The same for a line: frames of a push server are small, and a process may hold hundreds of lines.
const STREAM_BUFFERS: Buffers = Buffers { input: 4 * 1024, output: 4 * 1024 };

struct Buffers {
    input: usize,
    output: usize,
}

/// How this library names itself to servers.
pub const USER_AGENT: &str = concat!("b24events/", env!("CARGO_PKG_VERSION"));

/// An HTTP answer, read whole.
pub struct Answer {
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
    /// An agent by these settings. With a `watch`, waiting for answers is watched (see [`WaitObserver`]).
    pub fn new(settings: &Settings, cancel: Cancellation, watch: Option<Arc<dyn WaitObserver>>) -> Http {
        let connectors = if settings.authorities.is_none() { Connectors::shared() } else { Connectors::new() };
        let connector = connectors.clone().chain(ObservedConnector::new(watch));
        Http {
            agent: Agent::with_parts(config(settings, BUFFERS), connector, CallerResolver),
            opener: Arc::new(ConnectionOpener::new(config(settings, STREAM_BUFFERS), connectors)),
            max_answer_bytes: settings.max_answer_bytes,
            cancel,
        }
    }

    /// Interrupts every request in flight and refuses new ones.
    pub fn shutdown(&self) {
        self.agent.clone().shutdown();
        self.opener.shutdown();
    }

    /// A connection to the host of this address for something else than a request.
    pub fn open_connection(&self, url: &str, timeout: Duration) -> Result<Connection> {
        self.cancel.check()?;
        let uri = url.parse::<Uri>().map_err(|_| Error::protocol("the address cannot be used"))?;
        self.opener.open(&uri, timeout).map_err(|error| self.connection_error(url, error))
    }

    /// Why a line to this address broke: closed, or what ureq says.
    pub fn connection_error(&self, url: &str, error: ureq::Error) -> Error {
        if self.cancel.is_cancelled() { Error::Closed } else { self.explain(url, error) }
    }

    /// The most bytes that an answer or a message may have.
    pub fn max_answer_bytes(&self) -> u64 {
        self.max_answer_bytes
    }

    /// `POST` of a JSON text.
    pub fn post_json(&self, url: &str, body: &str, timeout: Duration) -> Result<Answer> {
        let request = self.agent.post(url).content_type("application/json");
        let request = request.config().timeout_global(Some(timeout)).build();
        self.answer(url, request.send(body))
    }

    /// `POST` of form fields.
    pub fn post_form(&self, url: &str, fields: &[(&str, &str)], timeout: Duration) -> Result<Answer> {
        let request = self.agent.post(url).config().timeout_global(Some(timeout)).build();
        self.answer(url, request.send_form(fields.iter().copied()))
    }

    /// `GET` for long polling: `timeout` bounds the wait for the head of the answer, and again that for its body.
    pub fn get(&self, url: &str, timeout: Duration) -> Result<Answer> {
        let request = self.agent.get(url).config();
        let request = request.timeout_recv_response(Some(timeout)).timeout_recv_body(Some(timeout)).build();
        self.answer(url, request.call())
    }

    fn answer(&self, url: &str, result: Result<ureq::http::Response<Body>, ureq::Error>) -> Result<Answer> {
        let read = result.and_then(|response| {
            let (head, mut body) = response.into_parts();
            let body = body.with_config().limit(self.max_answer_bytes).read_to_vec()?;
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        });
        read.map_err(|error| {
            // What closing has broken is no trouble of the network. What came whole is used even then: it may be the
            // only copy of records or tokens.
            self.cancel.check().err().unwrap_or_else(|| self.explain(url, error))
        })
    }

    /// ureq's errors in plain words. The address is reduced to its host: path and query may hold secrets.
    fn explain(&self, url: &str, error: ureq::Error) -> Error {
        let host = url.parse::<Uri>().ok().and_then(|uri| uri.authority().map(|a| a.to_string())).unwrap_or_default();
        match error {
            ureq::Error::Timeout(what) => Error::Network(format!(
                "{host} did not answer in time ({what}); check the network, or raise http.timeout_ms / http.connect_timeout_ms"
            )),
            ureq::Error::HostNotFound => {
                Error::Network(format!("the host name {host} cannot be resolved; check it and the DNS settings"))
            }
            ureq::Error::BodyExceedsLimit(limit) => Error::protocol(format!(
                "the answer of {host} is longer than {limit} bytes; raise http.max_answer_bytes or ask for less (fetch.limit)"
            )),
            ureq::Error::Rustls(error) => not_accepted(&host, &error.to_string()),
            ureq::Error::Tls(text) => not_accepted(&host, text),
            ureq::Error::Pem(error) => not_accepted(&host, &error.to_string()),
            ureq::Error::Protocol(error) => {
                Error::Network(format!("{host} does not answer in HTTP as it should: {error}"))
            }
            ureq::Error::InvalidProxyUrl => {
                Error::Config("the proxy's address (http.proxy, or that in the environment) is not usable".into())
            }
            ureq::Error::ConnectProxyFailed(reason) => Error::Network(format!(
                "the proxy did not connect to {host}: {reason}; check http.proxy, its user and its password"
            )),
            ureq::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(inner) => not_accepted(&host, &inner.to_string()),
                None => Error::Network(format!("the connection to {host} failed: {}", plain(&error))),
            },
            ureq::Error::ConnectionFailed => Error::Network(format!("no connection to {host}")),
            other => Error::Network(format!("the request to {host} failed: {}", kind(&other))),
        }
    }
}

fn config(settings: &Settings, buffers: Buffers) -> ureq::config::Config {
    let roots = settings.authorities.clone().map_or(RootCerts::PlatformVerifier, RootCerts::Specific);
    let tls =
        TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(Arc::new(tls::provider())).build();
    let config = Agent::config_builder();
    // ureq takes the environment's proxy unless another is given.
    let config = match &settings.proxy {
        Some(proxy) => config.proxy(Some(proxy.clone())),
        None => config,
    };
    config
        .tls_config(tls)
        // A redirect would carry the token in the body to whatever address the answer names.
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(USER_AGENT)
        .timeout_connect(Some(settings.connect_timeout))
        .input_buffer_size(buffers.input)
        .output_buffer_size(buffers.output)
        .build()
}

fn not_accepted(host: &str, text: &str) -> Error {
    Error::Tls(format!(
        "the certificate or TLS of {host} was not accepted: {text}; check the computer's clock and that the issuing authority is trusted by the operating system or stands in tls.ca_file"
    ))
}

/// What the operating system says; our own or ureq's wrapped texts could quote an address.
fn plain(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code).to_string(),
        None => error.kind().to_string(),
    }
}

/// The name of an error's variant, without what it holds.
fn kind(error: &ureq::Error) -> String {
    format!("{error:?}").chars().take_while(|c| c.is_ascii_alphanumeric()).collect()
}
