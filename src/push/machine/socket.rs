//! The part of the state machine that deals with WebSockets.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::{Decoded, Load, Machine, MessageCounts, Position, Step, has_stood};
use crate::clock::random_seconds;
use crate::secret::Secret;

/// Bounds of the random pause after close code 4010, in seconds (docs/protocol.md §3.2).
const REFUSED_PAUSE_SECONDS: Range<u64> = 5..35;
/// If the first attempt takes this long to fail, long polling follows without a second one: a caller may be waiting in
/// `connect`.
const SLOW_ATTEMPT: Duration = Duration::from_secs(2);

/// The state of the WebSocket in use.
#[derive(Debug)]
pub(super) struct SocketState {
    /// The identity of the configuration it was opened with.
    pub(super) identity: Secret,
    opened_at: Instant,
    /// Whether anything has arrived, even if only the answer to a ping.
    is_alive: bool,
    last_received: Instant,
    /// When to send the next ping; `None` while an answer is awaited.
    ping_at: Option<Instant>,
}

impl SocketState {
    /// Whether it is a success. Behind a proxy that lets no frame through, a WebSocket stands as well.
    fn has_stood(&self, now: Instant) -> bool {
        self.is_alive && has_stood(self.opened_at, now)
    }

    /// What the socket needs now: a ping, or to be ended.
    pub(super) fn required_step(&self, idle_timeout: Duration, now: Instant) -> Option<Step> {
        if now >= self.last_received + idle_timeout {
            Some(Step::EndSilentSocket)
        } else {
            self.ping_at.filter(|at| now >= *at).map(|_| Step::Ping)
        }
    }

    /// When to call [`SocketState::required_step`] again.
    pub(super) fn next_check(&self, idle_timeout: Duration) -> Instant {
        let silent_at = self.last_received + idle_timeout;
        self.ping_at.map_or(silent_at, |at| at.min(silent_at))
    }
}

/// How a WebSocket ended, or why it was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketEnd {
    /// Nothing got through to the server.
    Unreached,
    /// The server, or something in between, did not accept it.
    NotOpened,
    /// The server did not accept the channel.
    ChannelRefused,
    /// The server sent a close frame with this code; 1005 stands for a frame without a code.
    Closed(u16),
    /// The connection ended without a close frame.
    Broken,
    /// A frame could not be used. The same position would bring it again.
    Unreadable,
    /// Nothing arrived for too long.
    Silent,
}

impl Machine {
    /// Whether a WebSocket is in use.
    pub fn has_socket(&self) -> bool {
        self.socket.is_some()
    }

    /// A WebSocket is open. It replaces the previous one, if any.
    pub fn socket_opened(&mut self, now: Instant) {
        let Some(config) = &self.config else {
            return;
        };
        self.transport.websocket_opened();
        self.gap = false;
        // A handshake through a proxy does not show that frames get through; the answer to an immediate ping does.
        self.socket = Some(SocketState {
            identity: config.identity(),
            opened_at: now,
            is_alive: false,
            last_received: now,
            ping_at: Some(now),
        });
    }

    /// An attempt to open a WebSocket that began at `started` failed. Returns how long to wait.
    pub fn socket_not_opened(&mut self, end: SocketEnd, started: Instant, now: Instant, random: u64) -> Duration {
        let load = if end == SocketEnd::Unreached { Load::Unreached } else { Load::Reached };
        // A server that restarts refuses everything for a few seconds, which does not speak against WebSockets.
        let restarts =
            load == Load::Unreached && self.transport.was_websocket_opened() && self.pauses.repeats_unreached_soon();
        let channels_worked = self.channels_worked;
        if !restarts {
            let was_slow = now.saturating_duration_since(started) >= SLOW_ATTEMPT;
            let was_polling = self.transport.has_switched();
            if self.transport.websocket_failed(was_slow, now, random) && self.socket.is_none() {
                return self.switch_to_polling(was_polling);
            }
        }
        if end == SocketEnd::ChannelRefused {
            self.config = None;
            self.reopen = true;
            self.gap = true;
            if channels_worked {
                return Duration::ZERO;
            }
        }
        self.failed(load, now, random)
    }

    /// A ping was sent.
    pub fn ping_sent(&mut self) {
        if let Some(socket) = &mut self.socket {
            socket.ping_at = None;
        }
    }

    /// Something arrived over the WebSocket, even if only the answer to a ping.
    pub fn socket_alive(&mut self, now: Instant) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        socket.is_alive = true;
        socket.last_received = now;
        socket.ping_at = Some(now + self.idle_timeout / 2);
        if socket.has_stood(now) {
            self.socket_succeeded(now);
        }
    }

    /// The WebSocket has stood for a while or brought something new.
    fn socket_succeeded(&mut self, now: Instant) {
        self.transport.websocket_works();
        self.channels_worked = true;
        // While another subscription is being attempted, the success of this one does not count for that one.
        if self.required_step(now).is_none() {
            self.succeeded();
        }
    }

    /// Messages arrived over the WebSocket.
    pub fn messages_received(&mut self, decoded: Decoded, now: Instant, random: u64) -> MessageCounts {
        self.socket_alive(now);
        if decoded.is_news && self.socket.is_some() {
            self.socket_succeeded(now);
        }
        let mut counts = MessageCounts { malformed: decoded.malformed, ..MessageCounts::default() };
        self.position.advance(Position { mid: decoded.mid, tag_time: decoded.tag_time });
        self.handle_all(decoded.events, &mut counts, now, random);
        counts
    }

    /// The WebSocket in use ended. Returns how long to wait.
    pub fn socket_ended(&mut self, end: SocketEnd, now: Instant, random: u64) -> Duration {
        let has_stood = self.socket.as_ref().is_some_and(|socket| socket.has_stood(now));
        if has_stood {
            self.socket_succeeded(now);
        }
        self.socket = None;
        self.gap = true;
        match end {
            SocketEnd::Closed(4010) | SocketEnd::ChannelRefused => {
                self.config = None;
                self.reopen = true;
                let pause = random_seconds(REFUSED_PAUSE_SECONDS, random);
                // Accepted channels expire after some hours; new channels that are refused at once are a failure.
                let pause =
                    if self.channels_worked { pause } else { pause.max(self.failed(Load::Reached, now, random)) };
                self.paused_until = Some(now + pause);
                pause
            }
            SocketEnd::Closed(3000 | 3001 | 3003) if self.channels_worked => {
                self.discard_config(now);
                Duration::ZERO
            }
            SocketEnd::Closed(3000 | 3001 | 3003) => {
                self.config = None;
                self.failed(Load::Reached, now, random)
            }
            // A server that works says goodbye when it restarts.
            SocketEnd::Closed(code) if has_stood && !matches!(code, 1006 | 1008) => {
                self.failed(Load::Reached, now, random)
            }
            SocketEnd::Closed(_)
            | SocketEnd::Broken
            | SocketEnd::Silent
            | SocketEnd::Unreadable
            | SocketEnd::Unreached
            | SocketEnd::NotOpened => {
                if end == SocketEnd::Unreadable {
                    self.position = Position::default();
                }
                let was_polling = self.transport.has_switched();
                if self.transport.websocket_failed(false, now, random) {
                    return self.switch_to_polling(was_polling);
                }
                self.failed(Load::Reached, now, random)
            }
        }
    }

    /// Starts long polling without a pause. Failures of WebSockets do not count as its own, which go on counting if it
    /// `was_polling` already before a WebSocket was tried.
    fn switch_to_polling(&mut self, was_polling: bool) -> Duration {
        if !was_polling {
            self.pauses.succeeded();
        }
        self.paused_until = None;
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests;
