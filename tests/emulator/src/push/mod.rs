//! The push server: channels, the messages kept in them, and who is waiting for the next one.

pub mod channel;
pub mod long_polling;
pub mod message;
pub mod subscription;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::random;
use crate::sync::lock;
use crate::time;
use channel::Signer;
use message::{Message, Position};
use subscription::{Subscription, Waiter};

/// Messages kept in a channel for subscribers that were away.
const KEPT_MESSAGES: usize = 1000;

/// What the server is and does not change while it runs.
pub struct Settings {
    /// 1 to 5: `server.version` of the configuration.
    pub version: u32,
    /// With a shared server the subscriptions must name the portal.
    pub client_id: Option<String>,
    pub hold: std::time::Duration,
    /// `extra.server_name` of the messages.
    pub server_name: String,
}

pub struct PushServer {
    pub settings: Settings,
    signer: Signer,
    state: Mutex<State>,
}

struct State {
    running: bool,
    channels: HashMap<String, Channel>,
    waiters: BTreeMap<u64, Arc<Waiter>>,
    raw_answers: VecDeque<Vec<u8>>,
    last_waiter: u64,
    last_message: u64,
    last_time: i64,
    /// Counts the messages of one second: `tag` of versions 1 and 2.
    tag_in_second: u64,
    published: u64,
}

#[derive(Default)]
struct Channel {
    kept: VecDeque<Message>,
    /// Refused to new subscribers; those that wait still get what was published before.
    closed: bool,
}

/// Why a subscription was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    NoChannel,
    WrongChannel,
    /// The server is down: the connection is closed without an answer.
    Stopped,
}

impl PushServer {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            signer: Signer::new(random::hex(32).as_bytes()),
            state: Mutex::new(State {
                running: true,
                channels: HashMap::new(),
                waiters: BTreeMap::new(),
                raw_answers: VecDeque::new(),
                last_waiter: 0,
                last_message: 0,
                last_time: 0,
                tag_in_second: 0,
                published: 0,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A new channel; the answer is its bare id, which `signed` turns into what subscribers send.
    pub fn open_channel(&self) -> String {
        let id = random::hex(32);
        self.state().channels.insert(id.clone(), Channel::default());
        id
    }

    /// Refuses the channel from now on. Polls held on it end as they would with nothing published.
    pub fn close_channel(&self, id: &str) {
        if let Some(channel) = self.state().channels.get_mut(id) {
            channel.closed = true;
        }
    }

    /// Versions 1 and 2 are nginx, which knows no signatures.
    pub fn signed(&self, id: &str) -> String {
        if self.settings.version < 3 { id.to_owned() } else { self.signer.signed(id) }
    }

    /// The private channel of version 4 and up carries its public id.
    pub fn signed_private(&self, id: &str, public_id: &str) -> String {
        if self.settings.version < 4 { self.signed(id) } else { self.signer.signed(&format!("{id}:{public_id}")) }
    }

    pub fn signed_public(&self, public_id: &str) -> String {
        self.signer.signed_public(public_id)
    }

    /// Puts a message into a channel and hands it to everyone who waits. A stopped server loses it.
    pub fn publish(&self, channel: &str, module_id: &str, command: &str, params: &Value) {
        let now = time::now();
        let unix = time::seconds(now);
        let text = json!({
            "module_id": module_id,
            "command": command,
            "params": params,
            "extra": {
                "server_time": time::iso(unix),
                "server_time_unix": (now.as_secs_f64() * 100.0).round() / 100.0,
                "server_name": self.settings.server_name,
                "revision_web": 19,
                "revision_mobile": 3,
            },
        });
        self.publish_text(channel, unix, text.to_string());
    }

    fn publish_text(&self, channel: &str, unix: i64, text: String) {
        let mut state = self.state();
        if !state.running || !state.is_open(channel) {
            return;
        }
        let message = state.number(channel, unix, text);
        state.published += 1;
        if let Some(Channel { kept, .. }) = state.channels.get_mut(channel) {
            if kept.len() == KEPT_MESSAGES {
                kept.pop_front();
            }
            kept.push_back(message);
        }
        for waiter in state.waiters.values().filter(|waiter| waiter.listens(channel)) {
            waiter.wake();
        }
    }

    /// The body of the next answer, whoever gets it.
    pub fn publish_raw(&self, bytes: Vec<u8>) {
        let mut state = self.state();
        state.raw_answers.push_back(bytes);
        for waiter in state.waiters.values() {
            waiter.wake();
        }
    }

    /// Ends every subscription without an answer.
    pub fn drop_connections(&self) {
        self.state().end_all();
    }

    pub fn stop(&self) {
        let mut state = self.state();
        state.running = false;
        state.end_all();
    }

    pub fn start(&self) {
        self.state().running = true;
    }

    /// A crash and a new start: connections and kept messages are gone, the channels are known from their signatures.
    pub fn restart(&self) {
        let mut state = self.state();
        state.running = true;
        state.channels.values_mut().for_each(|channel| channel.kept.clear());
        state.end_all();
    }

    /// Subscriptions open now.
    pub fn open_subscriptions(&self) -> u64 {
        self.state().waiters.len() as u64
    }

    pub fn published(&self) -> u64 {
        self.state().published
    }

    /// Checks the channels and starts to listen: what is published from here on is not missed.
    pub fn subscribe(
        self: &Arc<Self>,
        channel_ids: &str,
        client_id: Option<&str>,
        position: Option<Position>,
    ) -> Result<Subscription, Refusal> {
        let mut state = self.state();
        if !state.running {
            return Err(Refusal::Stopped);
        }
        if channel_ids.is_empty() {
            return Err(Refusal::NoChannel);
        }
        // A shared server finds the key of the signature by the client id, so a wrong one is a wrong signature.
        if self.settings.client_id.is_some() && self.settings.client_id.as_deref() != client_id {
            return Err(Refusal::WrongChannel);
        }
        let mut channels = Vec::new();
        for signed in channel_ids.split('/') {
            let id = if self.settings.version < 3 { Some(signed) } else { self.signer.verify(signed) };
            match id {
                Some(id) if state.is_open(id) => channels.push(id.to_owned()),
                _ => return Err(Refusal::WrongChannel),
            }
        }
        let from = position.unwrap_or_else(|| state.end_position());
        state.last_waiter += 1;
        let key = state.last_waiter;
        let waiter = Arc::new(Waiter::new(channels));
        state.waiters.insert(key, Arc::clone(&waiter));
        drop(state);
        Ok(Subscription::new(Arc::clone(self), key, waiter, from))
    }

    /// `mid` of the newest message kept in any of the channels.
    pub fn last_mid(&self, channels: &[String]) -> Option<String> {
        let state = self.state();
        let newest = channels.iter().filter_map(|id| state.channels.get(id)?.kept.back());
        newest.max_by_key(|message| message.id).map(|message| message.mid.clone())
    }

    fn take_raw_answer(&self) -> Option<Vec<u8>> {
        self.state().raw_answers.pop_front()
    }

    fn messages_after(&self, channels: &[String], position: &Position) -> Vec<Message> {
        let state = self.state();
        let mut found = Vec::new();
        for Channel { kept, .. } in channels.iter().filter_map(|id| state.channels.get(id)) {
            let from = kept.partition_point(|message| !position.is_before(message));
            found.extend(kept.range(from..).cloned());
        }
        found.sort_unstable_by_key(|message| message.id);
        found
    }

    fn unsubscribe(&self, key: u64) {
        self.state().waiters.remove(&key);
    }
}

impl State {
    fn is_open(&self, channel: &str) -> bool {
        self.channels.get(channel).is_some_and(|channel| !channel.closed)
    }

    fn number(&mut self, channel: &str, unix: i64, text: String) -> Message {
        // A clock that steps back must not put a message before one that was already served.
        let unix = unix.max(self.last_time);
        self.tag_in_second = if unix == self.last_time { self.tag_in_second + 1 } else { 1 };
        self.last_time = unix;
        self.last_message += 1;
        Message::new(self.last_message, self.tag_in_second, unix, channel, text)
    }

    /// The place after everything published so far.
    fn end_position(&self) -> Position {
        Position::Id(self.last_message)
    }

    fn end_all(&self) {
        for waiter in self.waiters.values() {
            waiter.end();
        }
    }
}
