//! What must hold for any bytes: the targets that need no fuzzer of calls. `tests/fuzz_corpus.rs` reads this file too, so
//! that every `cargo test` goes through the committed inputs.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use b24events::cancel::Cancellation;
use b24events::config::{Config, PlainHttp};
use b24events::handler::body::decode as decode_body;
use b24events::handler::call::Call;
use b24events::handler::request::{Progress, RequestReader};
use b24events::net::http::Http;
use b24events::push::config::PushConfig;
use b24events::push::message::decode as decode_messages;
use b24events::push::recent::RecentMessages;
use b24events::push::websocket::Socket;
use b24events::secret::Secret;
use b24events::state::store::{Identity, Store};
use tungstenite::handshake::derive_accept_key;

/// The text with which the bytes begin.
fn text(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// The first byte and the others.
fn split(bytes: &[u8]) -> (u8, &[u8]) {
    bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest))
}

/// What a push server sends: envelopes, arrays, JSON-RPC.
pub fn push_messages(bytes: &[u8]) {
    let mut recent = RecentMessages::default();
    let first = decode_messages(bytes, "OneC", &mut recent);
    let again = decode_messages(bytes, "OneC", &mut recent);
    // The same bytes bring nothing new, unless more messages came than are remembered, or they have no number.
    assert!(again.repeated <= (first.events.len() as u64) + first.repeated);
}

/// Configurations of the push server, and the addresses that are made of them.
pub fn push_config(bytes: &[u8]) {
    if let Ok(config) = PushConfig::parse(text(bytes), PlainHttp::Always) {
        let position = Default::default();
        let _ = (config.expires(), config.server_time(), config.identity(), config.require_websocket());
        for url in [Some(config.long_polling_url(&position)), config.websocket_url(&position)].into_iter().flatten() {
            assert!(url.expose().bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", url.expose());
        }
    }
}

/// Bodies of the portal's calls: forms with PHP's brackets, and JSON if the first byte is odd.
pub fn handler_body(bytes: &[u8]) {
    let (kind, body) = split(bytes);
    let content_type = if kind & 1 == 1 { "application/json" } else { "application/x-www-form-urlencoded" };
    if let Some(call) = decode_body(body, content_type).ok().and_then(Call::parse) {
        let _ = (call.event(), call.auth.application_token(), call.auth.tokens(0, |_| true));
    }
}

/// HTTP requests to the handler's port: however they are cut into pieces, they mean the same. The first byte is the
/// size of the pieces.
pub fn handler_request(bytes: &[u8]) {
    fn read(pieces: impl Iterator<Item = impl AsRef<[u8]>>) -> Progress {
        let mut reader = RequestReader::default();
        for piece in pieces {
            match reader.feed(piece.as_ref(), "/b24events") {
                Progress::Incomplete | Progress::ContinueExpected => {}
                done => return done,
            }
        }
        Progress::Incomplete
    }
    let (size, request) = split(bytes);
    let whole = read([request].into_iter());
    let cut = read(request.chunks(usize::from(size).max(1)));
    if let (Progress::Complete(whole), Progress::Complete(cut)) = (&whole, &cut) {
        assert_eq!(whole, cut);
    }
    let is_complete = |progress: &Progress| matches!(progress, Progress::Complete(_));
    assert_eq!(is_complete(&whole), is_complete(&cut));
}

/// States: what is accepted is written so that it is read again as the same.
pub fn state(bytes: &[u8]) {
    let store = || Store::new(None, Identity::default()).unwrap();
    let (first, second) = (store(), store());
    let Ok(family) = first.restore(text(bytes)) else { return };
    let written = first.to_json(&family);
    let read = second.restore(&written).expect("what was written is read");
    assert_eq!(second.to_json(&read), written);
    assert_eq!(read, family);
}

/// Configurations: lines of a key, `=` and a value.
pub fn config(bytes: &[u8]) {
    let mut config = Config::new();
    for (key, value) in text(bytes).lines().filter_map(|line| line.split_once('=')) {
        if config.set(key, value).is_ok() {
            config.get(key).expect("a key that can be set can be read");
        }
    }
    // Reads files: those that a value names, if the fuzzer ever finds one.
    let _ = config.settings();
}

/// Longer than the loopback ever takes.
const TIMEOUT: Duration = Duration::from_secs(5);

static FRAMES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A server that shakes hands, sends `FRAMES`, and closes.
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

/// Frames of a push server, through our layer over a real socket.
pub fn websocket(bytes: &[u8]) {
    *FRAMES.lock().unwrap() = bytes.to_vec();
    let Ok(mut socket) = Socket::open(&HTTP, &ADDRESS, TIMEOUT) else { return };
    while socket.receive(TIMEOUT).is_ok() {}
    socket.close();
}
