//! The port that is listened on. Cancellation it frees it at once, whatever the thread behind it is doing.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Mutex;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Poll, Registry, Token, Waker};
use socket2::SockRef;

use crate::error::{Error, Result};
use crate::lock;

/// Events of the listening socket.
pub const LISTENER: Token = Token(0);
/// Somebody called [`Port::wake`].
pub const WAKER: Token = Token(1);

/// Connections that may wait to be accepted. When there are more, the system lets the next one try again after a second,
/// which the portal need not suffer from others; it may have a smaller limit of its own (`net.core.somaxconn`).
const BACKLOG: i32 = 1024;

/// See the module.
#[derive(Default)]
pub struct Port {
    listener: Mutex<Option<(TcpListener, Registry)>>,
    waker: Mutex<Option<Waker>>,
}

impl Port {
    /// Opens the port, if there is to be one, and returns what tells of its events.
    pub fn open(&self, address: Option<SocketAddr>) -> Result<Poll> {
        let cannot_start = |error: io::Error| {
            Error::State(format!("the handler cannot be started: {error}; the process's limit of files is reached"))
        };
        let poll = Poll::new().map_err(cannot_start)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(cannot_start)?;
        let listener = match address {
            None => None,
            Some(address) => {
                let mut listener = TcpListener::bind(address).map_err(|error| cannot_listen(address, &error))?;
                // mio asks for fewer; asking again changes it.
                SockRef::from(&listener).listen(BACKLOG).map_err(|error| cannot_listen(address, &error))?;
                poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(cannot_start)?;
                Some((listener, poll.registry().try_clone().map_err(cannot_start)?))
            }
        };
        *lock(&self.listener) = listener;
        *lock(&self.waker) = Some(waker);
        Ok(poll)
    }

    /// Frees the port and wakes the thread behind it.
    pub fn close(&self) {
        if let Some((mut listener, registry)) = lock(&self.listener).take() {
            // While the thread takes its events, the system holds the socket a little longer than we do; this waits for it.
            // It fails only when it was not registered, which it was.
            let _ = registry.deregister(&mut listener);
        }
        self.wake();
    }

    /// Lets the thread look at the time again.
    pub fn wake(&self) {
        if let Some(waker) = &*lock(&self.waker) {
            // It fails only when the thread has ended.
            let _ = waker.wake();
        }
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        lock(&self.listener).as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// The next connection that waits.
    pub fn accept(&self) -> io::Result<TcpStream> {
        match &*lock(&self.listener) {
            Some((listener, _)) => listener.accept().map(|(stream, _)| stream),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Error {
    let advice = match error.kind() {
        ErrorKind::AddrInUse => "another program or client listens there; end it, or set handler.listen to a free port",
        ErrorKind::PermissionDenied => {
            "ports below 1024 need rights; set handler.listen to a higher one behind a web server"
        }
        _ => "set handler.listen to an address of this computer, such as 127.0.0.1:8080",
    };
    Error::Config(format!("handler.listen {address} cannot be opened: {error}; {advice}"))
}
