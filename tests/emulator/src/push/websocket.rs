//! `GET /subws/`: a connection that stays, with messages in frames.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CONNECTION, CONTENT_TYPE, HeaderValue,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message as Unit, Role, WebSocketConfig};

use super::format::{Format, Written};
use super::query::Parameters;
use super::subscription::{Closing, Kind, Order, Subscription};
use super::{PushServer, Refusal, json_rpc, long_polling};
use crate::http::{Answer, Dropped, Framing, Request};
use crate::time;

pub const GOING_AWAY: u16 = 1001;
pub const CHANNEL_EXPIRED: u16 = 3001;
pub const CONFIG_EXPIRED: u16 = 3003;
const WRONG_CHANNEL: u16 = 4010;

/// Codes that stand for what came instead of a code, and are never sent.
const NO_CODE: u16 = 1005;
const BROKEN: [u16; 2] = [1006, 1015];

/// How long to wait for the other side's close frame.
const CLOSING: Duration = Duration::from_secs(2);
/// A client that takes nothing for so long is dropped.
const STUCK: Duration = Duration::from_secs(10);
/// Messages are small and tests open hundreds of connections.
const BUFFER: usize = 4096;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Answers the request for an upgrade; the conversation goes on in a task of its own.
pub fn serve(server: &Arc<PushServer>, request: &Request) -> Result<Answer, Dropped> {
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
            tokio::spawn(converse(upgrade, subscription, format));
        }
        Err(Refusal::Stopped) => return Err(Dropped),
        Err(_) if version < 3 => return Ok(long_polling::refused_by_nginx()),
        Err(_) if version == 3 => return Ok(bad_request()),
        // A browser does not tell its page the status of a refused upgrade, so later servers accept and say why.
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

/// `None` when the connection went away, or was dropped on purpose, before it was upgraded.
async fn open(upgrade: OnUpgrade, server: &PushServer) -> Option<Socket> {
    let connection = TokioIo::new(upgrade.await.ok()?);
    let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(BUFFER);
    let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
    add(&server.traffic.accepted);
    Some(socket)
}

async fn turn_away(server: Arc<PushServer>, upgrade: OnUpgrade) {
    if let Some(socket) = open(upgrade, &server).await {
        close(socket, Closing::new(WRONG_CHANNEL, "wrong channel id or signature")).await;
    }
}

async fn converse(upgrade: OnUpgrade, subscription: Subscription, format: Format) {
    let server = Arc::clone(subscription.server());
    let Some(socket) = open(upgrade, &server).await else { return };
    let mut conversation =
        Conversation { socket, server, subscription, format, flush_at: None, ping_at: Instant::now() };
    let end = conversation.talk().await;
    let Conversation { socket, subscription, .. } = conversation;
    // It counts as gone before the client can see that it is.
    drop(subscription);
    if let End::Close(closing) = end {
        close(socket, closing).await;
    }
}

/// Says goodbye and waits for the other side to do the same.
async fn close(mut socket: Socket, Closing { code, reason }: Closing) {
    if BROKEN.contains(&code) {
        return;
    }
    let frame = (code != NO_CODE).then(|| CloseFrame { code: code.into(), reason: reason.into() });
    let goodbye = async {
        if socket.close(frame).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // One that does not answer has had its time.
    let _ = timeout(CLOSING, goodbye).await;
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Neither reads nor writes until the connection is to end; then nobody is there to hear a goodbye.
async fn be_silent(subscription: &Subscription) {
    subscription.mute();
    loop {
        match subscription.take_order() {
            Some(Order::Close(_) | Order::Drop) => return,
            Some(_) => {}
            None => subscription.woken().await,
        }
    }
}

/// How a conversation ends.
enum End {
    Close(Closing),
    /// Without a word: dropped on purpose, or the client is gone.
    Drop,
}

struct Conversation {
    socket: Socket,
    server: Arc<PushServer>,
    subscription: Subscription,
    format: Format,
    /// When the messages that gather leave; `None` while there are none.
    flush_at: Option<Instant>,
    ping_at: Instant,
}

impl Conversation {
    async fn talk(&mut self) -> End {
        self.ping_at = self.next_ping();
        // Missed messages need not gather.
        let mut turn = self.flush().await;
        while turn.is_ok() {
            turn = self.turn().await;
        }
        turn.err().unwrap_or(End::Drop)
    }

    /// Waits for one thing to happen and deals with it.
    async fn turn(&mut self) -> Result<(), End> {
        while let Some(order) = self.subscription.take_order() {
            self.obey(order).await?;
        }
        while let Some(bytes) = self.subscription.take_raw() {
            self.send_raw(Data::Text, bytes).await?;
        }
        if self.flush_at.is_none() && self.subscription.has_messages() {
            self.flush_at = Some(Instant::now() + self.server.settings.gather);
        }
        let (end_at, closing) = self.subscription.end().unzip();
        let at = |when: Option<Instant>| sleep_until(when.unwrap_or_else(|| time::end_of(Duration::MAX)).into());
        tokio::select! {
            () = self.subscription.woken() => Ok(()),
            () = at(self.flush_at) => self.flush().await,
            () = at(Some(self.ping_at)) => self.ping().await,
            () = at(end_at) => {
                self.flush().await?;
                Err(closing.map_or(End::Drop, End::Close))
            }
            unit = self.socket.next() => match unit {
                Some(Ok(unit)) => self.hear(&unit).await,
                Some(Err(_)) | None => Err(End::Drop),
            },
        }
    }

    async fn obey(&mut self, order: Order) -> Result<(), End> {
        match order {
            Order::Close(closing) => {
                self.flush().await?;
                Err(End::Close(closing))
            }
            Order::Drop => Err(End::Drop),
            Order::SendText(bytes) => self.send_raw(Data::Text, bytes).await,
            Order::SendBinary(bytes) => self.send_raw(Data::Binary, bytes).await,
            Order::Mute => {
                be_silent(&self.subscription).await;
                Err(End::Drop)
            }
        }
    }

    /// Sends what has gathered.
    async fn flush(&mut self) -> Result<(), End> {
        self.flush_at = None;
        let messages = self.subscription.take_messages();
        if messages.is_empty() {
            return Ok(());
        }
        add(&self.server.traffic.frames);
        match self.format.write(&messages, self.server.settings.version) {
            Written::Text(text) => self.send(Unit::Text(text.into())).await,
            Written::Binary(bytes) => self.send(Unit::Binary(bytes.into())).await,
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        self.ping_at = self.next_ping();
        let ping = match self.format {
            Format::JsonRpc => Unit::Text(json_rpc::PING.into()),
            _ => Unit::Ping(Vec::new().into()),
        };
        self.send(ping).await
    }

    fn next_ping(&self) -> Instant {
        let interval = self.server.settings.ping_interval;
        time::end_of(if interval.is_zero() { Duration::MAX } else { interval })
    }

    async fn hear(&mut self, unit: &Unit) -> Result<(), End> {
        match unit {
            Unit::Text(text) => self.hear_text(text).await,
            Unit::Pong(_) => {
                add(&self.server.traffic.pongs);
                Ok(())
            }
            // Clients publish in binary frames, which this server does not take; pings and close frames are answered
            // by the socket itself.
            Unit::Binary(_) | Unit::Ping(_) | Unit::Close(_) | Unit::Frame(_) => Ok(()),
        }
    }

    async fn hear_text(&mut self, text: &str) -> Result<(), End> {
        if text.starts_with(json_rpc::ACKNOWLEDGEMENT) {
            add(&self.server.traffic.macks);
            return Ok(());
        }
        if text == json_rpc::PONG {
            add(&self.server.traffic.pongs);
            return Ok(());
        }
        if self.format != Format::JsonRpc {
            return Ok(());
        }
        let answer = if text == json_rpc::PING {
            Some(json_rpc::PONG.to_owned())
        } else {
            json_rpc::answer(text, self.subscription.channels())
        };
        match answer {
            Some(answer) => self.send(Unit::Text(answer.into())).await,
            None => Ok(()),
        }
    }

    /// A frame as a test wants it, after what was published before: a text need not be UTF-8.
    async fn send_raw(&mut self, data: Data, bytes: Vec<u8>) -> Result<(), End> {
        self.flush().await?;
        self.send(Unit::Frame(Frame::message(bytes, OpCode::Data(data), true))).await
    }

    async fn send(&mut self, unit: Unit) -> Result<(), End> {
        match timeout(STUCK, self.socket.send(unit)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Drop),
        }
    }
}
