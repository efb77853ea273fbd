//! The thread that takes the portal's calls over HTTP, and rings when it is time to look.
//!
//! One thread serves every connection, as many as [`MOST_CONNECTIONS`]. When one more comes, the oldest goes: a call of
//! the portal takes milliseconds, so whatever is old is slow.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::Handler;
use super::connection::{Connection, Next};
use super::port::{LISTENER, Port, WAKER};
use crate::config::{Level, Settings};
use crate::error::{Error, Result};
use crate::lock;
use crate::portal::Surroundings;
use crate::push::doorbell::Doorbell;
use crate::push::listener::panic_text;

/// Most connections at a time.
const MOST_CONNECTIONS: usize = 128;
/// After this long a port that takes no connection, for whatever reason, is tried again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Starts and ends the handler's thread.
pub struct Receiver {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    handler: Arc<Handler>,
    port: Arc<Port>,
    doorbell: Arc<Doorbell>,
    listen: Option<SocketAddr>,
    path: String,
    running: AtomicBool,
    around: Surroundings,
}

impl Receiver {
    /// A receiver that does not listen yet.
    pub fn new(
        settings: &Settings,
        handler: Arc<Handler>,
        port: Arc<Port>,
        doorbell: Arc<Doorbell>,
        around: Surroundings,
    ) -> Receiver {
        let shared = Shared {
            handler,
            port,
            doorbell,
            listen: settings.handler.listen,
            path: settings.handler.path.clone(),
            running: AtomicBool::new(false),
            around,
        };
        Receiver { shared: Arc::new(shared), thread: Mutex::default() }
    }

    /// Opens the port and starts the thread, unless that was done. Returns whether it was done now.
    pub fn start(&self) -> Result<bool> {
        let mut thread = lock(&self.thread);
        // Under the lock, so that no thread starts after closing has joined the last one.
        self.shared.around.closing.check()?;
        if self.is_running() {
            return Ok(false);
        }
        // One that has failed has ended, or is about to.
        thread.take().map(JoinHandle::join);
        let poll = self.shared.port.open(self.shared.listen)?;
        let shared = self.shared.clone();
        self.shared.running.store(true, Ordering::SeqCst);
        let started = std::thread::Builder::new().name("b24-handler".into()).spawn(move || shared.run(poll));
        match started {
            Ok(handle) => *thread = Some(handle),
            Err(error) => {
                self.shared.running.store(false, Ordering::SeqCst);
                self.shared.port.close();
                return Err(Error::State(format!(
                    "no thread can be started: {error}; the system's limit of threads is reached"
                )));
            }
        }
        let address = self.shared.port.address();
        self.shared.around.log.line(Level::Info, || match address {
            Some(address) => format!("the handler listens on {address}"),
            None => "the handler takes calls from the host".into(),
        });
        Ok(true)
    }

    /// Whether calls are taken.
    pub fn is_running(&self) -> bool {
        self.shared.running.load(Ordering::SeqCst)
    }

    /// Waits for the end of the thread. Call after closing. From the thread itself (a log callback) this does nothing.
    pub fn join(&self) {
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // A panic inside was reported where it was caught.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, poll: Poll) {
        let mut serving = Serving { shared: self, poll, connections: BTreeMap::new(), ready: BTreeSet::new(), next: 2 };
        let end = match catch_unwind(AssertUnwindSafe(|| serving.serve())) {
            Ok(end) => end,
            Err(panic) => Error::Panic(panic_text(panic.as_ref())),
        };
        drop(serving);
        self.port.close();
        self.running.store(false, Ordering::SeqCst);
        if !self.around.closing.is_closed() {
            self.doorbell.report(end);
        }
    }
}

/// What the thread works on.
struct Serving<'a> {
    shared: &'a Shared,
    poll: Poll,
    /// By token, which grows: the first one is the oldest.
    connections: BTreeMap<usize, Connection>,
    /// Those that may have more to read.
    ready: BTreeSet<usize>,
    next: usize,
}

impl Serving<'_> {
    /// Serves until the client is closed, or until it cannot go on.
    fn serve(&mut self) -> Error {
        let mut events = Events::with_capacity(MOST_CONNECTIONS);
        let mut accept_again = None;
        loop {
            if self.shared.around.closing.is_closed() {
                return self.shared.around.closing.end();
            }
            match self.poll.poll(&mut events, self.patience(accept_again)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    return Error::State(format!("the handler cannot wait for calls: {error}; connect again"));
                }
                _ => {}
            }
            let now = self.now();
            let mut accept = accept_again.is_some_and(|at| at <= now);
            for event in &events {
                match event.token() {
                    LISTENER => accept = true,
                    WAKER => {}
                    Token(number) => drop(self.ready.insert(number)),
                }
            }
            self.receive();
            if accept {
                accept_again = self.accept().map(|pause| self.now() + pause);
            }
            self.expire();
        }
    }

    fn now(&self) -> Instant {
        self.shared.around.clock.now()
    }

    /// How long nothing is to be done by itself.
    fn patience(&self, accept_again: Option<Instant>) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = self.now();
        let deadlines = self.connections.values().map(Connection::deadline).chain(accept_again);
        let first = deadlines.min().map(|first| first.saturating_duration_since(now));
        first.into_iter().chain(self.shared.handler.tick()).min()
    }

    /// Takes every connection that waits. Returns how long to wait when that cannot be done now.
    fn accept(&mut self) -> Option<Duration> {
        // So many at once that nobody else waits for long.
        for _ in 0..MOST_CONNECTIONS {
            let stream = match self.shared.port.accept() {
                Ok(stream) => stream,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return None,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => continue,
                    // No file descriptor is left: room for one is made, for the sake of whoever comes.
                    _ => {
                        self.evict();
                        return Some(ACCEPT_PAUSE);
                    }
                },
            };
            if self.connections.len() >= MOST_CONNECTIONS {
                self.evict();
            }
            let mut connection = Connection::new(stream, self.now());
            let number = self.next;
            self.next += 1;
            if self.poll.registry().register(connection.stream(), Token(number), Interest::READABLE).is_ok() {
                self.connections.insert(number, connection);
                // Most often the whole request is there already.
                self.receive_from(number);
            }
        }
        Some(Duration::ZERO)
    }

    /// Ends the oldest connection, best one that was answered.
    fn evict(&mut self) {
        let answered = self.connections.iter().find(|(_, connection)| connection.is_answered());
        let oldest = answered.or(self.connections.iter().next()).map(|(number, _)| *number);
        if let Some(mut connection) = oldest.and_then(|number| self.connections.remove(&number)) {
            let now = self.now();
            if let Next::Refused(status) = connection.expire(now) {
                self.refused(status);
            }
        }
    }

    fn receive(&mut self) {
        for number in std::mem::take(&mut self.ready) {
            self.receive_from(number);
        }
    }

    fn receive_from(&mut self, number: usize) {
        let now = self.now();
        let Some(connection) = self.connections.get_mut(&number) else { return };
        match connection.receive(&self.shared.path, now) {
            Next::Wait => return,
            Next::Over => {
                self.connections.remove(&number);
                return;
            }
            Next::Again => {}
            Next::Answer(request) => {
                let status = self.shared.handler.accept(&request.body, &request.content_type);
                connection.answer(status, self.shared.around.clock.now());
            }
            Next::Refused(status) => self.refused(status),
        }
        self.ready.insert(number);
    }

    fn expire(&mut self) {
        let now = self.now();
        let due = |connection: &Connection| connection.deadline() <= now;
        let expired: Vec<usize> =
            self.connections.iter().filter(|(_, connection)| due(connection)).map(|(number, _)| *number).collect();
        for number in expired {
            match self.connections.get_mut(&number).map(|connection| connection.expire(now)) {
                Some(Next::Refused(status)) => {
                    self.refused(status);
                    self.ready.insert(number);
                }
                _ => drop(self.connections.remove(&number)),
            }
        }
    }

    fn refused(&self, status: u16) {
        self.shared.handler.refused(status, "it is no complete HTTP request of a portal");
    }
}
