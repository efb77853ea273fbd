//! The push server: channels, their messages, and the subscribers that wait for them.

mod admission;
mod channel;
mod conversation;
mod format;
mod json_rpc;
pub mod long_polling;
pub mod message;
mod protobuf;
mod query;
pub mod subscription;
mod token;
pub mod websocket;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::php::value::{Value, json};
use hyper::StatusCode;

use crate::random;
use crate::sync::lock;
use crate::time;
use channel::Signer;
use message::{Message, Position};
use subscription::{CloseReason, Order, Waiter};
use token::TokenSigner;

/// How many messages a channel stores for subscribers that were away.
const MAX_MESSAGES: usize = 1000;

/// How the server behaves. Does not change while it runs.
pub struct Settings {
    /// 1 to 5: `server.version` of the configuration.
    pub version: u32,
    /// On a shared server subscriptions must name the portal.
    pub client_id: Option<String>,
    pub hold: Duration,
    /// Whether WebSockets are offered.
    pub websocket: bool,
    /// Between two pings of a WebSocket; zero for none.
    pub ping_interval: Duration,
    /// How long messages gather before they are sent together in one frame.
    pub gather: Duration,
    /// How long a WebSocket stays open after its channel has expired, for the client to move.
    pub grace: Duration,
    /// `extra.server_name` of the messages.
    pub server_name: String,
}

pub struct PushServer {
    pub settings: Settings,
    signer: Signer,
    token_signer: TokenSigner,
    pub traffic: Traffic,
    state: Mutex<State>,
}

/// What went over WebSockets.
#[derive(Default)]
pub struct Traffic {
    /// Upgraded connections, those closed at once for their channel included.
    pub accepted: AtomicU64,
    /// Frames with messages.
    pub frames: AtomicU64,
    /// Messages confirmed with `mack:`.
    pub macks: AtomicU64,
    /// Answers to pings, frames or texts.
    pub pongs: AtomicU64,
    /// Pings of clients, frames or texts.
    pub pings: AtomicU64,
}

struct State {
    running: bool,
    /// What upgrades are refused with.
    upgrade_refusal: Option<StatusCode>,
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
    messages: VecDeque<Message>,
    /// New subscribers are refused. Those that wait still receive what was published before.
    closed: bool,
}

impl PushServer {
    pub fn new(settings: Settings) -> Self {
        let key = random::hex(32);
        Self {
            settings,
            signer: Signer::new(key.as_bytes()),
            token_signer: TokenSigner::new(key.as_bytes()),
            traffic: Traffic::default(),
            state: Mutex::new(State {
                running: true,
                upgrade_refusal: None,
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

    /// Opens a channel. Returns its bare id, which `signed` turns into what subscribers send.
    pub fn open_channel(&self) -> String {
        let id = random::hex(32);
        self.state().channels.insert(id.clone(), Channel::default());
        id
    }

    /// Refuses the channel from now on. Polls that wait on it end as without messages. WebSockets are closed, with
    /// `grace` after the grace period.
    pub fn close_channel(&self, id: &str, grace: bool) {
        let mut state = self.state();
        if let Some(channel) = state.channels.get_mut(id) {
            channel.closed = true;
        }
        let end = if grace { time::end_of(self.settings.grace) } else { Instant::now() };
        for waiter in state.waiters.values().filter(|waiter| waiter.listens(id)) {
            waiter.end_by(end, CloseReason::new(websocket::CHANNEL_EXPIRED, "channel expired"));
        }
    }

    /// Puts a message into a channel and wakes its subscribers. A stopped server loses it.
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
        if let Some(Channel { messages, .. }) = state.channels.get_mut(channel) {
            if messages.len() == MAX_MESSAGES {
                messages.pop_front();
            }
            messages.push_back(message);
        }
        for waiter in state.waiters.values().filter(|waiter| waiter.listens(channel)) {
            waiter.wake();
        }
    }

    /// The body of the next answer, or the next text frame, for any subscriber.
    pub fn publish_raw(&self, bytes: Vec<u8>) {
        let mut state = self.state();
        state.raw_answers.push_back(bytes);
        for waiter in state.waiters.values() {
            waiter.wake();
        }
    }

    /// Ends every subscription without an answer and without a close frame.
    pub fn drop_connections(&self) {
        self.state().order_all(&Order::Drop);
    }

    pub fn stop(&self) {
        let mut state = self.state();
        state.running = false;
        state.order_all(&going_away());
    }

    pub fn start(&self) {
        self.state().running = true;
    }

    /// A crash and a restart: connections and messages are lost; channels remain, as their signatures prove them.
    pub fn restart(&self) {
        let mut state = self.state();
        state.running = true;
        state.channels.values_mut().for_each(|channel| channel.messages.clear());
        state.order_all(&going_away());
    }

    /// Orders all WebSockets to do something.
    pub fn order_websockets(&self, order: &Order) {
        for waiter in self.state().waiters.values().filter(|waiter| waiter.is_websocket()) {
            waiter.order(order.clone());
        }
    }

    pub fn refuse_upgrades(&self, status: Option<StatusCode>) {
        self.state().upgrade_refusal = status;
    }

    pub fn upgrade_refusal(&self) -> Option<StatusCode> {
        self.state().upgrade_refusal
    }

    /// Subscriptions open now.
    pub fn open_subscriptions(&self) -> u64 {
        self.count(|waiter| waiter.is_open())
    }

    pub fn open_websockets(&self) -> u64 {
        self.count(|waiter| waiter.is_open() && waiter.is_websocket())
    }

    fn count(&self, which: impl Fn(&Waiter) -> bool) -> u64 {
        self.state().waiters.values().filter(|waiter| which(waiter)).count() as u64
    }

    pub fn published(&self) -> u64 {
        self.state().published
    }

    /// `mid` of the newest message in any of the channels.
    pub fn last_mid(&self, channels: &[String]) -> Option<String> {
        let state = self.state();
        let newest = channels.iter().filter_map(|id| state.channels.get(id)?.messages.back());
        newest.max_by_key(|message| message.id).map(|message| message.mid.clone())
    }

    fn take_raw_answer(&self) -> Option<Vec<u8>> {
        self.state().raw_answers.pop_front()
    }

    fn messages_after(&self, channels: &[String], position: &Position) -> Vec<Message> {
        let state = self.state();
        let mut found = Vec::new();
        for Channel { messages, .. } in channels.iter().filter_map(|id| state.channels.get(id)) {
            let from = messages.partition_point(|message| !position.is_before(message));
            found.extend(messages.range(from..).cloned());
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

    /// The position after everything published so far.
    fn end_position(&self) -> Position {
        Position::Id(self.last_message)
    }

    fn order_all(&self, order: &Order) {
        for waiter in self.waiters.values() {
            waiter.order(order.clone());
        }
    }
}

fn going_away() -> Order {
    Order::Close(CloseReason::new(websocket::GOING_AWAY, "server is going away"))
}
