//! What is said over a WebSocket: messages and pings one way, acknowledgements and calls the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::Message as Unit;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::format::{Format, Written};
use super::subscription::{Closing, Order, Subscription};
use super::websocket::{Socket, add, close, open};
use super::{PushServer, json_rpc};
use crate::time;

/// A client that takes nothing for so long is dropped.
const STUCK: Duration = Duration::from_secs(10);

pub async fn converse(upgrade: OnUpgrade, subscription: Subscription, format: Format) {
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
            // The socket answers pings and close frames itself.
            Unit::Ping(_) => {
                add(&self.server.traffic.pings);
                Ok(())
            }
            // Clients publish in binary frames, which this server does not accept.
            Unit::Binary(_) | Unit::Close(_) | Unit::Frame(_) => Ok(()),
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
            add(&self.server.traffic.pings);
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
