//! One subscriber: where it has got to and what wakes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use super::PushServer;
use super::message::{Message, Position};

/// The server's half: what it needs to find a subscriber and wake it.
pub struct Waiter {
    channels: Vec<String>,
    notify: Notify,
    ended: AtomicBool,
}

impl Waiter {
    pub fn new(channels: Vec<String>) -> Self {
        Self { channels, notify: Notify::new(), ended: AtomicBool::new(false) }
    }

    pub fn listens(&self, channel: &str) -> bool {
        self.channels.iter().any(|id| id == channel)
    }

    /// One permit is kept, so a wake between two looks is not lost.
    pub fn wake(&self) {
        self.notify.notify_one();
    }

    /// The connection is to break without an answer.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.wake();
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// What a subscriber gets.
#[derive(Debug)]
pub enum Delivery {
    Messages(Vec<Message>),
    /// Bytes a test wants to see in place of an answer.
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

    pub fn channels(&self) -> &[String] {
        &self.waiter.channels
    }

    /// Waits for the next messages; those of a call are not given again by the next one.
    pub async fn next(&mut self) -> Delivery {
        loop {
            if self.waiter.ended() {
                return Delivery::Ended;
            }
            if let Some(bytes) = self.server.take_raw_answer() {
                return Delivery::Raw(bytes);
            }
            let messages = self.server.messages_after(&self.waiter.channels, &self.position);
            if let Some(last) = messages.last() {
                self.position = Position::Id(last.id);
                return Delivery::Messages(messages);
            }
            self.waiter.notify.notified().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.server.unsubscribe(self.key);
    }
}
