//! What the listening thread does: carries out what [`super::connection`] says and rings the doorbell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::PushConfig;
use super::listener::{PollState, SETTLING, Shared};
use super::long_polling::{self, Polled};
use super::machine::{Connection, Lost, Signals, Step};
use super::message::{Decoded, decode};
use super::websocket::{Ended, Received, Socket};
use crate::error::{Error, Result};
use crate::lock;
use crate::log::Level;
use crate::secret::Secret;

/// How long a WebSocket that was replaced may take to hand out what it still has.
const DRAINING: Duration = Duration::from_secs(1);

impl Shared {
    /// Listens until the client is closed, or until something has to be mended before the first subscription.
    pub(super) fn listen(self: &Arc<Shared>) -> Error {
        let mut connection = Connection::new(self.limits);
        let mut socket = None;
        loop {
            if self.ctx.cancel.is_cancelled() {
                return Error::Closed;
            }
            let now = self.ctx.clock.now();
            let step = connection.next(now);
            if !connection.has_socket() {
                if let Some(mut unneeded) = socket.take() {
                    Socket::leave(&mut unneeded);
                }
            }
            match step {
                Step::Pause(until) => {
                    let pause = until.saturating_duration_since(now).min(self.doorbell.tick());
                    if self.ctx.cancel.sleep(pause).is_err() {
                        return Error::Closed;
                    }
                }
                Step::Configure { reopen } => {
                    if let Err(error) = self.configure(&mut connection, reopen) {
                        return error;
                    }
                }
                Step::Poll { url, gap } => self.poll(&mut connection, &url, gap),
                Step::Open { url, gap } => self.open(&mut connection, &mut socket, &url, gap),
                Step::Dead => {
                    let text =
                        "nothing has come from the push server for push.idle_timeout_ms, not even an answer to a ping";
                    let ended = Ended { lost: Lost::Silent, error: Error::Network(text.into()) };
                    self.lost(&mut connection, ended);
                }
                Step::Ping => {
                    connection.pinged();
                    self.with(&mut connection, &mut socket, |_, _, socket| socket.ping());
                }
                Step::Listen(until) => {
                    let wait = until.saturating_duration_since(now).min(self.doorbell.tick());
                    self.with(&mut connection, &mut socket, |shared, connection, socket| {
                        let received = socket.receive(wait)?;
                        shared.received(connection, socket, received)
                    });
                }
            }
        }
    }

    fn configure(&self, connection: &mut Connection, reopen: bool) -> Result<()> {
        self.ctx.stats.configurations.add(1);
        let config = PushConfig::get(&self.portal, reopen, self.allow_plain).and_then(|config| {
            if connection.needs_websocket() {
                config.websocket()?;
            }
            Ok(config)
        });
        let now = self.ctx.clock.now();
        let error = match config {
            Ok(config) => {
                self.log(Level::Debug, || format!("push server {}, version {}", config.host(), config.version()));
                connection.configured(config, now, self.ctx.clock.random());
                return Ok(());
            }
            Err(Error::Closed) => return Err(Error::Closed),
            // Somebody waits in `connect` and can be told.
            Err(error) if !error.is_transient() && !lock(&self.link).waiting.is_empty() => return Err(error),
            Err(error) => error,
        };
        let stands = connection.config().is_some();
        let pause = connection.not_configured(now);
        if stands {
            self.log(Level::Warning, || {
                format!("the subscription could not be renewed, next attempt in {} ms: {error}", pause.as_millis())
            });
        } else {
            self.trouble(&error, pause);
        }
        // Once it ran, it is tried further: an administrator may mend it. The waiting host is told.
        if !error.is_transient() {
            self.doorbell.report(error);
        }
        Ok(())
    }

    fn poll(self: &Arc<Shared>, connection: &mut Connection, url: &Secret, gap: bool) {
        {
            let shared = self.clone();
            let mut state = lock(&self.poll.state);
            let on_sent: Box<dyn FnOnce() + Send> = Box::new(move || shared.subscribed());
            *state = PollState { gap, sent: None, on_sent: Some(on_sent) };
        }
        let answer = self.http.get(url.expose(), self.limits.idle);
        let sent = {
            let mut state = lock(&self.poll.state);
            state.on_sent = None;
            state.sent
        };
        let now = self.ctx.clock.now();
        match answer {
            Ok(answer) => {
                self.ctx.stats.polls.add(1);
                let polled = long_polling::read(&answer, self.portal.connector_id(), connection.recent());
                self.log(Level::Debug, || {
                    format!("poll answered: HTTP {}, {} bytes", answer.status, answer.body.len())
                });
                self.polled(connection, polled, sent.unwrap_or(now), now);
            }
            // The loop sees it.
            Err(Error::Closed) => {}
            Err(error) => {
                let pause = connection.broken(sent, now);
                self.trouble(&error, pause);
            }
        }
    }

    fn polled(&self, connection: &mut Connection, polled: Polled, sent: Instant, now: Instant) {
        let trouble = match &polled {
            Polled::ChannelRefused => {
                Some("the push server does not accept the channel; a new configuration is read".to_owned())
            }
            Polled::Unusable { text, .. } => Some(format!("the push server answered {text}")),
            _ => None,
        };
        let signals = connection.polled(polled, sent, now, self.ctx.clock.random());
        if let Some(text) = trouble {
            let pause = match connection.next(now) {
                Step::Pause(until) => until.saturating_duration_since(now),
                _ => Duration::ZERO,
            };
            self.trouble(&Error::protocol(text), pause);
        }
        self.ring(&signals);
    }

    /// Opens a WebSocket and puts it in place of the one before.
    fn open(&self, connection: &mut Connection, socket: &mut Option<Socket>, url: &Secret, gap: bool) {
        let started = self.ctx.clock.now();
        let opened = Socket::open(&self.http, url, self.connect_timeout);
        let now = self.ctx.clock.now();
        match opened {
            Ok(new) => {
                self.ctx.stats.websockets.add(1);
                connection.opened(now);
                if gap {
                    self.doorbell.check_within(SETTLING);
                }
                self.subscribed();
                if let Some(old) = socket.replace(new) {
                    self.drain(connection, old);
                }
            }
            Err(Ended { error: Error::Closed, .. }) => {}
            Err(Ended { lost, error }) => {
                let pause = connection.not_opened(lost, started, now, self.ctx.clock.random());
                if connection.has_socket() {
                    self.log(Level::Warning, || {
                        format!("the new WebSocket was not opened, the old one goes on: {error}")
                    });
                } else {
                    self.trouble(&error, pause);
                }
            }
        }
    }

    /// Takes what the server had sent into the old subscription before it hears that it is not needed any more.
    fn drain(&self, connection: &mut Connection, mut old: Socket) {
        old.leave();
        let end = self.ctx.clock.now() + DRAINING;
        loop {
            let left = end.saturating_duration_since(self.ctx.clock.now());
            if left.is_zero() {
                return;
            }
            match old.receive(left) {
                Ok(Received::Text(text)) => {
                    let decoded = self.decode(connection, &text);
                    self.take(connection, decoded);
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// Does something with the socket, which may end it.
    fn with(
        &self,
        connection: &mut Connection,
        socket: &mut Option<Socket>,
        act: impl FnOnce(&Shared, &mut Connection, &mut Socket) -> Result<(), Ended>,
    ) {
        let gone = || Ended { lost: Lost::Broken, error: Error::Network("the WebSocket is gone".into()) };
        let outcome = socket.as_mut().ok_or_else(gone).and_then(|socket| act(self, connection, socket));
        if let Err(ended) = outcome {
            *socket = None;
            self.lost(connection, ended);
        }
    }

    fn received(&self, connection: &mut Connection, socket: &mut Socket, received: Received) -> Result<(), Ended> {
        let text = match received {
            Received::Nothing => return Ok(()),
            Received::Alive => String::new(),
            Received::Text(text) => text,
        };
        match text.as_str() {
            "" | "pong" => connection.heard(self.ctx.clock.now()),
            "ping" => {
                connection.heard(self.ctx.clock.now());
                socket.send(["pong".to_owned()])?;
            }
            text => {
                self.log(Level::Debug, || format!("frame received: {} bytes", text.len()));
                let decoded = self.decode(connection, text);
                let acknowledgements: Vec<String> =
                    decoded.to_acknowledge.iter().map(|mid| format!("mack:{mid}")).collect();
                self.take(connection, decoded);
                if !acknowledgements.is_empty() {
                    socket.send(acknowledgements)?;
                }
            }
        }
        Ok(())
    }

    fn decode(&self, connection: &mut Connection, text: &str) -> Decoded {
        let mut decoded = decode(text.as_bytes(), self.portal.connector_id(), connection.recent());
        if !decoded.is_json && decoded.meanings.is_empty() && decoded.repeated == 0 && decoded.malformed == 0 {
            decoded.malformed = 1;
        }
        decoded
    }

    fn take(&self, connection: &mut Connection, decoded: Decoded) {
        let signals = connection.received(decoded, self.ctx.clock.now(), self.ctx.clock.random());
        if signals.malformed > 0 {
            // One of the unreadable ones may have been for us.
            self.doorbell.check_within(Duration::ZERO);
        }
        self.ring(&signals);
    }

    fn lost(&self, connection: &mut Connection, ended: Ended) {
        // The loop sees it.
        if ended.error == Error::Closed {
            return;
        }
        let pause = connection.lost(ended.lost, self.ctx.clock.now(), self.ctx.clock.random());
        self.trouble(&ended.error, pause);
    }

    fn ring(&self, signals: &Signals) {
        let stats = &self.ctx.stats;
        stats.messages.add(signals.messages);
        stats.signals.add(signals.signals);
        stats.malformed.add(signals.malformed);
        if signals.signals > 0 {
            self.doorbell.ring(signals.records);
        }
    }

    /// The subscription is on its way or stands: from here on the server tells us.
    fn subscribed(&self) {
        let (news, waiting) = {
            let mut link = lock(&self.link);
            let news = !std::mem::replace(&mut link.subscribed, true);
            link.was_subscribed = true;
            link.last_error = None;
            (news, std::mem::take(&mut link.waiting))
        };
        // Not under the lock: the host may ask for the client's state while it is told.
        if news {
            self.log(Level::Info, || "subscribed to the push server".into());
        }
        for waiter in waiting {
            let _ = waiter.send(Ok(()));
        }
    }

    fn trouble(&self, error: &Error, pause: Duration) {
        self.ctx.stats.failures.add(1);
        let mut link = lock(&self.link);
        link.subscribed = false;
        link.last_error = Some(error.clone());
        drop(link);
        self.log(Level::Warning, || format!("no subscription, next attempt in {} ms: {error}", pause.as_millis()));
    }

    fn log(&self, level: Level, text: impl FnOnce() -> String) {
        self.ctx.log.write(level, text);
    }
}
