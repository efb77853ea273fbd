//! Proxies that require a user and a password, for REST, long polling and WebSocket alike.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use b24events::client::{Client, Hooks};
use b24events::config::Config;
use b24events::error::Status;

use super::scripted::ReservedPort;
use super::support::*;

const USER: &str = "onec";
const PASSWORD: &str = "planted-password";

/// Answers the greeting of a connection and returns its target.
type Greeting = fn(&mut TcpStream) -> io::Result<SocketAddr>;

/// A proxy that counts what went through it. It ends with the test process.
fn serve(greeting: Greeting) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = Arc::new(AtomicU64::new(0));
    let counter = served.clone();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let counter = counter.clone();
            thread::spawn(move || -> io::Result<()> {
                let target = TcpStream::connect(greeting(&mut client)?)?;
                counter.fetch_add(1, Ordering::SeqCst);
                let (mut up, mut down) = ((client.try_clone()?, target.try_clone()?), (target, client));
                thread::spawn(move || io::copy(&mut up.0, &mut up.1));
                io::copy(&mut down.0, &mut down.1).map(drop)
            });
        }
    });
    (address, served)
}

fn refuse() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

/// SOCKS5 with user and password (RFC 1928, RFC 1929).
fn socks5(client: &mut TcpStream) -> io::Result<SocketAddr> {
    let mut read = |count: u8| -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count.into()];
        client.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let methods = read(2)?[1];
    read(methods)?;
    client.write_all(&[5, 2])?;
    let mut read = |count: u8| -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count.into()];
        client.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let length = read(2)?[1];
    let user = read(length)?;
    let length = read(1)?[0];
    let password = read(length)?;
    let good = user == USER.as_bytes() && password == PASSWORD.as_bytes();
    client.write_all(&[1, u8::from(!good)])?;
    if !good {
        return Err(refuse());
    }
    let mut head = [0; 10];
    client.read_exact(&mut head)?;
    // CONNECT to an IPv4 address: the client resolves names itself.
    assert_eq!(head[..4], [5, 1, 0, 1]);
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let port = u16::from_be_bytes([head[8], head[9]]);
    Ok(SocketAddr::from(([head[4], head[5], head[6], head[7]], port)))
}

/// HTTP CONNECT with `Proxy-Authorization: basic …`.
fn connect(client: &mut TcpStream) -> io::Result<SocketAddr> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let first = lines.next().ok_or_else(refuse)??;
    let target = first.split(' ').nth(1).and_then(|target| target.parse().ok()).ok_or_else(refuse)?;
    let mut good = false;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        // onec:planted-password
        good |= line.to_ascii_lowercase().starts_with("proxy-authorization: basic")
            && line.ends_with("b25lYzpwbGFudGVkLXBhc3N3b3Jk");
    }
    let answer = if good { "200 Connection established" } else { "407 Proxy Authentication Required" };
    write!(client, "HTTP/1.1 {answer}\r\n\r\n")?;
    if good { Ok(target) } else { Err(refuse()) }
}

#[test]
fn everything_goes_through_a_proxy_with_a_password() {
    for (scheme, greeting) in [("socks5", socks5 as Greeting), ("http", connect)] {
        for transport in ["websocket", "long_polling"] {
            let (address, served) = serve(greeting);
            let portal = Portal::start();
            let mut config = portal.config();
            config.set("push.transport", transport).unwrap();
            config.set("http.proxy", &format!("{scheme}://{USER}:{PASSWORD}@{address}")).unwrap();
            assert!(!config.get("http.proxy").unwrap().contains(PASSWORD));
            let client = portal.client_of(&config);
            client.bind_event("ONCRMDEALADD").unwrap();
            client.connect(LONG).unwrap();
            expect_check(&client);
            portal.add_deals([1]);
            let mut batch = client.next(LONG).unwrap().unwrap();
            assert_eq!(numbers(&mut batch), [1], "{scheme}, {transport}");
            batch.acknowledge().unwrap();
            let connections = served.load(Ordering::SeqCst);
            assert!(connections >= 2, "{scheme}, {transport}: {connections} connections");
            assert_eq!(portal.emulator.counters().connections, connections, "every connection uses the proxy");
            assert!(!portal.log().contains(PASSWORD), "{}", portal.log());
        }
    }
}

#[test]
fn a_wrong_password_is_an_error_that_does_not_show_it() {
    for (scheme, greeting) in [("socks5", socks5 as Greeting), ("http", connect)] {
        let (address, _served) = serve(greeting);
        let portal = Portal::start();
        let mut config = portal.config();
        config.set("http.proxy", &format!("{scheme}://{USER}:planted-wrong@{address}")).unwrap();
        let error = portal.client_of(&config).call("profile", "").unwrap_err();
        assert_eq!(error.status(), Status::Network, "{scheme}: {error}");
        let text = error.to_string();
        assert!(!text.contains("planted"), "{text}");
        assert!(text.contains(&format!("the proxy {address} ")), "{text}");
        assert!(text.contains("user") && text.contains("password") && text.contains("http.proxy"), "{text}");
        assert_eq!(portal.emulator.counters().connections, 0);
    }
}

#[test]
fn a_proxy_that_is_down_is_named() {
    for scheme in ["socks5", "socks5h", "http"] {
        let port = ReservedPort::new();
        let unused = port.address();
        let portal = Portal::start();
        let mut config = portal.config();
        config.set("http.proxy", &format!("{scheme}://{USER}:{PASSWORD}@{unused}")).unwrap();
        let error = portal.client_of(&config).call("profile", "").unwrap_err();
        assert_eq!(error.status(), Status::Network);
        let text = error.to_string();
        assert!(text.starts_with(&format!("the proxy {unused} refused the connection; ")), "{scheme}: {text}");
        assert!(!text.contains(PASSWORD) && !text.contains(USER), "{text}");
    }
}

#[test]
fn a_proxy_whose_name_is_unknown_is_named() {
    for scheme in ["socks5", "socks5h", "http"] {
        let portal = Portal::start();
        let mut config = portal.config();
        config.set("http.allow_plain", "true").unwrap();
        // An address that is not of this computer, so that the proxy is used.
        config.set("portal.url", "http://192.0.2.1").unwrap();
        config.set("http.proxy", &format!("{scheme}://proxy.invalid:3128")).unwrap();
        let error = portal.client_of(&config).call("profile", "").unwrap_err();
        assert!(error.to_string().contains("the proxy proxy.invalid:3128"), "{scheme}: {error}");
    }
}

#[test]
fn a_portal_on_this_computer_is_called_without_the_proxy_of_the_environment() {
    for variable in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
        for scheme in ["http", "socks5"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let portal = Portal::start();
            let mut program = Command::new(std::env::current_exe().unwrap());
            program.args(["--exact", "through_proxy::the_client", "--ignored", "--nocapture", "--test-threads=1"]);
            portal.describe_to(&mut program);
            program.env(variable, format!("{scheme}://{}", listener.local_addr().unwrap()));
            Program::start(&mut program, "this test itself").finish();
            // The poll may end before the emulator has read it, but the handshake was answered.
            until("the WebSocket", || portal.emulator.counters().websockets_accepted == 1);
            assert!(listener.accept().is_err(), "{variable}={scheme}://…: the proxy was used");
        }
    }
}

/// The other process.
#[test]
#[ignore = "run by the other test"]
fn the_client() {
    for transport in ["websocket", "long_polling"] {
        let mut config = Config::new();
        let env = |name: &str| std::env::var(name).unwrap();
        for (key, value) in [
            ("portal.url", env("B24_PORTAL_URL").as_str()),
            ("auth.access_token", env("B24_ACCESS_TOKEN").as_str()),
            ("push.transport", transport),
        ] {
            config.set(key, value).unwrap();
        }
        let client = Client::new(&config, Hooks::default()).unwrap();
        client.call("profile", "").unwrap();
        client.connect(LONG).unwrap();
    }
}

/// Answers nothing but one byte after the other.
fn drip(client: &mut TcpStream, bytes: &[u8]) -> io::Result<SocketAddr> {
    for byte in bytes.iter().cycle() {
        client.write_all(&[*byte])?;
        thread::sleep(Duration::from_millis(50));
    }
    Err(refuse())
}

#[test]
fn a_proxy_that_drips_does_not_outlast_the_timeout() {
    // The SOCKS proxy accepts, and says that it has bound a host whose name has 255 bytes.
    const BOUND: [u8; 260] = [0; 260];
    let dripping: [(&str, Greeting); 2] = [
        ("http", |client| drip(client, b"HTTP/1.1 200 OK\r\nX: ")),
        ("socks5", |client| drip(client, &[&[5, 0, 5, 0, 0, 3, 255], &BOUND[..]].concat())),
    ];
    for (scheme, greeting) in dripping {
        let (address, _served) = serve(greeting);
        let portal = Portal::start();
        let mut config = portal.config();
        config.set("http.proxy", &format!("{scheme}://{address}")).unwrap();
        config.set("http.connect_timeout_ms", "500").unwrap();
        config.set("http.timeout_ms", "1000").unwrap();
        let start = Instant::now();
        let error = portal.client_of(&config).call("profile", "").unwrap_err();
        assert_eq!(error.status(), Status::Network, "{error}");
        assert!(start.elapsed() < Duration::from_secs(4), "{scheme}: {:?}", start.elapsed());
        assert!(error.to_string().contains(&format!("the proxy {address}")), "{error}");
    }
}
