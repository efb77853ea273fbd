//! One connection: a request, its answer, and a short while for the sender to read it.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::request::{Progress, Request, RequestReader};

/// A request has to be complete within this time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Who was answered while still sending may go on for so long, unheard: a connection that is closed before would take the
/// answer with it.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection is given this long before it may have to go for another one.
const EVICTION_GRACE: Duration = Duration::from_millis(100);
/// Bytes that are read of one connection before it is the others' turn, in pieces.
const READ_BYTES: usize = 8 * 1024;
const MAX_READS: usize = 8;

/// See the module.
pub struct HttpConnection {
    stream: TcpStream,
    /// `None` when it was answered.
    reader: Option<RequestReader>,
    accepted_at: Instant,
    deadline: Instant,
}

/// What is to be done with a connection.
pub enum Action {
    /// Nothing until something comes.
    Wait,
    /// There may be more to read; the others come first.
    ReadMore,
    /// A request to be answered.
    Answer(Request),
    /// Something to be answered with this HTTP status, whatever else comes.
    Reject(u16),
    /// It can be forgotten.
    Close,
}

impl HttpConnection {
    /// A connection that was accepted just now.
    pub fn new(stream: TcpStream, now: Instant) -> HttpConnection {
        HttpConnection {
            stream,
            reader: Some(RequestReader::default()),
            accepted_at: now,
            deadline: now + REQUEST_TIMEOUT,
        }
    }

    /// For registering.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// When it is to be ended.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When it may have to go for another one: at once when it was answered.
    pub fn evictable_at(&self) -> Instant {
        if self.is_answered() { self.accepted_at } else { self.accepted_at + EVICTION_GRACE }
    }

    /// Whether it was answered and only waits for the sender.
    fn is_answered(&self) -> bool {
        self.reader.is_none()
    }

    /// Reads what has come.
    pub fn receive(&mut self, path: &str) -> Action {
        let mut buffer = [0; READ_BYTES];
        for _ in 0..MAX_READS {
            let input = match self.stream.read(&mut buffer) {
                Ok(count) => buffer.get(..count).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Action::Wait,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Action::Close,
            };
            let Some(reader) = &mut self.reader else {
                if input.is_empty() {
                    return Action::Close;
                }
                continue;
            };
            if input.is_empty() {
                // It has said less than it promised.
                return Action::Reject(400);
            }
            match reader.feed(input, path) {
                Progress::Incomplete => {}
                Progress::ContinueExpected => self.send(b"HTTP/1.1 100 Continue\r\n\r\n"),
                Progress::Complete(request) => return Action::Answer(request),
                Progress::Rejected(status) => return Action::Reject(status),
            }
        }
        Action::ReadMore
    }

    /// The time is over.
    pub fn expire(&self) -> Action {
        if self.is_answered() { Action::Close } else { Action::Reject(408) }
    }

    /// Sends the answer.
    pub fn answer(&mut self, status: u16, now: Instant) {
        let reason = match status {
            200 => "OK",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed\r\nAllow: POST",
            408 => "Request Timeout",
            411 => "Length Required",
            413 => "Content Too Large",
            431 => "Request Header Fields Too Large",
            _ => "Service Unavailable",
        };
        self.send(format!("HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes());
        // Fails only when the other side is gone.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.reader = None;
        self.deadline = now + LINGER_TIMEOUT;
    }

    /// So little fits into the socket of a connection on which nothing was sent before; if the other side is gone, the
    /// next read tells.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write(bytes);
    }
}
