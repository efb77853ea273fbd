//! TLS with private authorities (`tls.ca_file`), for REST and WebSocket alike.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use b24_emulator::{Control, FailNext};
use b24events::error::Status;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::support::*;

/// A portal that is not on this computer; a proxy knows better.
const ELSEWHERE: &str = "portal.example";

/// A private authority with its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: Folder,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Authority { issuer, folder: Folder::new() };
        std::fs::write(authority.file(), pem(authority.issuer.der())).unwrap();
        authority
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// `localhost` and [`ELSEWHERE`] with a certificate that is good until this year; hands on to `target`.
    fn serve(&self, target: SocketAddr, year: i32) -> u16 {
        self.serve_with(default_provider(), target, year)
    }

    /// The same with these ciphers and curves.
    fn serve_with(&self, provider: CryptoProvider, target: SocketAddr, year: i32) -> u16 {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), ELSEWHERE.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let certificates = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config =
            ServerConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(certificates, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // Ends with the test process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let connection = ServerConnection::new(config.clone()).unwrap();
                thread::spawn(move || relay(StreamOwned::new(connection, client), target));
            }
        });
        port
    }
}

/// As rcgen's own function, whose feature would change the library's `base64` in this build (tests/features.rs).
fn pem(certificate: &CertificateDer) -> String {
    let lines = STANDARD.encode(certificate);
    let lines: Vec<&str> = lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// One thread for both directions: reads of the client end after a moment, so that the server is read too.
fn relay(mut client: StreamOwned<ServerConnection, TcpStream>, target: SocketAddr) -> Option<()> {
    let mut server = TcpStream::connect(target).ok()?;
    let moment = Some(std::time::Duration::from_millis(5));
    client.sock.set_read_timeout(moment).ok()?;
    server.set_read_timeout(moment).ok()?;
    let mut bytes = [0; 16 * 1024];
    loop {
        let waits = |error: &std::io::Error| {
            matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        };
        match client.read(&mut bytes) {
            Ok(0) => return None,
            Ok(count) => server.write_all(&bytes[..count]).ok()?,
            Err(error) if waits(&error) => {}
            Err(_) => return None,
        }
        match server.read(&mut bytes) {
            Ok(0) => return None,
            Ok(count) => client.write_all(&bytes[..count]).ok()?,
            Err(error) if waits(&error) => {}
            Err(_) => return None,
        }
    }
}

/// A portal at `port` of `localhost` whose push server is there too.
fn secure(portal: &Portal, port: u16, authority: &Authority) -> b24events::config::Config {
    // The emulator's answer with secure addresses.
    let plain = portal.client_of(&portal.config()).call("pull.application.config.get", "").unwrap();
    let emulator = portal.emulator.address().to_string();
    let body = plain
        .replace("http:\\/\\/", "https://")
        .replace("http://", "https://")
        .replace("ws:\\/\\/", "wss://")
        .replace("ws://", "wss://")
        .replace(&emulator, &format!("localhost:{port}"));
    portal.emulator.control(Control::FailNext(FailNext {
        method: Some("pull.application.config.get".into()),
        times: 100,
        status: 200,
        body: Some(body),
        ..FailNext::default()
    }));
    let mut config = portal.config();
    config.set("portal.url", &format!("https://localhost:{port}")).unwrap();
    config.set("tls.ca_file", authority.file().to_str().unwrap()).unwrap();
    config
}

#[test]
fn a_private_authority_is_trusted_for_rest_and_push() {
    let portal = Portal::start();
    let authority = Authority::new("private");
    let port = authority.serve(portal.emulator.address(), 2999);
    for transport in ["websocket", "long_polling"] {
        let mut config = secure(&portal, port, &authority);
        config.set("push.transport", transport).unwrap();
        let client = portal.client_of(&config);
        client.bind_event("ONCRMDEALADD").unwrap();
        client.connect(LONG).unwrap();
        expect_check(&client);
        portal.add_deals([1]);
        let mut batch = client.next(LONG).unwrap().unwrap();
        assert_eq!(numbers(&mut batch), [1], "{transport}");
        batch.acknowledge().unwrap();
        let start = std::time::Instant::now();
        client.close();
        client.join();
        assert!(start.elapsed() < std::time::Duration::from_millis(100), "{transport}: {:?}", start.elapsed());
    }
    assert_eq!(portal.emulator.counters().websockets_accepted, 1);
}

#[test]
fn certificates_that_cannot_be_trusted_are_refused_with_a_text() {
    let portal = Portal::start();
    let authority = Authority::new("known");
    let stranger = Authority::new("stranger");
    let expired = authority.serve(portal.emulator.address(), 2021);
    let unknown = stranger.serve(portal.emulator.address(), 2999);
    for (port, text) in [(expired, "Expired"), (unknown, "UnknownIssuer")] {
        let client = portal.client_of(&secure(&portal, port, &authority));
        let error = client.call("profile", "").unwrap_err();
        assert_eq!(error.status(), Status::Tls);
        let shown = error.to_string();
        let why = shown.to_lowercase().contains(&text.to_lowercase());
        assert!(why && shown.contains("clock") && shown.contains("tls.ca_file"), "{shown}");
        let report: serde_json::Value = serde_json::from_str(&client.diagnose(LONG).unwrap()).unwrap();
        let failed: Vec<_> =
            report["checks"].as_array().unwrap().iter().filter(|check| check["status"] == "failed").collect();
        assert_eq!((failed.len(), failed[0]["id"].as_str()), (1, Some("tls")), "{report}");
        assert!(failed[0]["next_step"]["russian"].as_str().unwrap().contains("tls.ca_file"), "{report}");
    }
}

#[test]
fn every_cipher_and_curve_that_rustls_recommends_is_offered() {
    let authority = Authority::new("modern");
    // The certificates of this authority are for ECDSA.
    let suites = default_provider().cipher_suites;
    let usable = suites.iter().copied().filter(|suite| !format!("{:?}", suite.suite()).contains("ECDHE_RSA"));
    for suite in usable {
        for group in [kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1] {
            let portal = Portal::start();
            let provider = CryptoProvider { cipher_suites: vec![suite], kx_groups: vec![group], ..default_provider() };
            let port = authority.serve_with(provider, portal.emulator.address(), 2999);
            let mut config = portal.config();
            config.set("portal.url", &format!("https://localhost:{port}")).unwrap();
            config.set("tls.ca_file", authority.file().to_str().unwrap()).unwrap();
            let outcome = portal.client_of(&config).call("profile", "");
            assert!(outcome.is_ok(), "{:?} {:?}: {}", suite.suite(), group.name(), outcome.unwrap_err());
        }
    }
    assert!(suites.contains(&cipher_suite::TLS13_CHACHA20_POLY1305_SHA256));
}

#[test]
fn a_server_without_a_common_cipher_is_told_from_one_that_is_not_trusted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the test process.
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            // What a server sends that can use nothing of the client's offer: a fatal alert, handshake_failure.
            let mut hello = [0; 1024];
            let _ = client.read(&mut hello);
            let _ = client.write_all(&[0x15, 3, 3, 0, 2, 2, 40]);
        }
    });
    let portal = Portal::start();
    let mut config = portal.config();
    config.set("portal.url", &format!("https://localhost:{port}")).unwrap();
    let error = portal.client_of(&config).call("profile", "").unwrap_err();
    assert_eq!(error.status(), Status::Tls);
    let text = error.to_string();
    assert!(text.contains("no common cipher, curve or version of TLS"), "{text}");
    assert!(!text.contains("clock") && !text.contains("certificate"), "{text}");
}

/// A proxy for which every host is this computer.
fn proxy_to_this_computer() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the test process.
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || connect(client));
        }
    });
    address
}

fn connect(mut client: TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let port = head.split(' ').nth(1)?.rsplit(':').next()?.parse().ok()?;
    let server = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).ok()?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut up, mut down) = ((client.try_clone().ok()?, server.try_clone().ok()?), (server, client));
    thread::spawn(move || std::io::copy(&mut up.0, &mut up.1));
    std::io::copy(&mut down.0, &mut down.1).ok().map(drop)
}

#[test]
fn a_portal_elsewhere_cannot_name_a_plain_push_server_on_this_computer() {
    let authority = Authority::new("elsewhere");
    for transport in ["websocket", "long_polling"] {
        let portal = Portal::start();
        let port = authority.serve(portal.emulator.address(), 2999);
        let mut config = portal.config();
        for (key, value) in [
            ("portal.url", format!("https://{ELSEWHERE}:{port}")),
            ("tls.ca_file", authority.file().to_str().unwrap().to_owned()),
            ("http.proxy", format!("http://{}", proxy_to_this_computer())),
            ("push.transport", transport.into()),
        ] {
            config.set(key, &value).unwrap();
        }
        let client = portal.client_of(&config);
        client.call("profile", "").unwrap();
        // The emulator names its own address, which is plain http on loopback.
        let text = client.connect(LONG).unwrap_err().to_string();
        assert!(text.contains("plain http"), "{text}");
        assert_eq!(portal.emulator.counters().polls + portal.emulator.counters().websockets_accepted, 0);
        // Whoever wants that can say so.
        config.set("http.allow_plain", "true").unwrap();
        portal.client_of(&config).connect(LONG).unwrap();
    }
}
