//! What the listening thread does: carries out what [`super::machine`] says and rings the doorbell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::PushConfig;
use super::listener::{PollState, SETTLING, Shared};
use super::long_polling::{self, PollOutcome};
use super::machine::{Machine, MessageCounts, SocketEnd, Step};
use super::message::{Decoded, decode};
use super::websocket::{Received, Socket, SocketError};
use crate::error::{Error, Result};
use crate::lock;
use crate::log::Level;
use crate::secret::Secret;

/// How long a WebSocket that was replaced may take to hand out what it still has.
const DRAINING: Duration = Duration::from_secs(1);

impl Shared {
    /// Listens until the client is closed, or until something has to be mended before the first subscription.
    pub(super) fn listen(self: &Arc<Shared>) -> Error {
        let mut machine = Machine::new(self.limits);
        let mut socket = None;
        loop {
            if self.ctx.cancel.is_cancelled() {
                return Error::Closed;
            }
            let now = self.ctx.clock.now();
            let step = machine.next_step(now);
            if !machine.has_socket() {
                if let Some(mut unneeded) = socket.take() {
                    Socket::close(&mut unneeded);
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
                    if let Err(error) = self.configure(&mut machine, reopen) {
                        return error;
                    }
                }
                Step::Poll { url, gap } => self.poll(&mut machine, &url, gap),
                Step::OpenSocket { url, gap } => self.open(&mut machine, &mut socket, &url, gap),
                Step::EndSilentSocket => {
                    let text =
                        "nothing has come from the push server for push.idle_timeout_ms, not even an answer to a ping";
                    let ended = SocketError { end: SocketEnd::Silent, error: Error::Network(text.into()) };
                    self.lost(&mut machine, ended);
                }
                Step::Ping => {
                    machine.ping_sent();
                    self.with(&mut machine, &mut socket, |_, _, socket| socket.ping());
                }
                Step::Listen(until) => {
                    let wait = until.saturating_duration_since(now).min(self.doorbell.tick());
                    self.with(&mut machine, &mut socket, |shared, machine, socket| {
                        let received = socket.receive(wait)?;
                        shared.received(machine, socket, received)
                    });
                }
            }
        }
    }

    fn configure(&self, machine: &mut Machine, reopen: bool) -> Result<()> {
        self.ctx.stats.configurations.add(1);
        let config = PushConfig::get(&self.portal, reopen, self.allow_plain).and_then(|config| {
            if machine.requires_websocket() {
                config.require_websocket()?;
            }
            Ok(config)
        });
        let now = self.ctx.clock.now();
        let error = match config {
            Ok(config) => {
                self.log(Level::Debug, || format!("push server {}, version {}", config.origin(), config.version()));
                machine.configured(config, now, self.ctx.clock.random());
                return Ok(());
            }
            Err(Error::Closed) => return Err(Error::Closed),
            // Somebody waits in `connect` and can be told.
            Err(error) if !error.is_transient() && !lock(&self.link).waiting.is_empty() => return Err(error),
            Err(error) => error,
        };
        let stands = machine.config().is_some();
        let pause = machine.configuration_failed(now);
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

    fn poll(self: &Arc<Shared>, machine: &mut Machine, url: &Secret, gap: bool) {
        {
            let shared = self.clone();
            let mut state = lock(&self.poll.state);
            let on_sent: Box<dyn FnOnce() + Send> = Box::new(move || shared.subscribed());
            *state = PollState { gap, sent: None, on_sent: Some(on_sent) };
        }
        let answer = self.http.get(url.expose(), self.limits.idle_timeout);
        let sent = {
            let mut state = lock(&self.poll.state);
            state.on_sent = None;
            state.sent
        };
        let now = self.ctx.clock.now();
        match answer {
            Ok(answer) => {
                self.ctx.stats.polls.add(1);
                let polled = long_polling::read(&answer, self.portal.connector_id(), machine.recent());
                self.log(Level::Debug, || {
                    format!("poll answered: HTTP {}, {} bytes", answer.status, answer.body.len())
                });
                self.polled(machine, polled, sent.unwrap_or(now), now);
            }
            // The loop sees it.
            Err(Error::Closed) => {}
            Err(error) => {
                let pause = machine.poll_failed(sent, now);
                self.trouble(&error, pause);
            }
        }
    }

    fn polled(&self, machine: &mut Machine, polled: PollOutcome, sent: Instant, now: Instant) {
        let trouble = match &polled {
            PollOutcome::ChannelRefused => {
                Some("the push server does not accept the channel; a new configuration is read".to_owned())
            }
            PollOutcome::Unusable { text, .. } => Some(format!("the push server answered {text}")),
            _ => None,
        };
        let counts = machine.poll_answered(polled, sent, now, self.ctx.clock.random());
        if let Some(text) = trouble {
            let pause = match machine.next_step(now) {
                Step::Pause(until) => until.saturating_duration_since(now),
                _ => Duration::ZERO,
            };
            self.trouble(&Error::protocol(text), pause);
        }
        self.ring(&counts);
    }

    /// Opens a WebSocket and puts it in place of the one before.
    fn open(&self, machine: &mut Machine, socket: &mut Option<Socket>, url: &Secret, gap: bool) {
        let started = self.ctx.clock.now();
        let opened = Socket::open(&self.http, url, self.connect_timeout);
        let now = self.ctx.clock.now();
        match opened {
            Ok(new) => {
                self.ctx.stats.websockets.add(1);
                machine.socket_opened(now);
                if gap {
                    self.doorbell.check_within(SETTLING);
                }
                self.subscribed();
                if let Some(old) = socket.replace(new) {
                    self.drain(machine, old);
                }
            }
            Err(SocketError { error: Error::Closed, .. }) => {}
            Err(SocketError { end, error }) => {
                let pause = machine.socket_not_opened(end, started, now, self.ctx.clock.random());
                if machine.has_socket() {
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
    fn drain(&self, machine: &mut Machine, mut old: Socket) {
        old.close();
        let end = self.ctx.clock.now() + DRAINING;
        loop {
            let left = end.saturating_duration_since(self.ctx.clock.now());
            if left.is_zero() {
                return;
            }
            match old.receive(left) {
                Ok(Received::Text(text)) => {
                    let decoded = self.decode(machine, &text);
                    self.take(machine, decoded);
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// Does something with the socket, which may end it.
    fn with(
        &self,
        machine: &mut Machine,
        socket: &mut Option<Socket>,
        act: impl FnOnce(&Shared, &mut Machine, &mut Socket) -> Result<(), SocketError>,
    ) {
        let gone = || SocketError { end: SocketEnd::Broken, error: Error::Network("the WebSocket is gone".into()) };
        let outcome = socket.as_mut().ok_or_else(gone).and_then(|socket| act(self, machine, socket));
        if let Err(ended) = outcome {
            *socket = None;
            self.lost(machine, ended);
        }
    }

    fn received(&self, machine: &mut Machine, socket: &mut Socket, received: Received) -> Result<(), SocketError> {
        let text = match received {
            Received::Nothing => return Ok(()),
            Received::ControlFrame => String::new(),
            Received::Text(text) => text,
        };
        match text.as_str() {
            "" | "pong" => machine.socket_alive(self.ctx.clock.now()),
            "ping" => {
                machine.socket_alive(self.ctx.clock.now());
                socket.send(["pong".to_owned()])?;
            }
            text => {
                self.log(Level::Debug, || format!("frame received: {} bytes", text.len()));
                let decoded = self.decode(machine, text);
                let acknowledgements: Vec<String> =
                    decoded.to_acknowledge.iter().map(|mid| format!("mack:{mid}")).collect();
                self.take(machine, decoded);
                if !acknowledgements.is_empty() {
                    socket.send(acknowledgements)?;
                }
            }
        }
        Ok(())
    }

    fn decode(&self, machine: &mut Machine, text: &str) -> Decoded {
        let mut decoded = decode(text.as_bytes(), self.portal.connector_id(), machine.recent());
        if !decoded.is_json && decoded.events.is_empty() && decoded.repeated == 0 && decoded.malformed == 0 {
            decoded.malformed = 1;
        }
        decoded
    }

    fn take(&self, machine: &mut Machine, decoded: Decoded) {
        let counts = machine.messages_received(decoded, self.ctx.clock.now(), self.ctx.clock.random());
        if counts.malformed > 0 {
            // One of the unreadable ones may have been for us.
            self.doorbell.check_within(Duration::ZERO);
        }
        self.ring(&counts);
    }

    fn lost(&self, machine: &mut Machine, ended: SocketError) {
        // The loop sees it.
        if ended.error == Error::Closed {
            return;
        }
        let pause = machine.socket_ended(ended.end, self.ctx.clock.now(), self.ctx.clock.random());
        self.trouble(&ended.error, pause);
    }

    fn ring(&self, counts: &MessageCounts) {
        let stats = &self.ctx.stats;
        stats.messages.add(counts.messages);
        stats.signals.add(counts.signals);
        stats.malformed.add(counts.malformed);
        if counts.signals > 0 {
            self.doorbell.ring(counts.records);
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
