//! ureq's errors as ours: what happened, to what, and what to do.
//!
//! Of an address only the host is shown, because path and query may hold secrets; of a proxy only host and port.

use std::io::{self, ErrorKind};

use rustls::AlertDescription;
use ureq::http::Uri;
use ureq::{Proxy, Timeout};

use crate::error::Error;

/// Why the request or the connection to `url` failed, which went through `proxy`.
pub(super) fn explain(url: &str, proxy: Option<&Proxy>, error: ureq::Error) -> Error {
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.authority().map(|a| a.to_string())).unwrap_or_default();
    match error {
        ureq::Error::Timeout(what) => timed_out(&host, proxy, what),
        ureq::Error::HostNotFound => not_found(&host, proxy),
        ureq::Error::BodyExceedsLimit(limit) => Error::protocol(format!(
            "the answer of {host} is longer than {limit} bytes; raise http.max_answer_bytes, or request less at once \
             (fetch.limit)"
        )),
        ureq::Error::Rustls(error) => tls_error(&host, &error),
        ureq::Error::Tls(text) => untrusted(&host, text),
        ureq::Error::Pem(error) => untrusted(&host, &error.to_string()),
        ureq::Error::Protocol(error) => Error::Network(format!(
            "the answer of {host} is not valid HTTP: {error}; check the address, and that no proxy or firewall \
             alters answers"
        )),
        ureq::Error::InvalidProxyUrl => Error::Config(
            "the proxy's address is not valid; correct http.proxy, or the proxy variables of the environment".into(),
        ),
        ureq::Error::ConnectProxyFailed(reason) if is_gateway_failure(&reason) => Error::Unreachable(format!(
            "{} did not reach {host}: {reason}; check the address, and that the server runs",
            name(proxy)
        )),
        ureq::Error::ConnectProxyFailed(reason) => Error::Network(format!(
            "{} did not connect to {host}: {reason}; check http.proxy, its user and password, and that the proxy \
             allows this host",
            name(proxy)
        )),
        ureq::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(inner) => tls_error(&host, inner),
            None => io_error(&host, proxy, &error),
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

/// Whether an HTTP proxy says that the server behind it is not there: ureq gives its status as "…502/502".
fn is_gateway_failure(reason: &str) -> bool {
    ["502", "503", "504"].contains(&reason.rsplit('/').next().unwrap_or_default())
}

/// The proxy as it may be shown.
fn name(proxy: Option<&Proxy>) -> String {
    proxy.map_or_else(|| "the proxy".into(), |proxy| format!("the proxy {}:{}", proxy.host(), proxy.port()))
}

fn timed_out(host: &str, proxy: Option<&Proxy>, what: Timeout) -> Error {
    let through = proxy.map(|_| format!(" through {}", name(proxy))).unwrap_or_default();
    Error::Network(format!(
        "{host} did not answer{through} in time ({what}); check the network and the proxy, or raise http.timeout_ms or \
         http.connect_timeout_ms"
    ))
}

fn not_found(host: &str, proxy: Option<&Proxy>) -> Error {
    Error::Unreachable(match proxy {
        None => format!("the host name {host} cannot be resolved; check its spelling and the DNS settings"),
        // The proxy resolves the other name.
        Some(used) if !used.resolve_target() => format!(
            "the name of {} cannot be resolved; check http.proxy or the proxy variables of the environment, and the \
             DNS settings",
            name(proxy)
        ),
        Some(_) => format!(
            "the host name {host}, or that of {}, cannot be resolved; check their spelling and the DNS settings, or \
             let the proxy resolve names (socks5h:// in http.proxy)",
            name(proxy)
        ),
    })
}

fn io_error(host: &str, proxy: Option<&Proxy>, error: &io::Error) -> Error {
    let Some(used) = proxy else {
        let text = os_error_text(error);
        let text = format!("the connection to {host} failed: {text}; check the address, the network and the proxy");
        return if is_unreachable(error.kind()) { Error::Unreachable(text) } else { Error::Network(text) };
    };
    let proxy_name = name(proxy);
    if error.kind() == ErrorKind::ConnectionRefused {
        return Error::Unreachable(format!(
            "{proxy_name} refused the connection; check that it runs, and http.proxy or the proxy variables of the \
             environment"
        ));
    }
    if is_unreachable(error.kind()) {
        let text = os_error_text(error);
        return Error::Unreachable(format!("{proxy_name} cannot be reached: {text}; check http.proxy and the network"));
    }
    match socks_refusal(used, error) {
        Some(Refusal::Credentials) => Error::Network(format!(
            "{proxy_name} refused the connection to {host}: user or password are wrong or missing; correct them in \
             http.proxy"
        )),
        Some(Refusal::Unreachable(reason)) => Error::Unreachable(format!(
            "{proxy_name} did not reach {host}: {reason}; check the address, and that the server runs"
        )),
        Some(Refusal::Other(reason)) => Error::Network(format!(
            "{proxy_name} did not connect to {host}: {reason}; check the address, and that the proxy allows this host"
        )),
        None => Error::Network(format!(
            "the connection to {host} through {proxy_name} failed: {}; check the address, the network and the proxy",
            os_error_text(error)
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

/// Why a SOCKS proxy did not connect.
enum Refusal {
    Credentials,
    /// The host behind it is not there.
    Unreachable(&'static str),
    Other(&'static str),
}

/// Reads ureq's error of a SOCKS handshake, which is a text of its own.
fn socks_refusal(proxy: &Proxy, error: &io::Error) -> Option<Refusal> {
    // The replies of RFC 1928, and the one of SOCKS4.
    const UNREACHABLE: [&str; 3] = ["network unreachable", "host unreachable", "connection refused"];
    const OTHERS: [&str; 6] = [
        "general SOCKS server failure",
        "connection not allowed by ruleset",
        "TTL expired",
        "command not supported",
        "address kind not supported",
        "request rejected or failed",
    ];
    const CREDENTIALS: [&str; 5] = [
        "password authentication failed",
        "no acceptable auth methods",
        "unknown auth method",
        "invalid username",
        "invalid password",
    ];
    if error.raw_os_error().is_some() || !proxy.uri().scheme_str().is_some_and(|scheme| scheme.starts_with("socks")) {
        return None;
    }
    let text = error.get_ref()?.to_string();
    if CREDENTIALS.contains(&text.as_str()) {
        return Some(Refusal::Credentials);
    }
    let known = |reasons: &[&'static str]| reasons.iter().copied().find(|reason| *reason == text);
    known(&UNREACHABLE).map(Refusal::Unreachable).or(known(&OTHERS).map(Refusal::Other))
}

fn tls_error(host: &str, error: &rustls::Error) -> Error {
    let nothing_in_common = match error {
        rustls::Error::PeerIncompatible(_) => true,
        rustls::Error::AlertReceived(alert) => matches!(
            alert,
            AlertDescription::HandshakeFailure
                | AlertDescription::InsufficientSecurity
                | AlertDescription::ProtocolVersion
        ),
        _ => false,
    };
    if nothing_in_common {
        return Error::Tls(format!(
            "no secure connection to {host}: no common cipher, curve or version of TLS ({error}); the server has to \
             offer TLS 1.2 or 1.3 with AES-GCM or ChaCha20-Poly1305 and X25519, P-256 or P-384"
        ));
    }
    untrusted(host, &error.to_string())
}

fn untrusted(host: &str, text: &str) -> Error {
    Error::Tls(format!(
        "no secure connection to {host}: {text}; check this computer's clock, and that the issuer of the server's \
         certificate is trusted by the operating system or is in tls.ca_file"
    ))
}

/// The operating system's text only: texts that we or ureq have wrapped could quote an address.
fn os_error_text(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code).to_string(),
        None => error.kind().to_string(),
    }
}

/// The name of an error's variant without its contents.
fn variant_name(error: &ureq::Error) -> String {
    format!("{error:?}").chars().take_while(|c| c.is_ascii_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://push.example/sub/?CHANNEL_ID=planted";

    fn through(proxy: &str, error: io::Error) -> Error {
        explain(URL, Proxy::new(proxy).ok().as_ref(), ureq::Error::Io(error))
    }

    #[test]
    fn what_did_not_get_through_is_told_from_what_broke() {
        let refused = || io::Error::from(ErrorKind::ConnectionRefused);
        let socks = "socks5://planted:planted@proxy.example:1080";
        assert!(matches!(explain(URL, None, ureq::Error::Io(refused())), Error::Unreachable(_)));
        assert!(matches!(explain(URL, None, ureq::Error::HostNotFound), Error::Unreachable(_)));
        assert!(matches!(through(socks, refused()), Error::Unreachable(_)));
        assert!(matches!(through(socks, io::Error::other("connection refused")), Error::Unreachable(_)));
        assert!(matches!(through(socks, io::Error::other("general SOCKS server failure")), Error::Network(_)));
        assert!(matches!(through(socks, ErrorKind::ConnectionReset.into()), Error::Network(_)));
        // The same text from somewhere else means something else.
        let http = "http://proxy.example:3128";
        assert!(matches!(through(http, io::Error::other("connection refused")), Error::Network(_)));
    }

    #[test]
    fn a_proxy_that_did_not_reach_the_server_is_told_from_one_that_refuses() {
        let proxy = Proxy::new("http://proxy.example:3128").unwrap();
        // As ureq words it.
        let refused = |status: &str| ureq::Error::ConnectProxyFailed(format!("proxy server responded {status}"));
        for status in ["502/502", "503/503", "504/504"] {
            let error = explain(URL, Some(&proxy), refused(status));
            assert!(matches!(error, Error::Unreachable(_)), "{status}: {error}");
            let text = error.to_string();
            assert!(text.starts_with("the proxy proxy.example:3128 did not reach push.example"), "{text}");
        }
        for status in ["407/407", "403/403", "500/500"] {
            assert!(matches!(explain(URL, Some(&proxy), refused(status)), Error::Network(_)), "{status}");
        }
        let silent = ureq::Error::ConnectProxyFailed("proxy server did not respond".into());
        assert!(matches!(explain(URL, Some(&proxy), silent), Error::Network(_)));
    }

    #[test]
    fn texts_name_host_and_proxy_and_no_secret() {
        let socks = "socks5://planted:planted@proxy.example:1080";
        for error in [
            io::Error::from(ErrorKind::ConnectionRefused),
            ErrorKind::HostUnreachable.into(),
            ErrorKind::ConnectionReset.into(),
            io::Error::new(ErrorKind::PermissionDenied, "password authentication failed"),
            io::Error::other("connection not allowed by ruleset"),
            io::Error::other("planted"),
        ] {
            let text = through(socks, error).to_string();
            assert!(text.contains("the proxy proxy.example:1080") && text.contains(';'), "{text}");
            assert!(!text.contains("planted"), "{text}");
        }
        let text = explain(URL, None, ureq::Error::ConnectionFailed).to_string();
        assert!(text.contains("push.example") && !text.contains("planted"), "{text}");
    }
}
