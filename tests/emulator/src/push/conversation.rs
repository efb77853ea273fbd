//! An open WebSocket: messages and pings to the client, acknowledgements and calls from it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::OnUpgrade;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::Message as Unit;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::format::{Format, Written};
use super::subscription::{CloseReason, Order, Subscription};
use super::websocket::{Socket, add, close, open};
use super::{PushServer, json_rpc};
use crate::time;

/// A client that reads nothing for this long is disconnected.
const STUCK: Duration = Duration::from_secs(10);

pub async fn serve(upgrade: OnUpgrade, subscription: Subscription, format: Format) {
    let server = Arc::clone(subscription.server());
    let Some(socket) = open(upgrade, &server).await else { return };
    let mut conversation =
        Conversation { socket, server, subscription, format, flush_at: None, ping_at: Instant::now() };
    let end = conversation.run().await;
    let Conversation { socket, subscription, .. } = conversation;
    // It is no longer counted when the client notices the end.
    drop(subscription);
    if let End::Close(close_reason) = end {
        close(socket, close_reason).await;
    }
}

/// Neither reads nor writes until the connection has to end, without a close frame.
async fn stay_silent(subscription: &Subscription) {
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
    Close(CloseReason),
    /// Without a close frame: on purpose, or because the client has disconnected.
    Drop,
}

struct Conversation {
    socket: Socket,
    server: Arc<PushServer>,
    subscription: Subscription,
    format: Format,
    /// When the gathered messages are sent; `None` while there are none.
    flush_at: Option<Instant>,
    ping_at: Instant,
}

impl Conversation {
    async fn run(&mut self) -> End {
        self.ping_at = self.next_ping();
        // Missed messages need not gather.
        let mut outcome = self.flush().await;
        while outcome.is_ok() {
            outcome = self.step().await;
        }
        outcome.err().unwrap_or(End::Drop)
    }

    /// Waits for one event and handles it.
    async fn step(&mut self) -> Result<(), End> {
        while let Some(order) = self.subscription.take_order() {
            self.execute(order).await?;
        }
        while let Some(bytes) = self.subscription.take_raw() {
            self.send_raw(Data::Text, bytes).await?;
        }
        if self.flush_at.is_none() && self.subscription.has_messages() {
            self.flush_at = Some(Instant::now() + self.server.settings.gather);
        }
        let (end_at, close_reason) = self.subscription.end().unzip();
        let at = |when: Option<Instant>| sleep_until(when.unwrap_or_else(|| time::end_of(Duration::MAX)).into());
        tokio::select! {
            () = self.subscription.woken() => Ok(()),
            () = at(self.flush_at) => self.flush().await,
            () = at(Some(self.ping_at)) => self.ping().await,
            () = at(end_at) => {
                self.flush().await?;
                Err(close_reason.map_or(End::Drop, End::Close))
            }
            unit = self.socket.next() => match unit {
                Some(Ok(unit)) => self.receive(&unit).await,
                Some(Err(_)) | None => Err(End::Drop),
            },
        }
    }

    async fn execute(&mut self, order: Order) -> Result<(), End> {
        match order {
            Order::Close(close_reason) => {
                self.flush().await?;
                Err(End::Close(close_reason))
            }
            Order::Drop => Err(End::Drop),
            Order::SendText(bytes) => self.send_raw(Data::Text, bytes).await,
            Order::SendBinary(bytes) => self.send_raw(Data::Binary, bytes).await,
            Order::Mute => {
                stay_silent(&self.subscription).await;
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

    async fn receive(&mut self, unit: &Unit) -> Result<(), End> {
        match unit {
            Unit::Text(text) => self.receive_text(text).await,
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

    async fn receive_text(&mut self, text: &str) -> Result<(), End> {
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

    /// A frame with any content, after the messages published before. A text need not be UTF-8.
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
