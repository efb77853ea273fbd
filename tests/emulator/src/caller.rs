//! Calls that the portal makes: to the handlers of an application.
//!
//! The emulator connects to loopback addresses only and follows no redirects.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

/// A call that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A longer answer counts as a failure.
const MAX_ANSWER: usize = 1024 * 1024;

/// An address that the emulator may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    address: SocketAddr,
    /// `host:port` as it was written.
    authority: String,
    /// Path and query.
    target: Uri,
}

/// Why an address cannot be that of a handler.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The vendor's check: its host has no dot, as `localhost` and `[::1]`.
    WrongUrl,
    /// The vendor's check too.
    UnsupportedProtocol,
    /// The emulator itself does not call it.
    NotHere(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongUrl => "Wrong handler URL",
            Self::UnsupportedProtocol => "Unsupported handler protocol",
            Self::NotHere(reason) => reason,
        })
    }
}

impl From<Refusal> for String {
    fn from(refusal: Refusal) -> Self {
        refusal.to_string()
    }
}

impl Handler {
    /// Accepts `http://` addresses on loopback.
    pub fn parse(address: &str) -> Result<Self, Refusal> {
        let not_here = |reason: &str| Err(Refusal::NotHere(format!("{reason} {address}")));
        let uri = address.parse::<Uri>().map_err(|_| Refusal::WrongUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(Refusal::WrongUrl);
        };
        let host = authority.host();
        if host.find('.').is_none_or(|at| at == 0) {
            return Err(Refusal::WrongUrl);
        }
        match scheme {
            "http" => {}
            "https" => return not_here("The emulator has no TLS; use an http:// address instead of"),
            _ => return Err(Refusal::UnsupportedProtocol),
        }
        let Some(ip) = host.parse().ok().filter(IpAddr::is_loopback) else {
            return not_here("The emulator calls handlers on 127.0.0.1 only; it does not call");
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self {
            address: SocketAddr::from((ip, authority.port_u16().unwrap_or(80))),
            authority: authority.as_str().to_owned(),
            target: target.parse().unwrap_or_default(),
        })
    }
}

/// One call, ready to be made.
#[derive(Debug)]
pub struct Call {
    pub handler: Handler,
    /// `application/x-www-form-urlencoded`
    pub form: String,
}

#[derive(Default)]
pub struct Tally {
    pub made: AtomicU64,
    /// Those not answered with a status 2xx in time.
    pub failed: AtomicU64,
}

/// Makes the calls until the emulator ends, each in a task of its own and none of them twice.
pub async fn make_calls(mut calls: UnboundedReceiver<Call>, tally: Arc<Tally>) {
    while let Some(call) = calls.recv().await {
        let tally = Arc::clone(&tally);
        tokio::spawn(async move {
            let status = timeout(TIMEOUT, post(call)).await;
            if !matches!(status, Ok(Ok(status)) if status.is_success()) {
                tally.failed.fetch_add(1, Ordering::Relaxed);
            }
            tally.made.fetch_add(1, Ordering::Relaxed);
        });
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn post(call: Call) -> Result<StatusCode, Failure> {
    let Call { handler, form } = call;
    let stream = TcpStream::connect(handler.address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .uri(handler.target)
        .header(HOST, handler.authority)
        .header(USER_AGENT, "Bitrix24 Webhook Engine")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(form)))?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    Limited::new(body, MAX_ANSWER).collect().await?;
    Ok(head.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback() {
        let address = |text| Handler::parse(text).map(|handler| handler.address.to_string());
        assert_eq!(address("http://127.0.0.1:8080/b24").as_deref(), Ok("127.0.0.1:8080"));
        assert_eq!(address("http://127.1.2.3/?a=b").as_deref(), Ok("127.1.2.3:80"));
        let refused = [
            "https://127.0.0.1/",
            "http://example.com/",
            "http://10.0.0.1/",
            "http://127.0.0.1.example.com/",
            "http://localhost@example.com/",
            "http://0.0.0.0/",
        ];
        for text in refused {
            assert!(matches!(address(text), Err(Refusal::NotHere(_))), "{text}");
        }
    }

    #[test]
    fn what_the_vendor_refuses() {
        let refusal = |text| Handler::parse(text).unwrap_err();
        for text in ["http://localhost/", "http://[::1]:81/", "http://.com/", "http://1c/b24", "/b24", ""] {
            assert_eq!(refusal(text), Refusal::WrongUrl, "{text}");
        }
        assert_eq!(refusal("ftp://127.0.0.1/"), Refusal::UnsupportedProtocol);
    }
}
