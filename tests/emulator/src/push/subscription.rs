//! One subscriber: its position, and what wakes it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Notify;

use super::PushServer;
use super::message::{Message, Position};
use crate::sync::lock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Poll,
    WebSocket,
}

/// What a subscriber's connection has to do. A poll can only end without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    Close(CloseReason),
    /// Break the connection.
    Drop,
    /// Stop reading and writing, as if the network had failed.
    Mute,
    SendText(Vec<u8>),
    SendBinary(Vec<u8>),
}

/// A close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    pub code: u16,
    pub reason: String,
}

impl CloseReason {
    pub fn new(code: u16, reason: &str) -> Self {
        Self { code, reason: reason.to_owned() }
    }
}

/// The server's half: how it finds a subscriber and wakes it.
pub struct Waiter {
    channels: Vec<String>,
    kind: Kind,
    notify: Notify,
    orders: Mutex<VecDeque<Order>>,
    /// When a WebSocket has to be closed, and with which reason.
    end: Mutex<Option<(Instant, CloseReason)>>,
    muted: AtomicBool,
}

impl Waiter {
    pub fn new(channels: Vec<String>, kind: Kind, end: Option<(Instant, CloseReason)>) -> Self {
        Self {
            channels,
            kind,
            notify: Notify::new(),
            orders: Mutex::default(),
            end: Mutex::new(end),
            muted: AtomicBool::new(false),
        }
    }

    pub fn listens(&self, channel: &str) -> bool {
        self.channels.iter().any(|id| id == channel)
    }

    pub fn is_websocket(&self) -> bool {
        self.kind == Kind::WebSocket
    }

    /// A muted connection does not count as open.
    pub fn is_open(&self) -> bool {
        !self.muted.load(Ordering::Acquire)
    }

    /// `Notify` stores one permit, so that a wake between two waits is not lost.
    pub fn wake(&self) {
        self.notify.notify_one();
    }

    pub fn order(&self, order: Order) {
        lock(&self.orders).push_back(order);
        self.wake();
    }

    /// Closes a WebSocket at this time, unless it has to close earlier.
    pub fn end_by(&self, when: Instant, close_reason: CloseReason) {
        let mut end = lock(&self.end);
        if end.as_ref().is_none_or(|(earlier, _)| when < *earlier) {
            *end = Some((when, close_reason));
            self.wake();
        }
    }
}

/// What a poll gets.
#[derive(Debug)]
pub enum Delivery {
    Messages(Vec<Message>),
    /// Bytes that replace the answer.
    Raw(Vec<u8>),
    Ended,
}

/// The subscriber's half. Dropping it, also by a closed connection, unsubscribes.
pub struct Subscription {
    server: Arc<PushServer>,
    key: u64,
    waiter: Arc<Waiter>,
    position: Position,
}

impl Subscription {
    pub fn new(server: Arc<PushServer>, key: u64, waiter: Arc<Waiter>, position: Position) -> Self {
        Self { server, key, waiter, position }
    }

    pub fn server(&self) -> &Arc<PushServer> {
        &self.server
    }

    pub fn channels(&self) -> &[String] {
        &self.waiter.channels
    }

    /// Waits for messages that were not returned before.
    pub async fn next(&mut self) -> Delivery {
        loop {
            if self.take_order().is_some() {
                return Delivery::Ended;
            }
            if let Some(bytes) = self.take_raw() {
                return Delivery::Raw(bytes);
            }
            let messages = self.take_messages();
            if !messages.is_empty() {
                return Delivery::Messages(messages);
            }
            self.woken().await;
        }
    }

    /// Waits until there may be messages, orders or another end time.
    pub async fn woken(&self) {
        self.waiter.notify.notified().await;
    }

    pub fn take_order(&self) -> Option<Order> {
        lock(&self.waiter.orders).pop_front()
    }

    pub fn take_raw(&self) -> Option<Vec<u8>> {
        self.server.take_raw_answer()
    }

    pub fn has_messages(&self) -> bool {
        !self.server.messages_after(&self.waiter.channels, &self.position).is_empty()
    }

    pub fn take_messages(&mut self) -> Vec<Message> {
        let messages = self.server.messages_after(&self.waiter.channels, &self.position);
        if let Some(last) = messages.last() {
            self.position = Position::Id(last.id);
        }
        messages
    }

    pub fn end(&self) -> Option<(Instant, CloseReason)> {
        lock(&self.waiter.end).clone()
    }

    pub fn mute(&self) {
        self.waiter.muted.store(true, Ordering::Release);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.server.unsubscribe(self.key);
    }
}
