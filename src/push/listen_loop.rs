//! What the listening thread does: carries out the steps of the [`Machine`] and rings the doorbell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::PushConfig;
use super::long_polling::{self, PollOutcome};
use super::machine::{Machine, MachineSettings, MessageCounts, SocketEnd, Step};
use super::message::{Decoded, decode};
use super::poll_observer::{CHECK_DELAY, PollObserver};
use super::schedule::Load;
use super::status::ListenerStatus;
use super::websocket::{Received, Socket, SocketError};
use crate::clock::Deadline;
use crate::config::PlainHttp;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::log::Level;
use crate::net::http::Http;
use crate::notify::Doorbell;
use crate::portal::Portal;
use crate::secret::Secret;

/// How long a WebSocket that was replaced may take to deliver what the server had already sent.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Nobody has to be told of a pause of this length.
const MAX_SHORT_PAUSE: Duration = Duration::from_secs(1);

/// What the loop works with. All runs of one client share it.
pub struct Resources {
    /// Knows the configuration of the push server.
    pub portal: Arc<Portal>,
    /// Sends polls and opens connections for WebSockets.
    pub http: Http,
    /// Rings when the queue may have grown.
    pub doorbell: Arc<Doorbell>,
    /// Observes the polls of `http`.
    pub observer: Arc<PollObserver>,
    /// Learns whether a subscription is active.
    pub status: Arc<ListenerStatus>,
    /// The settings of the state machine.
    pub settings: MachineSettings,
    /// How long opening a WebSocket may take.
    pub connect_timeout: Duration,
    /// Which push servers may be reached without TLS.
    pub plain_http: PlainHttp,
    /// The client's context.
    pub ctx: Context,
}

/// One run of the listening thread.
pub struct ListenLoop {
    resources: Arc<Resources>,
    machine: Machine,
    socket: Option<Socket>,
}

impl ListenLoop {
    /// A loop that has not started.
    pub fn new(resources: Arc<Resources>) -> ListenLoop {
        let machine = Machine::new(resources.settings);
        ListenLoop { resources, machine, socket: None }
    }

    /// Listens until the client is closed, or until a caller of `connect` has to learn of an error that will persist.
    pub fn run(mut self) -> Error {
        loop {
            if self.ctx().cancel.is_cancelled() {
                return Error::Closed;
            }
            let now = self.now();
            let step = self.machine.next_step(now);
            if !self.machine.has_socket() {
                if let Some(mut unused) = self.socket.take() {
                    unused.close();
                }
            }
            match step {
                Step::Pause(until) => {
                    let pause = until.saturating_duration_since(now).min(self.resources.doorbell.tick());
                    if self.ctx().cancel.sleep(pause).is_err() {
                        return Error::Closed;
                    }
                }
                Step::Configure { reopen } => {
                    if let Err(error) = self.configure(reopen) {
                        return error;
                    }
                }
                Step::Poll { url, gap } => self.poll(&url, gap),
                Step::OpenSocket { url, gap } => self.open_socket(&url, gap),
                Step::EndSilentSocket => {
                    let text = "the push server has sent nothing for push.idle_timeout_ms, not even the answer to a \
                                ping; the client reconnects";
                    self.socket_ended(SocketError { end: SocketEnd::Silent, error: Error::Network(text.into()) });
                }
                Step::Ping => self.ping(),
                Step::Listen(until) => {
                    let wait = until.saturating_duration_since(now).min(self.resources.doorbell.tick());
                    self.receive(wait);
                }
            }
        }
    }

    fn configure(&mut self, reopen: bool) -> Result<()> {
        self.ctx().stats.configurations.add(1);
        let config = PushConfig::get(&self.resources.portal, reopen, self.resources.plain_http).and_then(|config| {
            if self.machine.requires_websocket() {
                config.require_websocket()?;
            }
            Ok(config)
        });
        let now = self.now();
        let error = match config {
            Ok(config) => {
                self.log(Level::Debug, || format!("push server {}, version {}", config.origin(), config.version()));
                let random = self.random();
                self.machine.configured(config, now, random);
                return Ok(());
            }
            Err(Error::Closed) => return Err(Error::Closed),
            // A caller waits in `connect` and receives the error.
            Err(error) if !error.is_transient() && self.resources.status.has_waiters() => return Err(error),
            Err(error) => error,
        };
        let has_channels = self.machine.config().is_some();
        let random = self.random();
        let pause = self.machine.configuration_failed(load(&error), now, random).max(error.min_pause());
        self.machine.configure_not_before(now + error.min_pause());
        if has_channels {
            let level = if error.is_transient() { Level::Warning } else { Level::Error };
            self.log(level, || {
                format!("cannot renew the subscription, next attempt in {} ms: {error}", pause.as_millis())
            });
        } else {
            self.resources.status.not_subscribed(&error, pause);
        }
        // Nobody waits in `connect`. The loop keeps trying, and the doorbell reports the error so that it gets fixed.
        if !error.is_transient() {
            self.resources.doorbell.report(error);
        }
        Ok(())
    }

    fn poll(&mut self, url: &Secret, gap: bool) {
        self.resources.observer.begin(gap);
        let answer = self.resources.http.get(url.expose(), self.resources.settings.idle_timeout);
        let sent_at = self.resources.observer.end();
        let now = self.now();
        match answer {
            Ok(answer) => {
                self.ctx().stats.polls.add(1);
                let connector_id = self.resources.portal.connector_id();
                let outcome = long_polling::read(&answer, connector_id, self.machine.recent());
                self.log(Level::Debug, || {
                    format!("poll answered: HTTP {}, {} bytes", answer.status, answer.body.len())
                });
                self.poll_answered(outcome, sent_at.unwrap_or(now), now);
            }
            // `run` ends the loop.
            Err(Error::Closed) => {}
            Err(error) => {
                let random = self.random();
                let pause = self.machine.poll_failed(load(&error), sent_at, now, random);
                self.resources.status.not_subscribed(&error, pause);
            }
        }
    }

    fn poll_answered(&mut self, outcome: PollOutcome, sent_at: Instant, now: Instant) {
        let failure = match &outcome {
            PollOutcome::ChannelRefused => {
                Some("the push server does not accept the channel; the client gets a new one".to_owned())
            }
            PollOutcome::Unusable { text, .. } => Some(format!(
                "the push server answered with {text}; if this persists, check whether a proxy answers in its place"
            )),
            _ => None,
        };
        let is_repetition =
            matches!(&outcome, PollOutcome::Messages { events, is_news: false, .. } if events.is_empty());
        let random = self.random();
        let counts = self.machine.poll_answered(outcome, sent_at, now, random);
        let pause = match self.machine.next_step(now) {
            Step::Pause(until) => until.saturating_duration_since(now),
            _ => Duration::ZERO,
        };
        // After a reconnection a message may come once more; the next poll follows almost at once.
        let repetition = (is_repetition && pause > MAX_SHORT_PAUSE).then(|| {
            "the push server repeats its last message instead of waiting for the next one; if this persists, check \
             whether a proxy answers in its place"
                .to_owned()
        });
        if let Some(text) = failure.or(repetition) {
            self.resources.status.not_subscribed(&Error::protocol(text), pause);
        }
        self.ring(&counts);
    }

    /// Opens a WebSocket in place of the current one, if any.
    fn open_socket(&mut self, url: &Secret, gap: bool) {
        let started = self.now();
        let opened = Socket::open(&self.resources.http, url, self.resources.connect_timeout);
        let now = self.now();
        match opened {
            Ok(socket) => {
                self.ctx().stats.websockets.add(1);
                self.machine.socket_opened(now);
                if gap {
                    self.resources.doorbell.check_within(CHECK_DELAY);
                }
                self.resources.status.subscribed();
                if let Some(replaced) = self.socket.replace(socket) {
                    self.drain(replaced);
                }
            }
            // `run` ends the loop.
            Err(SocketError { error: Error::Closed, .. }) => {}
            Err(SocketError { end, error }) => {
                let random = self.random();
                let pause = self.machine.socket_not_opened(end, started, now, random);
                if self.machine.has_socket() {
                    self.log(Level::Warning, || {
                        format!("cannot open the new WebSocket, the old one stays in use: {error}")
                    });
                } else {
                    self.resources.status.not_subscribed(&error, pause);
                }
            }
        }
    }

    /// Closes a WebSocket that was replaced, and receives what the server had already sent.
    fn drain(&mut self, mut replaced: Socket) {
        replaced.close();
        let deadline = Deadline::after(DRAIN_TIMEOUT, self.now());
        loop {
            let left = deadline.left(self.now());
            if left.is_zero() {
                return;
            }
            match replaced.receive(left) {
                Ok(Received::Text(text)) => {
                    let decoded = self.decode(&text);
                    self.messages_received(decoded);
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn ping(&mut self) {
        self.machine.ping_sent();
        let sent = self.socket().and_then(Socket::ping);
        self.check_socket(sent);
    }

    fn receive(&mut self, wait: Duration) {
        let received = self.socket().and_then(|socket| socket.receive(wait));
        let handled = received.and_then(|received| self.received(received));
        self.check_socket(handled);
    }

    fn received(&mut self, received: Received) -> Result<(), SocketError> {
        let text = match received {
            Received::Nothing => return Ok(()),
            Received::ControlFrame => String::new(),
            Received::Text(text) => text,
        };
        let now = self.now();
        match text.as_str() {
            "" | "pong" => self.machine.socket_alive(now),
            "ping" => {
                self.machine.socket_alive(now);
                self.socket()?.send(["pong".to_owned()])?;
            }
            text => {
                self.log(Level::Debug, || format!("frame received: {} bytes", text.len()));
                let decoded = self.decode(text);
                let acknowledgements: Vec<String> =
                    decoded.to_acknowledge.iter().map(|mid| format!("mack:{mid}")).collect();
                self.messages_received(decoded);
                if !acknowledgements.is_empty() {
                    self.socket()?.send(acknowledgements)?;
                }
            }
        }
        Ok(())
    }

    /// The WebSocket in use. The machine asks for steps that need one only while there is one.
    fn socket(&mut self) -> Result<&mut Socket, SocketError> {
        self.socket.as_mut().ok_or_else(|| SocketError {
            end: SocketEnd::Broken,
            error: Error::Network("the WebSocket has already ended".into()),
        })
    }

    /// Ends the WebSocket if something failed.
    fn check_socket(&mut self, outcome: Result<(), SocketError>) {
        if let Err(error) = outcome {
            self.socket = None;
            self.socket_ended(error);
        }
    }

    fn socket_ended(&mut self, SocketError { end, error }: SocketError) {
        // `run` ends the loop.
        if error == Error::Closed {
            return;
        }
        let (now, random) = (self.now(), self.random());
        let pause = self.machine.socket_ended(end, now, random);
        self.resources.status.not_subscribed(&error, pause);
    }

    fn decode(&mut self, text: &str) -> Decoded {
        let mut decoded = decode(text.as_bytes(), self.resources.portal.connector_id(), self.machine.recent());
        if !decoded.is_json && decoded.events.is_empty() && decoded.repeated == 0 && decoded.malformed == 0 {
            decoded.malformed = 1;
        }
        decoded
    }

    fn messages_received(&mut self, decoded: Decoded) {
        let (now, random) = (self.now(), self.random());
        let counts = self.machine.messages_received(decoded, now, random);
        if counts.malformed > 0 {
            // One of the unreadable envelopes may have been a signal for us.
            self.resources.doorbell.check_within(Duration::ZERO);
        }
        self.ring(&counts);
    }

    fn ring(&self, counts: &MessageCounts) {
        let stats = &self.ctx().stats;
        stats.messages.add(counts.messages);
        stats.signals.add(counts.signals);
        stats.malformed.add(counts.malformed);
        if counts.signals > 0 {
            self.resources.doorbell.ring(counts.records);
        }
    }

    fn ctx(&self) -> &Context {
        &self.resources.ctx
    }

    fn now(&self) -> Instant {
        self.ctx().clock.now()
    }

    fn random(&self) -> u64 {
        self.ctx().clock.random()
    }

    fn log(&self, level: Level, text: impl FnOnce() -> String) {
        self.ctx().log.write(level, text);
    }
}

/// Whether the failed attempt was a load for the server.
fn load(error: &Error) -> Load {
    if matches!(error, Error::Unreachable(_)) { Load::Unreached } else { Load::Reached }
}
