//! A push server that does what a test says, and a portal whose configuration names it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use b24_emulator::{Control, FailNext};
use socket2::{Domain, Socket, Type};

use super::support::*;

/// Ends with the test process.
pub struct Scripted {
    address: SocketAddr,
    /// How many requests there were: polls, or handshakes of WebSockets.
    requests: Arc<AtomicU64>,
}

impl Scripted {
    /// Has every connection served by `serve`, which counts the requests.
    pub fn start(serve: fn(TcpStream, &AtomicU64)) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicU64::new(0));
        let counter = requests.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let counter = counter.clone();
                thread::spawn(move || serve(client, &counter));
            }
        });
        Scripted { address, requests }
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// From now on the portal's configuration names this server.
    pub fn replace_push_server(&self, portal: &Portal) {
        name_push_server(portal, &self.address.to_string());
    }
}

/// A port of this computer at which nothing listens, and which nobody else gets as long as this lives.
pub struct ReservedPort(Socket);

impl ReservedPort {
    pub fn new() -> ReservedPort {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // So that this test can listen there later.
        socket.set_reuse_address(true).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        ReservedPort(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }
}

/// From now on the portal's configuration names `authority` as its push server.
pub fn name_push_server(portal: &Portal, authority: &str) {
    let body = portal.client_of(&portal.config()).call("pull.application.config.get", "").unwrap();
    let body = body.replace(&portal.emulator.address().to_string(), authority);
    portal.emulator.control(Control::FailNext(FailNext {
        method: Some("pull.application.config.get".into()),
        times: 1_000_000,
        status: 200,
        body: Some(body),
        ..FailNext::default()
    }));
}

/// Accepts a WebSocket, answers its first ping, and closes.
pub fn one_pong(stream: TcpStream, requests: &AtomicU64) {
    requests.fetch_add(1, Ordering::SeqCst);
    if let Ok(mut websocket) = tungstenite::accept(stream) {
        // Reading a ping queues the answer.
        let _ = websocket.read();
        let _ = websocket.flush();
    }
}

/// Answers every poll at once with the same message.
pub fn repeat_a_message(stream: TcpStream, requests: &AtomicU64) {
    let _ = repeat(stream, requests);
}

fn repeat(mut stream: TcpStream, requests: &AtomicU64) -> io::Result<()> {
    let body = concat!(
        r##"#!NGINXNMS!#{"mid":"17954851440000000000000001","text":{"module_id":"rest","##,
        r##""command":"event_offline","params":[{"connector_id":"OneC","count":1}]}}#!NGINXNME!#"##
    );
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        requests.fetch_add(1, Ordering::SeqCst);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes())?;
    }
}

/// Answers the handshake of a WebSocket one byte after the other, without end.
pub fn drip_handshake(mut stream: TcpStream, requests: &AtomicU64) {
    requests.fetch_add(1, Ordering::SeqCst);
    let bytes = b"HTTP/1.1 101 Switching Protocols\r\nX: ".iter().chain(std::iter::repeat(&b'x'));
    for byte in bytes {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
}
