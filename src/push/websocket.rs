//! One WebSocket to the push server (protocol.md §3.2), over the lines of [`Http`].

use std::time::Duration;

use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::generate_key;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error as Fault, Message, WebSocket};
use ureq::http::{Request, Uri, header};
use ureq::unversioned::transport::NextTimeout;

use super::machine::Lost;
use crate::error::{Error, Result};
use crate::net::connection::Connection;
use crate::net::http::{Http, USER_AGENT};
use crate::secret::Secret;

/// Frames of a push server are small; a longer message makes its own room.
const BUFFER_BYTES: usize = 4 * 1024;
/// A socket takes what we write at once, or its other end does not read any more.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// See the module.
pub struct Socket {
    socket: WebSocket<Connection>,
    url: Secret,
    http: Http,
}

/// What came.
pub enum Received {
    /// A text frame.
    Text(String),
    /// A sign of life.
    Alive,
    /// Nothing in the given time.
    Nothing,
}

/// Why a socket ended, or was not opened.
pub struct Ended {
    /// For the connection.
    pub lost: Lost,
    /// For people.
    pub error: Error,
}

impl Socket {
    /// Connects and shakes hands; `url` is that of the subscription with `http` in place of `ws`.
    pub fn open(http: &Http, url: &Secret, timeout: Duration) -> Result<Socket, Ended> {
        let not_opened = |error| Ended { lost: Lost::NotOpened, error };
        let mut connection = http.open_connection(url.expose(), timeout).map_err(not_opened)?;
        limit(&mut connection, timeout);
        let request = request(url.expose()).map_err(not_opened)?;
        let most = usize::try_from(http.max_answer_bytes()).unwrap_or(usize::MAX);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_message_size(Some(most))
            .max_frame_size(Some(most));
        match tungstenite::client::client_with_config(request, connection, Some(config)) {
            Ok((socket, _)) => Ok(Socket { socket, url: url.clone(), http: http.clone() }),
            Err(HandshakeError::Failure(fault)) => {
                let refused = matches!(&fault, Fault::Http(answer) if matches!(answer.status().as_u16(), 400 | 403));
                let lost = if refused { Lost::ChannelRefused } else { Lost::NotOpened };
                Err(Ended { lost, error: explain(http, url, fault) })
            }
            // Only sockets that never block are interrupted.
            Err(HandshakeError::Interrupted(_)) => {
                Err(not_opened(Error::Network("the handshake was interrupted".into())))
            }
        }
    }

    /// Waits for the next thing to come, at most for so long.
    pub fn receive(&mut self, wait: Duration) -> Result<Received, Ended> {
        // Zero would mean "no limit" to the socket.
        limit(self.socket.get_mut(), wait.max(Duration::from_millis(1)));
        match self.socket.read() {
            Ok(Message::Text(text)) => Ok(Received::Text(text.as_str().to_owned())),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(Received::Alive),
            Ok(Message::Binary(_)) => {
                self.say_goodbye(CloseCode::Unsupported);
                let text = "the push server sends binary frames, which were not asked for; set push.transport=long_polling if that stays";
                Err(Ended { lost: Lost::Unreadable, error: Error::protocol(text) })
            }
            Ok(Message::Close(frame)) => Err(self.closed(frame)),
            Err(Fault::Io(error)) => match ureq::Error::from(error) {
                ureq::Error::Timeout(_) => Ok(Received::Nothing),
                error => Err(self.ended(Fault::Io(error.into_io()))),
            },
            Err(fault) => Err(self.ended(fault)),
        }
    }

    /// Sends texts in frames of their own.
    pub fn send(&mut self, texts: impl IntoIterator<Item = String>) -> Result<(), Ended> {
        limit(self.socket.get_mut(), SEND_TIMEOUT);
        let written = texts.into_iter().try_for_each(|text| self.socket.write(Message::text(text)));
        written.and_then(|()| self.socket.flush()).map_err(|fault| self.ended(fault))
    }

    /// Asks for a sign of life.
    pub fn ping(&mut self) -> Result<(), Ended> {
        limit(self.socket.get_mut(), SEND_TIMEOUT);
        self.socket.send(Message::Ping(Vec::new().into())).map_err(|fault| self.ended(fault))
    }

    /// Tells the server that the socket is not needed any more. What it had sent before may still be received.
    pub fn leave(&mut self) {
        self.say_goodbye(CloseCode::Normal);
    }

    fn say_goodbye(&mut self, code: CloseCode) {
        limit(self.socket.get_mut(), SEND_TIMEOUT);
        // A server that does not hear it sees the connection end.
        let _ = self.socket.close(Some(CloseFrame { code, reason: "".into() }));
    }

    fn closed(&mut self, frame: Option<CloseFrame>) -> Ended {
        limit(self.socket.get_mut(), SEND_TIMEOUT);
        // The answer to the close frame is courtesy.
        let _ = self.socket.flush();
        let code = frame.map_or(CloseCode::Status, |frame| frame.code).into();
        let text = match code {
            1000 => "has closed the WebSocket".into(),
            1001 => "is going away".into(),
            3000 | 3001 | 3003 => format!("says that the channel or its configuration has ended (code {code})"),
            4010 => "does not accept the channel (code 4010); a new configuration is read".into(),
            _ => format!("has closed the WebSocket (code {code})"),
        };
        Ended { lost: Lost::Closed(code), error: Error::protocol(format!("the push server {text}")) }
    }

    fn ended(&self, fault: Fault) -> Ended {
        let lost = match &fault {
            Fault::Capacity(_) | Fault::Utf8(_) => Lost::Unreadable,
            _ => Lost::Broken,
        };
        Ended { lost, error: explain(&self.http, &self.url, fault) }
    }
}

fn limit(connection: &mut Connection, wait: Duration) {
    connection.set_timeout(NextTimeout {
        after: wait.into(),
        reason: ureq::Timeout::PerRead,
        ..NextTimeout::default()
    });
}

fn request(url: &str) -> Result<Request<()>> {
    let unusable = || Error::protocol("the push server's address cannot be used");
    let rest = url.strip_prefix("http").ok_or_else(unusable)?;
    let uri: Uri = format!("ws{rest}").parse().map_err(|_| unusable())?;
    let host = uri.authority().ok_or_else(unusable)?.as_str().to_owned();
    let request = Request::get(uri)
        .header(header::HOST, host)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .header(header::USER_AGENT, USER_AGENT);
    request.body(()).map_err(|_| unusable())
}

/// tungstenite's errors in plain words. The address is reduced to its host: its query holds secrets.
fn explain(http: &Http, url: &Secret, fault: Fault) -> Error {
    let host = url.expose().split('/').nth(2).unwrap_or_default();
    match fault {
        Fault::Io(error) => http.connection_error(url.expose(), error.into()),
        Fault::Http(answer) => Error::Protocol {
            text: format!("{host} does not take a WebSocket: HTTP {}", answer.status().as_u16()),
            http_status: answer.status().as_u16(),
        },
        Fault::Capacity(_) => Error::protocol(format!(
            "a message of {host} is longer than {} bytes; raise http.max_answer_bytes",
            http.max_answer_bytes()
        )),
        Fault::Utf8(_) => Error::protocol(format!("{host} sent a text that is not UTF-8")),
        Fault::ConnectionClosed | Fault::AlreadyClosed => Error::Network(format!("{host} has closed the connection")),
        Fault::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            http.connection_error(url.expose(), ureq::Error::ConnectionFailed)
        }
        _ => Error::protocol(format!("{host} does not speak WebSocket as it should")),
    }
}
