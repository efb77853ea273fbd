//! Calls that the portal makes: to the handlers of an application.
//!
//! The emulator connects to loopback addresses only and follows no redirects.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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

impl Handler {
    /// Accepts `http://` addresses on loopback. The error says why any other address is refused.
    pub fn parse(address: &str) -> Result<Self, String> {
        let refuse = |reason: &str| Err(format!("{reason} {address}"));
        let Ok(uri) = address.parse::<Uri>() else { return refuse("Wrong handler URL") };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return refuse("Wrong handler URL");
        };
        if scheme != "http" {
            return refuse("The emulator has no TLS; use an http:// address instead of");
        }
        let ip = match authority.host().trim_matches(['[', ']']) {
            "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            host => host.parse().ok(),
        };
        let Some(ip) = ip.filter(IpAddr::is_loopback) else {
            return refuse("The emulator calls handlers on 127.0.0.1, [::1] and localhost only; it does not call");
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
        assert_eq!(address("http://[::1]:81/").as_deref(), Ok("[::1]:81"));
        assert_eq!(address("http://localhost:82").as_deref(), Ok("127.0.0.1:82"));
        let refused = [
            "https://127.0.0.1/",
            "http://example.com/",
            "http://10.0.0.1/",
            "http://127.0.0.1.example.com/",
            "http://localhost@example.com/",
            "http://[::ffff:10.0.0.1]/",
            "http://0.0.0.0/",
            "ftp://127.0.0.1/",
            "/b24",
            "",
        ];
        for text in refused {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
