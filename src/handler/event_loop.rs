//! The loop of the handler's thread: accepts connections, answers their requests, and rings the doorbell when it is
//! time to check the queue.
//!
//! It serves up to [`MAX_CONNECTIONS`] at a time. When another one arrives, the oldest is closed: a call of the
//! portal takes milliseconds, so an old connection is a slow one. While all are young, new ones wait.
//!
//! Only two things block the loop. The proof of an installation takes a request or two, once a minute at most unless it
//! succeeds; before the first installation no other call is accepted anyway, and later installations come from a verified
//! sender. An update of the application takes a few REST calls to bind everything anew.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::Handler;
use super::http_connection::{Action, HttpConnection};
use super::port::{LISTENER, Port, WAKER};
use super::rejection::Rejection;
use crate::context::Context;
use crate::error::{Error, Result};

const MAX_CONNECTIONS: usize = 256;
/// When accepting fails for any other reason than that nobody waits, it is tried again after this time.
const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The first token after [`LISTENER`] and [`WAKER`].
const FIRST_CONNECTION: usize = 2;

/// What the thread works on.
pub struct EventLoop<'a> {
    handler: &'a Handler,
    port: &'a Port,
    path: &'a str,
    ctx: &'a Context,
    poll: Poll,
    /// By token.
    connections: BTreeMap<usize, HttpConnection>,
    /// Tokens of connections that may have more to read.
    readable: BTreeSet<usize>,
    next_token: usize,
    accept_state: AcceptState,
}

/// When to accept connections.
#[derive(Clone, Copy)]
enum AcceptState {
    /// When the system reports some.
    WhenReported,
    /// Some are waiting: at this time, or earlier if a connection ends.
    WhenRoom(Instant),
    /// At this time.
    At(Instant),
}

impl AcceptState {
    fn time(self) -> Option<Instant> {
        match self {
            AcceptState::WhenReported => None,
            AcceptState::WhenRoom(time) | AcceptState::At(time) => Some(time),
        }
    }
}

impl<'a> EventLoop<'a> {
    /// `path`: the one that calls are accepted on.
    pub fn new(poll: Poll, handler: &'a Handler, port: &'a Port, path: &'a str, ctx: &'a Context) -> EventLoop<'a> {
        EventLoop {
            handler,
            port,
            path,
            ctx,
            poll,
            connections: BTreeMap::new(),
            readable: BTreeSet::new(),
            next_token: FIRST_CONNECTION,
            accept_state: AcceptState::WhenReported,
        }
    }

    /// Serves until the cancellation or until waiting fails, and returns why it ended.
    pub fn run(&mut self) -> Error {
        let mut events = Events::with_capacity(MAX_CONNECTIONS);
        loop {
            if let Err(reason) = self.turn(&mut events) {
                return reason;
            }
        }
    }

    fn turn(&mut self, events: &mut Events) -> Result<()> {
        self.ctx.cancel.check()?;
        match self.poll.poll(events, self.poll_timeout()) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return Err(Error::State(format!(
                    "the handler has stopped, because waiting for calls failed: {error}; connect again"
                )));
            }
            _ => {}
        }
        let now = self.now();
        let mut is_reported = false;
        for event in &*events {
            match event.token() {
                LISTENER => is_reported = true,
                WAKER => {}
                Token(token) => drop(self.readable.insert(token)),
            }
        }
        self.receive();
        self.expire();
        let should_accept = match self.accept_state {
            AcceptState::WhenReported => is_reported,
            AcceptState::WhenRoom(time) => self.connections.len() < MAX_CONNECTIONS || time <= now,
            AcceptState::At(time) => time <= now,
        };
        if should_accept {
            self.accept_state = self.accept();
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        self.ctx.clock.now()
    }

    /// How long there is nothing to do unless the system reports something.
    fn poll_timeout(&self) -> Option<Duration> {
        if !self.readable.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = self.now();
        let deadlines = self.connections.values().map(HttpConnection::deadline).chain(self.accept_state.time());
        let first = deadlines.min().map(|first| first.saturating_duration_since(now));
        first.into_iter().chain(self.handler.tick()).min()
    }

    /// Accepts the connections that wait. Returns when to accept more.
    fn accept(&mut self) -> AcceptState {
        // Bounded, so that the connections that are open do not wait long.
        for _ in 0..MAX_CONNECTIONS {
            if self.connections.len() >= MAX_CONNECTIONS {
                match self.connections.values().map(HttpConnection::evictable_at).min() {
                    Some(time) if time > self.now() => return AcceptState::WhenRoom(time),
                    _ => {}
                }
            }
            let stream = match self.port.accept() {
                Ok(stream) => stream,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return AcceptState::WhenReported,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => continue,
                    // The process has probably no file descriptor left: closing a connection frees one.
                    _ => {
                        self.evict();
                        return AcceptState::At(self.now() + ACCEPT_RETRY_PAUSE);
                    }
                },
            };
            if self.connections.len() >= MAX_CONNECTIONS {
                self.evict();
            }
            let mut connection = HttpConnection::new(stream, self.now());
            let token = self.next_token;
            self.next_token += 1;
            if self.poll.registry().register(connection.stream(), Token(token), Interest::READABLE).is_ok() {
                self.connections.insert(token, connection);
                // Usually the whole request has arrived already.
                self.receive_from(token);
            }
        }
        AcceptState::At(self.now())
    }

    /// Closes the connection that may go first, preferably one that was answered.
    fn evict(&mut self) {
        let first = self.connections.iter().min_by_key(|(_, connection)| connection.evictable_at());
        let first = first.map(|(token, _)| *token);
        if let Some(mut connection) = first.and_then(|token| self.connections.remove(&token)) {
            if let Action::Reject(status) = connection.expire() {
                reject(self.handler, &mut connection, status, self.ctx.clock.now());
            }
        }
    }

    fn receive(&mut self) {
        for token in std::mem::take(&mut self.readable) {
            self.receive_from(token);
        }
    }

    fn receive_from(&mut self, token: usize) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        match connection.receive(self.path) {
            Action::Wait => return,
            Action::Close => {
                self.connections.remove(&token);
                return;
            }
            Action::ReadMore => {}
            Action::Answer(request) => {
                let status = self.handler.accept(&request.body, &request.content_type);
                connection.answer(status, self.ctx.clock.now());
            }
            Action::Reject(status) => reject(self.handler, connection, status, self.ctx.clock.now()),
        }
        self.readable.insert(token);
    }

    fn expire(&mut self) {
        let now = self.now();
        let expired = self.connections.iter().filter(|(_, connection)| connection.deadline() <= now);
        let expired: Vec<usize> = expired.map(|(token, _)| *token).collect();
        for token in expired {
            let Some(connection) = self.connections.get_mut(&token) else { continue };
            match connection.expire() {
                Action::Reject(status) => {
                    reject(self.handler, connection, status, self.ctx.clock.now());
                    self.readable.insert(token);
                }
                _ => drop(self.connections.remove(&token)),
            }
        }
    }
}

/// Answers what is not a request of the portal. Counts it first, so that whoever has the answer finds it counted.
fn reject(handler: &Handler, connection: &mut HttpConnection, status: u16, now: Instant) {
    let reason = "it is not a complete and valid POST request for handler.path";
    handler.count_rejected(&Rejection { status, reason });
    connection.answer(status, now);
}
