//! The thread that takes the portal's calls over HTTP, and rings when it is time to look.
//!
//! One thread serves every connection, as many as `MAX_CONNECTIONS`. When one more comes, the oldest goes: a call of
//! the portal takes milliseconds, so whatever is old is slow. While all are young, the next ones wait for their turn. Only an installation takes longer, as it proves itself with a
//! REST call; nobody has anything else to say then, or the sender is known.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::Handler;
use super::http_connection::{Action, HttpConnection};
use super::port::{LISTENER, Port, WAKER};
use crate::config::Settings;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lock;
use crate::log::Level;
use crate::notify::Doorbell;
use crate::threads::{self, Thread};

/// Most connections at a time.
const MAX_CONNECTIONS: usize = 256;
/// After this long a port that takes no connection, for whatever reason, is tried again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Starts and ends the handler's thread.
pub struct Receiver {
    inner: Arc<Inner>,
    thread: Mutex<Option<Thread>>,
}

struct Inner {
    handler: Arc<Handler>,
    port: Arc<Port>,
    doorbell: Arc<Doorbell>,
    listen: Option<SocketAddr>,
    path: String,
    running: AtomicBool,
    ctx: Context,
}

impl Receiver {
    /// A receiver that does not listen yet.
    pub fn new(
        settings: &Settings,
        handler: Arc<Handler>,
        port: Arc<Port>,
        doorbell: Arc<Doorbell>,
        ctx: Context,
    ) -> Receiver {
        let inner = Inner {
            handler,
            port,
            doorbell,
            listen: settings.handler.listen,
            path: settings.handler.path.clone(),
            running: AtomicBool::new(false),
            ctx,
        };
        Receiver { inner: Arc::new(inner), thread: Mutex::default() }
    }

    /// Opens the port and starts the thread, unless that was done. Returns whether it was done now.
    pub fn start(&self) -> Result<bool> {
        let mut thread = lock(&self.thread);
        // Under the lock, so that no thread starts after closing has joined the last one.
        self.inner.ctx.cancel.check()?;
        if self.is_running() {
            return Ok(false);
        }
        // One that has failed has ended, or is about to.
        thread.take().into_iter().for_each(Thread::join);
        let poll = self.inner.port.open(self.inner.listen)?;
        let inner = self.inner.clone();
        self.inner.running.store(true, Ordering::SeqCst);
        match threads::spawn("b24-handler", move || inner.run(poll)) {
            Ok(started) => *thread = Some(started),
            Err(error) => {
                self.inner.running.store(false, Ordering::SeqCst);
                self.inner.port.close();
                return Err(error);
            }
        }
        let address = self.inner.port.address();
        self.inner.ctx.log.write(Level::Info, || match address {
            Some(address) => format!("the handler listens on {address}"),
            None => "the handler takes calls from the host".into(),
        });
        Ok(true)
    }

    /// Whether calls are taken.
    pub fn is_running(&self) -> bool {
        self.inner.running.load(Ordering::SeqCst)
    }

    /// Waits for the end of the thread. Call after closing. From the thread itself (a log callback) this does nothing.
    pub fn join(&self) {
        let thread = lock(&self.thread).take();
        thread.into_iter().for_each(Thread::join);
    }
}

impl Inner {
    fn run(&self, poll: Poll) {
        let mut event_loop = EventLoop {
            inner: self,
            poll,
            connections: BTreeMap::new(),
            ready: BTreeSet::new(),
            next_token: 2,
            accept_state: AcceptState::WhenReady,
        };
        let end = threads::catch(|| event_loop.run()).unwrap_or_else(|panic| panic);
        drop(event_loop);
        self.port.close();
        self.running.store(false, Ordering::SeqCst);
        if !self.ctx.cancel.is_cancelled() {
            self.doorbell.report(end);
        }
    }

    /// Answers what is no request of a portal. Counted first: who has the answer finds it counted.
    fn reject(&self, connection: &mut HttpConnection, status: u16) {
        self.handler.count_rejected(status, "it is no complete HTTP request of a portal");
        connection.answer(status, self.ctx.clock.now());
    }
}

/// What the thread works on.
struct EventLoop<'a> {
    inner: &'a Inner,
    poll: Poll,
    /// By token.
    connections: BTreeMap<usize, HttpConnection>,
    /// Those that may have more to read.
    ready: BTreeSet<usize>,
    next_token: usize,
    accept_state: AcceptState,
}

/// When to look for new connections.
#[derive(Clone, Copy)]
enum AcceptState {
    /// When the system tells of some.
    WhenReady,
    /// They wait: at this moment, or when there is room.
    Full(Instant),
    /// At this moment.
    At(Instant),
}

impl AcceptState {
    fn retry_at(self) -> Option<Instant> {
        match self {
            AcceptState::WhenReady => None,
            AcceptState::Full(time) | AcceptState::At(time) => Some(time),
        }
    }
}

impl EventLoop<'_> {
    /// Serves until the client is closed, or until it cannot go on.
    fn run(&mut self) -> Error {
        let mut events = Events::with_capacity(MAX_CONNECTIONS);
        loop {
            if self.inner.ctx.cancel.is_cancelled() {
                return self.inner.ctx.cancel.reason();
            }
            match self.poll.poll(&mut events, self.poll_timeout()) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    return Error::State(format!("the handler cannot wait for calls: {error}; connect again"));
                }
                _ => {}
            }
            let now = self.now();
            let mut listener_ready = false;
            for event in &events {
                match event.token() {
                    LISTENER => listener_ready = true,
                    WAKER => {}
                    Token(token) => drop(self.ready.insert(token)),
                }
            }
            self.receive();
            self.expire();
            let has_room = self.connections.len() < MAX_CONNECTIONS;
            let should_accept = match self.accept_state {
                AcceptState::WhenReady => listener_ready,
                AcceptState::Full(time) => has_room || time <= now,
                AcceptState::At(time) => time <= now,
            };
            if should_accept {
                self.accept_state = self.accept();
            }
        }
    }

    fn now(&self) -> Instant {
        self.inner.ctx.clock.now()
    }

    /// How long nothing is to be done by itself.
    fn poll_timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = self.now();
        let deadlines = self.connections.values().map(HttpConnection::deadline).chain(self.accept_state.retry_at());
        let first = deadlines.min().map(|first| first.saturating_duration_since(now));
        first.into_iter().chain(self.inner.handler.tick()).min()
    }

    /// Takes connections that wait. Returns when to look for more.
    fn accept(&mut self) -> AcceptState {
        // So many at once that nobody else waits for long.
        for _ in 0..MAX_CONNECTIONS {
            if self.connections.len() >= MAX_CONNECTIONS {
                match self.connections.values().map(HttpConnection::evictable_at).min() {
                    Some(time) if time > self.now() => return AcceptState::Full(time),
                    _ => {}
                }
            }
            let stream = match self.inner.port.accept() {
                Ok(stream) => stream,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return AcceptState::WhenReady,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => continue,
                    // No file descriptor is left: room for one is made, for the sake of whoever comes.
                    _ => {
                        self.evict();
                        return AcceptState::At(self.now() + ACCEPT_PAUSE);
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
                // Most often the whole request is there already.
                self.receive_from(token);
            }
        }
        AcceptState::At(self.now())
    }

    /// Ends the connection that can go first, best one that was answered.
    fn evict(&mut self) {
        let first = self.connections.iter().min_by_key(|(_, connection)| connection.evictable_at());
        let first = first.map(|(token, _)| *token);
        if let Some(mut connection) = first.and_then(|token| self.connections.remove(&token)) {
            if let Action::Reject(status) = connection.expire() {
                self.inner.reject(&mut connection, status);
            }
        }
    }

    fn receive(&mut self) {
        for token in std::mem::take(&mut self.ready) {
            self.receive_from(token);
        }
    }

    fn receive_from(&mut self, token: usize) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        match connection.receive(&self.inner.path) {
            Action::Wait => return,
            Action::Close => {
                self.connections.remove(&token);
                return;
            }
            Action::ReadMore => {}
            Action::Answer(request) => {
                let status = self.inner.handler.accept(&request.body, &request.content_type);
                connection.answer(status, self.inner.ctx.clock.now());
            }
            Action::Reject(status) => self.inner.reject(connection, status),
        }
        self.ready.insert(token);
    }

    fn expire(&mut self) {
        let now = self.now();
        let has_expired = |connection: &HttpConnection| connection.deadline() <= now;
        let expired: Vec<usize> = self
            .connections
            .iter()
            .filter(|(_, connection)| has_expired(connection))
            .map(|(token, _)| *token)
            .collect();
        for token in expired {
            let Some(connection) = self.connections.get_mut(&token) else { continue };
            match connection.expire() {
                Action::Reject(status) => {
                    self.inner.reject(connection, status);
                    self.ready.insert(token);
                }
                _ => drop(self.connections.remove(&token)),
            }
        }
    }
}
