//! The part of the state machine that is about WebSockets.

use std::ops::Range;

use super::*;

/// Code 4010: bounds of the random pause before a new configuration, seconds.
const REFUSED_PAUSE: Range<u64> = 5..35;
/// An opening that fails after so long would keep whoever waits in `connect` for too long to try it again.
const SLOW: Duration = Duration::from_secs(2);

/// The WebSocket in use.
#[derive(Debug)]
pub(super) struct Open {
    /// Of the subscription.
    pub(super) identity: Secret,
    since: Instant,
    heard: Instant,
    /// `None`: sent, and nothing has come since.
    ping_at: Option<Instant>,
}

impl Open {
    /// A ping is due, or the socket is dead.
    pub(super) fn check(&self, idle: Duration, now: Instant) -> Option<Step> {
        if now >= self.heard + idle {
            Some(Step::Dead)
        } else {
            self.ping_at.filter(|at| now >= *at).map(|_| Step::Ping)
        }
    }

    pub(super) fn next_check(&self, idle: Duration) -> Instant {
        let dead = self.heard + idle;
        self.ping_at.map_or(dead, |at| at.min(dead))
    }
}

/// How a WebSocket ended, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The server, or somebody on the way, did not take it.
    NotOpened,
    /// The server did not accept the channel.
    ChannelRefused,
    /// A close frame with this code; 1005 when it had none.
    Closed(u16),
    /// Without a close frame.
    Broken,
    /// A frame that cannot be used. It would come again from the same position.
    Unreadable,
    /// Nothing has come for too long.
    Silent,
}

impl Connection {
    /// Whether a WebSocket is in use.
    pub fn has_socket(&self) -> bool {
        self.socket.is_some()
    }

    /// A WebSocket stands, in place of the one before if there was one.
    pub fn opened(&mut self, now: Instant) {
        let Some(config) = &self.config else {
            return;
        };
        self.choice.opened();
        self.gap = false;
        // The answer to a ping at once shows that frames get through, which an opening through a proxy does not.
        self.socket = Some(Open { identity: config.identity(), since: now, heard: now, ping_at: Some(now) });
    }

    /// No WebSocket could be opened since `started`. Returns how long to wait.
    pub fn not_opened(&mut self, lost: Lost, started: Instant, now: Instant, random: u64) -> Duration {
        let slow = now.saturating_duration_since(started) >= SLOW;
        let was_proven = self.proven;
        if self.choice.failed(slow, now, random) && self.socket.is_none() {
            return self.go_on_polling();
        }
        if lost == Lost::ChannelRefused {
            self.config = None;
            self.reopen = true;
            self.gap = true;
            if was_proven {
                return Duration::ZERO;
            }
        }
        self.failed(now, None)
    }

    /// A ping was sent.
    pub fn pinged(&mut self) {
        if let Some(open) = &mut self.socket {
            open.ping_at = None;
        }
    }

    /// Something came, be it a sign of life alone.
    pub fn heard(&mut self, now: Instant) {
        let idle = self.idle;
        let Some(open) = &mut self.socket else {
            return;
        };
        open.heard = now;
        open.ping_at = Some(now + idle / 2);
        self.choice.worked();
        self.proven = true;
        // While another subscription is being tried for, this one's success is not that one's.
        if self.task(now).is_none() {
            self.succeeded();
        }
    }

    /// Messages came.
    pub fn received(&mut self, decoded: Decoded, now: Instant, random: u64) -> Signals {
        self.heard(now);
        let mut signals = Signals { malformed: decoded.malformed, ..Signals::default() };
        self.move_to(Position { mid: decoded.mid, tag_time: decoded.tag_time });
        self.take_all(decoded.meanings, &mut signals, now, random);
        signals
    }

    /// The WebSocket in use has ended. Returns how long to wait.
    pub fn lost(&mut self, lost: Lost, now: Instant, random: u64) -> Duration {
        let since = self.socket.take().map(|open| open.since);
        self.gap = true;
        match lost {
            Lost::Closed(4010) | Lost::ChannelRefused => {
                self.config = None;
                self.reopen = true;
                let pause =
                    Duration::from_secs(REFUSED_PAUSE.start + random % (REFUSED_PAUSE.end - REFUSED_PAUSE.start));
                // Channels that have worked end after some hours; new ones that are refused at once are a failure.
                let pause = if self.proven { pause } else { pause.max(self.failed(now, None)) };
                self.not_before = Some(now + pause);
                pause
            }
            Lost::Closed(3000 | 3001 | 3003) if self.proven => {
                self.config_needed(now);
                Duration::ZERO
            }
            Lost::Closed(3000 | 3001 | 3003) => {
                self.config = None;
                self.failed(now, None)
            }
            Lost::Closed(1006 | 1008) | Lost::Broken | Lost::Silent | Lost::Unreadable | Lost::NotOpened => {
                if lost == Lost::Unreadable {
                    self.position = Position::default();
                }
                if self.choice.failed(false, now, random) {
                    return self.go_on_polling();
                }
                self.failed(now, since)
            }
            Lost::Closed(_) => self.failed(now, since),
        }
    }

    /// Failures of WebSocket are none of long polling.
    fn go_on_polling(&mut self) -> Duration {
        self.backoff.succeeded();
        self.not_before = None;
        Duration::ZERO
    }
}
