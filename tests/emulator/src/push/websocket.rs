//! `GET /subws/`: opens and closes a WebSocket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CONNECTION, CONTENT_TYPE, HeaderValue,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::admission::Refusal;
use super::conversation;
use super::format::Format;
use super::query::Parameters;
use super::subscription::{CloseReason, Kind};
use super::{PushServer, long_polling};
use crate::http::{Answer, Framing, NoAnswer, Request};

pub const GOING_AWAY: u16 = 1001;
pub const CHANNEL_EXPIRED: u16 = 3001;
pub const CONFIG_EXPIRED: u16 = 3003;
const WRONG_CHANNEL: u16 = 4010;

/// Codes that are never sent: no code, or no close frame at all.
const NO_CODE: u16 = 1005;
const BROKEN: [u16; 2] = [1006, 1015];

/// How long to wait for the other side's close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Messages are small and tests open hundreds of connections.
const BUFFER: usize = 4096;

pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Answers the request for an upgrade. A task of its own serves the WebSocket.
pub fn serve(server: &Arc<PushServer>, request: &Request) -> Result<Answer, NoAnswer> {
    if !server.settings.websocket {
        return Ok(Answer::new(StatusCode::NOT_FOUND, "text/html", "<h1>404 Not Found</h1>"));
    }
    if let Some(status) = server.upgrade_refusal() {
        return Ok(Answer::new(status, "text/html", format!("<h1>{status}</h1>")));
    }
    let Some(accept) = accept_key(request) else { return Ok(bad_request()) };
    let version = server.settings.version;
    let parameters = Parameters::parse(&request.query);
    let upgrade = request.upgrade.clone();
    match server.subscribe(&parameters, Kind::WebSocket) {
        Ok(subscription) => {
            let format = Format::of(&parameters, version);
            tokio::spawn(conversation::serve(upgrade, subscription, format));
        }
        Err(Refusal::Stopped) => return Err(NoAnswer),
        Err(_) if version < 3 => return Ok(long_polling::refused_by_nginx()),
        Err(_) if version == 3 => return Ok(bad_request()),
        // A browser does not show its page the status of a refused upgrade, so later servers accept and close with a code.
        Err(_) => {
            tokio::spawn(turn_away(Arc::clone(server), upgrade));
        }
    }
    Ok(switching(&accept))
}

fn accept_key(request: &Request) -> Option<String> {
    let is_upgrade = request.method == Method::GET
        && request.header(&UPGRADE).eq_ignore_ascii_case("websocket")
        && request.header(&CONNECTION).to_lowercase().contains("upgrade")
        && request.header(&SEC_WEBSOCKET_VERSION) == "13";
    let key = request.header(&SEC_WEBSOCKET_KEY);
    (is_upgrade && !key.is_empty()).then(|| derive_accept_key(key.as_bytes()))
}

/// The head as the recorded server writes it.
fn switching(accept: &str) -> Answer {
    let accept = HeaderValue::from_str(accept).unwrap_or(HeaderValue::from_static(""));
    Answer {
        status: StatusCode::SWITCHING_PROTOCOLS,
        headers: vec![
            (UPGRADE, HeaderValue::from_static("websocket")),
            (CONNECTION, HeaderValue::from_static("Upgrade")),
            (SEC_WEBSOCKET_ACCEPT, accept),
        ],
        body: Vec::new().into(),
        framing: Framing::Length,
    }
}

/// The refusal as the recorded server writes it.
fn bad_request() -> Answer {
    Answer {
        status: StatusCode::BAD_REQUEST,
        headers: vec![
            (CONNECTION, HeaderValue::from_static("close")),
            (CONTENT_TYPE, HeaderValue::from_static("text/html")),
            (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
            (ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Last-Message-Id")),
        ],
        body: "Bad Request".into(),
        framing: Framing::Length,
    }
}

/// `None` if the connection ended before it was upgraded.
pub async fn open(upgrade: OnUpgrade, server: &PushServer) -> Option<Socket> {
    let connection = TokioIo::new(upgrade.await.ok()?);
    let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(BUFFER);
    let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
    add(&server.traffic.accepted);
    Some(socket)
}

async fn turn_away(server: Arc<PushServer>, upgrade: OnUpgrade) {
    if let Some(socket) = open(upgrade, &server).await {
        close(socket, CloseReason::new(WRONG_CHANNEL, "wrong channel id or signature")).await;
    }
}

/// Sends a close frame and waits for that of the other side.
pub async fn close(mut socket: Socket, CloseReason { code, reason }: CloseReason) {
    if BROKEN.contains(&code) {
        return;
    }
    let frame = (code != NO_CODE).then(|| CloseFrame { code: code.into(), reason: reason.into() });
    let handshake = async {
        if socket.close(frame).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // A client that does not answer is disconnected.
    let _ = timeout(CLOSE_TIMEOUT, handshake).await;
}

pub fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
