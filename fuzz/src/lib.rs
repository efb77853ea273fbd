//! What the targets share: what they check, and a portal in this process that answers with what the fuzzer says.

pub mod checks;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{LazyLock, Mutex};

/// What the next requests are answered with, the first one last.
static ANSWERS: Mutex<Vec<Answer>> = Mutex::new(Vec::new());

/// An answer of the portal.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Sets what the next requests are answered with. Later ones get one record each.
pub fn answer_with(mut answers: Vec<Answer>) {
    answers.reverse();
    *ANSWERS.lock().unwrap() = answers;
}

/// The keys of a client of this portal, and their values.
pub fn keys() -> [(&'static str, &'static str); 5] {
    [
        ("portal.url", portal()),
        ("auth.server", portal()),
        ("auth.access_token", "token"),
        ("http.timeout_ms", "1000"),
        ("rate.per_second", "0"),
    ]
}

/// The address of the portal, `http://127.0.0.1:PORT`.
fn portal() -> &'static str {
    static ADDRESS: LazyLock<String> = LazyLock::new(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || serve(stream));
            }
        });
        address
    });
    &ADDRESS
}

const RECORD: &[u8] = br#"{"result":{"process_id":"p","events":[{"ID":"1","TIMESTAMP_X":"2026-01-01T00:00:00+03:00",
    "EVENT_NAME":"ONCRMDEALADD","EVENT_DATA":{"FIELDS":{"ID":1}},"EVENT_ADDITIONAL":[],
    "MESSAGE_ID":"0123456789abcdef0123456789abcdef"}]}}"#;

fn serve(stream: TcpStream) {
    let mut reader = BufReader::new(&stream);
    while let Some(length) = length_of_body(&mut reader) {
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let answer = ANSWERS.lock().unwrap().pop().unwrap_or(Answer { status: 200, body: RECORD.to_vec() });
        let head =
            format!("HTTP/1.1 {} x\r\nContent-Length: {}\r\n\r\n", answer.status.clamp(200, 599), answer.body.len());
        if (&stream).write_all(&[head.as_bytes(), &answer.body].concat()).is_err() {
            return;
        }
    }
}

fn length_of_body(reader: &mut impl BufRead) -> Option<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            return Some(length);
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
}
