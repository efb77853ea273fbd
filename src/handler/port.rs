//! The port that the handler listens on. Closing it frees it at once, whatever the handler's thread is doing.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Mutex;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Poll, Registry, Token, Waker};
use socket2::SockRef;

use crate::error::{Error, Result};
use crate::lock;

/// The token of the listening socket.
pub const LISTENER: Token = Token(0);
/// The token of [`Port::wake`].
pub const WAKER: Token = Token(1);

/// How many connections may wait to be accepted. Beyond that a sender retries after a second or so, and others must not
/// delay the portal like that. The system may have a smaller limit (`net.core.somaxconn`).
const BACKLOG: i32 = 1024;

/// The listening socket and the waker of the handler's thread.
#[derive(Default)]
pub struct Port {
    listener: Mutex<Option<(TcpListener, Registry)>>,
    waker: Mutex<Option<Waker>>,
}

impl Port {
    /// Opens the port, if there is an address, and returns the poll that reports its events.
    pub fn open(&self, address: Option<SocketAddr>) -> Result<Poll> {
        let cannot_start = |error: io::Error| {
            Error::State(format!(
                "the handler cannot start: {error}; the process has probably reached its limit of open files"
            ))
        };
        let poll = Poll::new().map_err(cannot_start)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(cannot_start)?;
        let listener = match address {
            None => None,
            Some(address) => {
                let mut listener = TcpListener::bind(address).map_err(|error| cannot_listen(address, &error))?;
                // mio uses a smaller backlog; listening again changes it.
                SockRef::from(&listener).listen(BACKLOG).map_err(|error| cannot_listen(address, &error))?;
                poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(cannot_start)?;
                Some((listener, poll.registry().try_clone().map_err(cannot_start)?))
            }
        };
        *lock(&self.listener) = listener;
        *lock(&self.waker) = Some(waker);
        Ok(poll)
    }

    /// Whether an address could be listened on now: listens there for a moment.
    pub fn check(address: SocketAddr) -> Result<()> {
        TcpListener::bind(address).map(drop).map_err(|error| cannot_listen(address, &error))
    }

    /// Frees the port and wakes the thread.
    pub fn close(&self) {
        if let Some((mut listener, registry)) = lock(&self.listener).take() {
            // Otherwise the system could keep the socket open while the thread polls. Fails only for a socket that is
            // not registered, and this one is.
            let _ = registry.deregister(&mut listener);
        }
        self.wake();
    }

    /// Whether there is, or was, a thread to wake.
    pub fn was_opened(&self) -> bool {
        lock(&self.waker).is_some()
    }

    /// Makes the thread check its deadlines again.
    pub fn wake(&self) {
        if let Some(waker) = &*lock(&self.waker) {
            // Fails only if the thread has ended.
            let _ = waker.wake();
        }
    }

    /// The address that it listens on.
    pub fn address(&self) -> Option<SocketAddr> {
        lock(&self.listener).as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// Accepts the next connection that waits.
    pub fn accept(&self) -> io::Result<TcpStream> {
        match &*lock(&self.listener) {
            Some((listener, _)) => listener.accept().map(|(stream, _)| stream),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Error {
    let advice = match error.kind() {
        ErrorKind::AddrInUse => {
            "another program or client listens there; stop it, or set handler.listen to a free port"
        }
        ErrorKind::PermissionDenied => {
            "ports below 1024 need special rights; set handler.listen to a higher port, behind a web server"
        }
        _ => "set handler.listen to an address of this computer, such as 127.0.0.1:8080",
    };
    Error::Config(format!("handler.listen: cannot listen on {address}: {error}; {advice}"))
}
