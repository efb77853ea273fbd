//! A connection: one request, its answer, and a short time for the sender to read it.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::request::{Progress, Request, RequestReader};

/// How long a request may take to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long input is discarded after the answer. Closing a connection with unread input would destroy the answer.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection is safe from being closed in favour of a new one.
const EVICTION_GRACE: Duration = Duration::from_millis(100);
/// How much is read at once.
const READ_BYTES: usize = 8 * 1024;
/// How often one connection is read before the others get their turn.
const MAX_READS: usize = 8;

/// A connection of the portal, or of anybody else.
pub struct HttpConnection {
    stream: TcpStream,
    /// `None` once the request was answered.
    reader: Option<RequestReader>,
    accepted_at: Instant,
    deadline: Instant,
}

/// What to do with a connection.
pub enum Action {
    /// Nothing until more input arrives.
    Wait,
    /// Read again after the other connections.
    ReadMore,
    /// Answer this request.
    Answer(Request),
    /// Answer with this HTTP status, whatever else arrives.
    Reject(u16),
    /// Drop it.
    Close,
}

impl HttpConnection {
    /// A connection that was accepted at `now`.
    pub fn new(stream: TcpStream, now: Instant) -> HttpConnection {
        HttpConnection {
            stream,
            reader: Some(RequestReader::default()),
            accepted_at: now,
            deadline: now + REQUEST_TIMEOUT,
        }
    }

    /// The stream, to be registered.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// When to call [`HttpConnection::expire`].
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When it may be closed in favour of a new one; at once if it was answered.
    pub fn evictable_at(&self) -> Instant {
        if self.is_answered() { self.accepted_at } else { self.accepted_at + EVICTION_GRACE }
    }

    /// Whether it was answered and only waits for the sender to close.
    fn is_answered(&self) -> bool {
        self.reader.is_none()
    }

    /// Reads what has arrived. `path`: the one that calls are accepted on.
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
                // The sender closed before the request was complete.
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

    /// What to do when the deadline has passed.
    pub fn expire(&self) -> Action {
        if self.is_answered() { Action::Close } else { Action::Reject(408) }
    }

    /// Sends the answer and stops reading requests.
    pub fn answer(&mut self, status: u16, now: Instant) {
        let reason = match status {
            200 => "OK",
            202 => "Accepted",
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
        // Fails only if the peer is gone.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.reader = None;
        self.deadline = now + LINGER_TIMEOUT;
    }

    /// Sends a few bytes. They fit into the empty buffer of the socket, and if the peer is gone, the next read fails.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write(bytes);
    }
}
