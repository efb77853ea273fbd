//! The thread that takes the portal's calls over HTTP, and rings when it is time to look.
//!
//! One thread serves every connection, as many as `MOST_CONNECTIONS`. When one more comes, the oldest goes: a call of
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
use super::http_connection::{Connection, Next};
use super::port::{LISTENER, Port, WAKER};
use crate::config::Settings;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lock;
use crate::log::Level;
use crate::notify::Doorbell;
use crate::threads::{self, Thread};

/// Most connections at a time.
const MOST_CONNECTIONS: usize = 256;
/// After this long a port that takes no connection, for whatever reason, is tried again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Starts and ends the handler's thread.
pub struct Receiver {
    shared: Arc<Shared>,
    thread: Mutex<Option<Thread>>,
}

struct Shared {
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
        let shared = Shared {
            handler,
            port,
            doorbell,
            listen: settings.handler.listen,
            path: settings.handler.path.clone(),
            running: AtomicBool::new(false),
            ctx,
        };
        Receiver { shared: Arc::new(shared), thread: Mutex::default() }
    }

    /// Opens the port and starts the thread, unless that was done. Returns whether it was done now.
    pub fn start(&self) -> Result<bool> {
        let mut thread = lock(&self.thread);
        // Under the lock, so that no thread starts after closing has joined the last one.
        self.shared.ctx.cancel.check()?;
        if self.is_running() {
            return Ok(false);
        }
        // One that has failed has ended, or is about to.
        thread.take().into_iter().for_each(Thread::join);
        let poll = self.shared.port.open(self.shared.listen)?;
        let shared = self.shared.clone();
        self.shared.running.store(true, Ordering::SeqCst);
        match threads::spawn("b24-handler", move || shared.run(poll)) {
            Ok(started) => *thread = Some(started),
            Err(error) => {
                self.shared.running.store(false, Ordering::SeqCst);
                self.shared.port.close();
                return Err(error);
            }
        }
        let address = self.shared.port.address();
        self.shared.ctx.log.write(Level::Info, || match address {
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
        thread.into_iter().for_each(Thread::join);
    }
}

impl Shared {
    fn run(&self, poll: Poll) {
        let mut serving = Serving {
            shared: self,
            poll,
            connections: BTreeMap::new(),
            ready: BTreeSet::new(),
            next: 2,
            accepting: Accepting::Told,
        };
        let end = threads::catch(|| serving.serve()).unwrap_or_else(|panic| panic);
        drop(serving);
        self.port.close();
        self.running.store(false, Ordering::SeqCst);
        if !self.ctx.cancel.is_cancelled() {
            self.doorbell.report(end);
        }
    }

    /// Answers what is no request of a portal. Counted first: who has the answer finds it counted.
    fn refuse(&self, connection: &mut Connection, status: u16) {
        self.handler.refused(status, "it is no complete HTTP request of a portal");
        connection.answer(status, self.ctx.clock.now());
    }
}

/// What the thread works on.
struct Serving<'a> {
    shared: &'a Shared,
    poll: Poll,
    /// By token.
    connections: BTreeMap<usize, Connection>,
    /// Those that may have more to read.
    ready: BTreeSet<usize>,
    next: usize,
    accepting: Accepting,
}

/// When to look for new connections.
#[derive(Clone, Copy)]
enum Accepting {
    /// When the system tells of some.
    Told,
    /// They wait: at this moment, or when there is room.
    Full(Instant),
    /// At this moment.
    At(Instant),
}

impl Accepting {
    fn time(self) -> Option<Instant> {
        match self {
            Accepting::Told => None,
            Accepting::Full(time) | Accepting::At(time) => Some(time),
        }
    }
}

impl Serving<'_> {
    /// Serves until the client is closed, or until it cannot go on.
    fn serve(&mut self) -> Error {
        let mut events = Events::with_capacity(MOST_CONNECTIONS);
        loop {
            if self.shared.ctx.cancel.is_cancelled() {
                return self.shared.ctx.cancel.reason();
            }
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    return Error::State(format!("the handler cannot wait for calls: {error}; connect again"));
                }
                _ => {}
            }
            let now = self.now();
            let mut told = false;
            for event in &events {
                match event.token() {
                    LISTENER => told = true,
                    WAKER => {}
                    Token(number) => drop(self.ready.insert(number)),
                }
            }
            self.receive();
            self.expire();
            let has_room = self.connections.len() < MOST_CONNECTIONS;
            let due = match self.accepting {
                Accepting::Told => told,
                Accepting::Full(time) => has_room || time <= now,
                Accepting::At(time) => time <= now,
            };
            if due {
                self.accepting = self.accept();
            }
        }
    }

    fn now(&self) -> Instant {
        self.shared.ctx.clock.now()
    }

    /// How long nothing is to be done by itself.
    fn patience(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = self.now();
        let deadlines = self.connections.values().map(Connection::deadline).chain(self.accepting.time());
        let first = deadlines.min().map(|first| first.saturating_duration_since(now));
        first.into_iter().chain(self.shared.handler.tick()).min()
    }

    /// Takes connections that wait. Returns when to look for more.
    fn accept(&mut self) -> Accepting {
        // So many at once that nobody else waits for long.
        for _ in 0..MOST_CONNECTIONS {
            if self.connections.len() >= MOST_CONNECTIONS {
                match self.connections.values().map(Connection::evictable).min() {
                    Some(time) if time > self.now() => return Accepting::Full(time),
                    _ => {}
                }
            }
            let stream = match self.shared.port.accept() {
                Ok(stream) => stream,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Accepting::Told,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => continue,
                    // No file descriptor is left: room for one is made, for the sake of whoever comes.
                    _ => {
                        self.evict();
                        return Accepting::At(self.now() + ACCEPT_PAUSE);
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
        Accepting::At(self.now())
    }

    /// Ends the connection that can go first, best one that was answered.
    fn evict(&mut self) {
        let first = self.connections.iter().min_by_key(|(_, connection)| connection.evictable());
        let first = first.map(|(number, _)| *number);
        if let Some(mut connection) = first.and_then(|number| self.connections.remove(&number)) {
            if let Next::Refused(status) = connection.expire() {
                self.shared.refuse(&mut connection, status);
            }
        }
    }

    fn receive(&mut self) {
        for number in std::mem::take(&mut self.ready) {
            self.receive_from(number);
        }
    }

    fn receive_from(&mut self, number: usize) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        match connection.receive(&self.shared.path) {
            Next::Wait => return,
            Next::Over => {
                self.connections.remove(&number);
                return;
            }
            Next::Again => {}
            Next::Answer(request) => {
                let status = self.shared.handler.accept(&request.body, &request.content_type);
                connection.answer(status, self.shared.ctx.clock.now());
            }
            Next::Refused(status) => self.shared.refuse(connection, status),
        }
        self.ready.insert(number);
    }

    fn expire(&mut self) {
        let now = self.now();
        let due = |connection: &Connection| connection.deadline() <= now;
        let expired: Vec<usize> =
            self.connections.iter().filter(|(_, connection)| due(connection)).map(|(number, _)| *number).collect();
        for number in expired {
            let Some(connection) = self.connections.get_mut(&number) else { continue };
            match connection.expire() {
                Next::Refused(status) => {
                    self.shared.refuse(connection, status);
                    self.ready.insert(number);
                }
                _ => drop(self.connections.remove(&number)),
            }
        }
    }
}
