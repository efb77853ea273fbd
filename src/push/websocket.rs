//! A WebSocket to the push server (docs/protocol.md §3.2), over a connection of [`Http`].

use std::time::Duration;

use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::generate_key;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error as WsError, Message, WebSocket};
use ureq::http::{Request, Uri, header};
use ureq::unversioned::transport::NextTimeout;

use super::machine::SocketEnd;
use crate::error::{Error, Result};
use crate::net::connection::Connection;
use crate::net::http::{Http, USER_AGENT};
use crate::secret::Secret;

/// Frames of a push server are small; the buffers grow for a longer message.
const BUFFER_BYTES: usize = 4 * 1024;
/// A connection accepts our short frames at once unless its other end has stopped reading.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// See the module.
pub struct Socket {
    websocket: WebSocket<Connection>,
    url: Secret,
    http: Http,
}

/// What arrived.
pub enum Received {
    /// A text frame.
    Text(String),
    /// A ping or a pong.
    ControlFrame,
    /// Nothing within the given time.
    Nothing,
}

/// Why a WebSocket ended or was not opened.
pub struct SocketError {
    /// For the state machine.
    pub end: SocketEnd,
    /// For the user.
    pub error: Error,
}

impl Socket {
    /// Connects and performs the handshake. `url` has `http` in place of `ws`.
    pub fn open(http: &Http, url: &Secret, timeout: Duration) -> Result<Socket, SocketError> {
        let not_opened = |error| {
            let end = if matches!(error, Error::Unreachable(_)) { SocketEnd::Unreached } else { SocketEnd::NotOpened };
            SocketError { end, error }
        };
        let mut connection = http.open_connection(url.expose(), timeout).map_err(not_opened)?;
        set_timeout(&mut connection, timeout);
        let request = request(url.expose()).map_err(not_opened)?;
        let max_bytes = usize::try_from(http.max_answer_bytes()).unwrap_or(usize::MAX);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_message_size(Some(max_bytes))
            .max_frame_size(Some(max_bytes));
        match tungstenite::client::client_with_config(request, connection, Some(config)) {
            Ok((websocket, _)) => Ok(Socket { websocket, url: url.clone(), http: http.clone() }),
            Err(HandshakeError::Failure(error)) => {
                let refused = matches!(&error, WsError::Http(answer) if matches!(answer.status().as_u16(), 400 | 403));
                let end = if refused { SocketEnd::ChannelRefused } else { SocketEnd::NotOpened };
                Err(SocketError { end, error: explain(http, url, error) })
            }
            // Happens to non-blocking connections only.
            Err(HandshakeError::Interrupted(_)) => {
                Err(not_opened(Error::Network("the WebSocket handshake was interrupted".into())))
            }
        }
    }

    /// Waits for the next frame, for at most `wait`.
    pub fn receive(&mut self, wait: Duration) -> Result<Received, SocketError> {
        // Zero would mean "no timeout" to the connection.
        set_timeout(self.websocket.get_mut(), wait.max(Duration::from_millis(1)));
        match self.websocket.read() {
            Ok(Message::Text(text)) => Ok(Received::Text(text.as_str().to_owned())),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(Received::ControlFrame),
            Ok(Message::Binary(_)) => {
                self.send_close(CloseCode::Unsupported);
                let text = "the push server sends binary frames, which the client did not ask for; if this persists, \
                            set push.transport=long_polling";
                Err(SocketError { end: SocketEnd::Unreadable, error: Error::protocol(text) })
            }
            Ok(Message::Close(frame)) => Err(self.closed_by_server(frame)),
            Err(WsError::Io(error)) => match ureq::Error::from(error) {
                ureq::Error::Timeout(_) => Ok(Received::Nothing),
                error => Err(self.failed(WsError::Io(error.into_io()))),
            },
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Sends each text in a frame of its own.
    pub fn send(&mut self, texts: impl IntoIterator<Item = String>) -> Result<(), SocketError> {
        set_timeout(self.websocket.get_mut(), SEND_TIMEOUT);
        let written = texts.into_iter().try_for_each(|text| self.websocket.write(Message::text(text)));
        written.and_then(|()| self.websocket.flush()).map_err(|error| self.failed(error))
    }

    /// Sends a ping; a live server answers it.
    pub fn ping(&mut self) -> Result<(), SocketError> {
        set_timeout(self.websocket.get_mut(), SEND_TIMEOUT);
        self.websocket.send(Message::Ping(Vec::new().into())).map_err(|error| self.failed(error))
    }

    /// Tells the server that the WebSocket is no longer needed. What the server had sent before can still be received.
    pub fn close(&mut self) {
        self.send_close(CloseCode::Normal);
    }

    fn send_close(&mut self, code: CloseCode) {
        set_timeout(self.websocket.get_mut(), SEND_TIMEOUT);
        // If the frame does not get through, the server sees the end of the connection.
        let _ = self.websocket.close(Some(CloseFrame { code, reason: "".into() }));
    }

    fn closed_by_server(&mut self, frame: Option<CloseFrame>) -> SocketError {
        set_timeout(self.websocket.get_mut(), SEND_TIMEOUT);
        // The answer to the close frame is a courtesy.
        let _ = self.websocket.flush();
        let code = frame.map_or(CloseCode::Status, |frame| frame.code).into();
        let text = match code {
            1000 => "closed the WebSocket".into(),
            1001 => "closed the WebSocket because it is going away".into(),
            3000 | 3001 | 3003 => format!("reports that the channel or its configuration has expired (code {code})"),
            4010 => "does not accept the channel (code 4010); the client gets a new one".into(),
            _ => format!("closed the WebSocket (code {code})"),
        };
        SocketError { end: SocketEnd::Closed(code), error: Error::protocol(format!("the push server {text}")) }
    }

    fn failed(&self, error: WsError) -> SocketError {
        let end = match &error {
            WsError::Capacity(_) | WsError::Utf8(_) => SocketEnd::Unreadable,
            _ => SocketEnd::Broken,
        };
        SocketError { end, error: explain(&self.http, &self.url, error) }
    }
}

fn set_timeout(connection: &mut Connection, wait: Duration) {
    connection.set_timeout(NextTimeout {
        after: wait.into(),
        reason: ureq::Timeout::PerRead,
        ..NextTimeout::default()
    });
}

fn request(url: &str) -> Result<Request<()>> {
    let unusable = || Error::protocol("the push server's WebSocket address is not valid");
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

/// Turns an error of tungstenite into one of ours. It names only the host of the address, whose query contains secrets.
fn explain(http: &Http, url: &Secret, error: WsError) -> Error {
    let host = url.expose().split('/').nth(2).unwrap_or_default();
    match error {
        WsError::Io(error) => http.connection_error(url.expose(), error.into()),
        WsError::Http(answer) => Error::Protocol {
            text: format!(
                "{host} refused the WebSocket: HTTP {}; if a proxy blocks it, set push.transport=long_polling",
                answer.status().as_u16()
            ),
            http_status: answer.status().as_u16(),
        },
        WsError::Capacity(_) => Error::protocol(format!(
            "a message from {host} is longer than {} bytes; raise http.max_answer_bytes",
            http.max_answer_bytes()
        )),
        WsError::Utf8(_) => Error::protocol(format!("{host} sent text that is not valid UTF-8")),
        WsError::ConnectionClosed | WsError::AlreadyClosed => Error::Network(format!("{host} closed the connection")),
        WsError::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            http.connection_error(url.expose(), ureq::Error::ConnectionFailed)
        }
        _ => Error::protocol(format!(
            "{host} violated the WebSocket protocol; if this persists, set push.transport=long_polling"
        )),
    }
}
