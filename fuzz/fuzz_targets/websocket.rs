//! Frames of a push server, through our layer over a real socket.
#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use b24events::cancel::Cancellation;
use b24events::config::Config;
use b24events::net::http::Http;
use b24events::push::websocket::Socket;
use b24events::secret::Secret;
use libfuzzer_sys::fuzz_target;
use tungstenite::handshake::derive_accept_key;

/// Longer than the loopback ever takes.
const TIMEOUT: Duration = Duration::from_secs(5);

static FRAMES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static ADDRESS: LazyLock<Secret> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/subws/?CHANNEL_ID=x", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let key = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
            });
            let accept = derive_accept_key(key.unwrap_or_default().as_bytes());
            let switch = format!(
                "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            let bytes = [switch.as_bytes(), &FRAMES.lock().unwrap()].concat();
            let _ = stream.write_all(&bytes).and_then(|()| stream.shutdown(Shutdown::Write));
        }
    });
    Secret::new(address)
});

static HTTP: LazyLock<Http> = LazyLock::new(|| {
    let mut config = Config::new();
    config.set("portal.url", "http://127.0.0.1").unwrap();
    config.set("http.max_answer_bytes", "1048576").unwrap();
    Http::new(&config.settings().unwrap(), Cancellation::default(), None)
});

fuzz_target!(|bytes: &[u8]| {
    *FRAMES.lock().unwrap() = bytes.to_vec();
    let Ok(mut socket) = Socket::open(&HTTP, &ADDRESS, TIMEOUT) else { return };
    while socket.receive(TIMEOUT).is_ok() {}
    socket.close();
});
