//! The life of a push connection as a state machine: what happened goes in, what to do next comes out.
//! No socket, no clock, no chance in here; [`super::listener`] brings those.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::config::{Position, PushConfig};
use super::long_polling::Polled;
use super::message::{Decoded, Meaning};
use super::recent::Recent;
use super::renewal::Lifetime;
use super::transport::Choice;
use crate::config::Transport;
use crate::secret::Secret;

mod socket;

pub use socket::Lost;
use socket::Open;

/// A poll that was held so long before it broke had worked: the failure does not follow an earlier one.
const STABLE: Duration = Duration::from_secs(10);
/// Polls that bring no message, and configurations, are asked for at most once in this time, whatever a server answers.
const SHORTEST_CYCLE: Duration = Duration::from_secs(1);
/// `config_expire` and `server_restart`: bounds of the random pause, seconds.
const EXPIRED_PAUSE: std::ops::Range<u64> = 10..120;

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Read the configuration from the portal; `reopen` asks for new channels.
    Configure {
        /// Whether the old channels were refused.
        reopen: bool,
    },
    /// Poll this address.
    Poll {
        /// The subscription, which is a secret.
        url: Secret,
        /// Signals may have been missed before this poll: look into the queue once it stands.
        gap: bool,
    },
    /// Open a WebSocket to this address. If there is one, it is kept until the new one stands.
    Open {
        /// The subscription, which is a secret, with `http` in place of `ws`.
        url: Secret,
        /// See `Poll`.
        gap: bool,
    },
    /// Listen to the WebSocket, at most until then.
    Listen(Instant),
    /// Send a ping over the WebSocket.
    Ping,
    /// The WebSocket is dead: nothing has come for too long.
    Dead,
    /// Do nothing until then.
    Pause(Instant),
}

/// What a poll brought for the doorbell.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Number of `event_offline` messages for our connector.
    pub signals: u64,
    /// Records they announced together.
    pub records: u64,
    /// Messages of any kind.
    pub messages: u64,
    /// Envelopes that could not be read.
    pub malformed: u64,
}

/// What the user has set.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How to listen.
    pub transport: Transport,
    /// How long before the end of the channels they are renewed.
    pub renew_before: Duration,
    /// How long a WebSocket may be silent.
    pub idle: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Connection {
    config: Option<PushConfig>,
    /// Of the configuration before.
    identity: Option<Secret>,
    configured_at: Option<Instant>,
    lifetime: Lifetime,
    choice: Choice,
    socket: Option<Open>,
    idle: Duration,
    position: Position,
    recent: Recent,
    backoff: Backoff,
    not_before: Option<Instant>,
    gap: bool,
    reopen: bool,
    /// Whether the present channels have worked.
    proven: bool,
}

impl Connection {
    /// A connection that has not begun.
    pub fn new(limits: Limits) -> Connection {
        Connection {
            config: None,
            identity: None,
            configured_at: None,
            lifetime: Lifetime::new(limits.renew_before),
            choice: Choice::new(limits.transport),
            socket: None,
            idle: limits.idle,
            position: Position::default(),
            recent: Recent::default(),
            backoff: Backoff::default(),
            not_before: None,
            gap: true,
            reopen: false,
            proven: false,
        }
    }

    /// The push server in use.
    pub fn config(&self) -> Option<&PushConfig> {
        self.config.as_ref()
    }

    /// The messages that came last.
    pub fn recent(&mut self) -> &mut Recent {
        &mut self.recent
    }

    /// Whether nothing but WebSocket will do.
    pub fn needs_websocket(&self) -> bool {
        self.choice.is_fixed()
    }

    /// What to do now.
    pub fn next(&mut self, now: Instant) -> Step {
        if let Some(step) = self.socket.as_ref().and_then(|open| open.check(self.idle, now)) {
            return step;
        }
        let blocked = self.not_before.filter(|until| *until > now);
        let task = self.task(now);
        if matches!(task, Some(Step::Poll { .. })) {
            // A new configuration has no WebSocket any more.
            self.socket = None;
        }
        match (blocked, task, &self.socket) {
            (None, Some(step), _) => step,
            (Some(until), _, None) => Step::Pause(until),
            // A task that has to wait is looked at again when its time has come.
            (blocked, _, Some(open)) => {
                let due = blocked.or(self.lifetime.due());
                let check = open.next_check(self.idle);
                Step::Listen(due.map_or(check, |due| due.min(check)))
            }
            // There is always something to do without a socket.
            (None, None, None) => Step::Pause(now + SHORTEST_CYCLE),
        }
    }

    /// What is to be done as soon as it may; `None`: listen on.
    fn task(&self, now: Instant) -> Option<Step> {
        let Some(config) = &self.config else {
            return Some(Step::Configure { reopen: self.reopen });
        };
        if self.renewal_is_due(now) {
            return Some(Step::Configure { reopen: false });
        }
        if self.socket.as_ref().is_some_and(|open| open.identity == config.identity()) {
            return None;
        }
        let gap = self.gap || !config.resumes_from(&self.position);
        let websocket = config.websocket_subscription(&self.position).filter(|_| self.choice.is_websocket(now));
        Some(match websocket {
            Some(url) => Step::Open { url, gap },
            None => Step::Poll { url: config.subscription(&self.position), gap },
        })
    }

    fn renewal_is_due(&self, now: Instant) -> bool {
        self.config.is_some() && self.lifetime.due().is_some_and(|due| now >= due)
    }

    /// A configuration came.
    pub fn configured(&mut self, config: PushConfig, now: Instant, random: u64) {
        self.lifetime.configured(config.ends(), config.told_at(), now, random);
        let identity = Some(config.identity());
        // With the same channels nothing is missed: the subscription, or the position of the polls, goes on.
        if self.identity != identity || self.reopen {
            self.gap = true;
            self.proven = false;
        }
        self.identity = identity;
        self.config = Some(config);
        self.configured_at = Some(now);
        self.reopen = false;
    }

    /// The configuration could not be had. Returns how long to wait.
    pub fn not_configured(&mut self, now: Instant) -> Duration {
        if self.config.is_some() {
            // The channels live on for a while.
            return self.lifetime.failed(now);
        }
        self.failed(now, None)
    }

    /// A poll was answered. `started` is when it was sent.
    pub fn polled(&mut self, polled: Polled, started: Instant, now: Instant, random: u64) -> Signals {
        let mut signals = Signals::default();
        match polled {
            Polled::Messages { meanings, position, malformed } => {
                self.succeeded();
                self.move_to(position);
                // One of the unreadable ones may have been for us.
                self.gap = malformed > 0;
                signals.malformed = malformed;
                self.take_all(meanings, &mut signals, now, random);
            }
            Polled::Nothing { mid } => {
                self.succeeded();
                self.gap = false;
                self.position.mid = mid.or(self.position.mid.take());
                self.not_before = Some(started + SHORTEST_CYCLE);
            }
            Polled::PositionLost => {
                self.succeeded();
                self.position = Position::default();
                self.not_before = Some(started + SHORTEST_CYCLE);
            }
            Polled::ChannelRefused => {
                self.config = None;
                self.reopen = true;
                self.gap = true;
                // Channels end after some hours; that is no failure. New ones that are refused at once are.
                if !self.proven {
                    self.failed(now, None);
                }
            }
            Polled::Unusable { malformed, .. } => {
                signals.malformed = malformed;
                // From the same position the same would come again.
                self.position = Position::default();
                self.failed(now, Some(started));
            }
        }
        signals
    }

    /// A poll broke. `started` is when it was sent, if it was. Returns how long to wait.
    pub fn broken(&mut self, started: Option<Instant>, now: Instant) -> Duration {
        self.failed(now, started)
    }

    fn move_to(&mut self, position: Position) {
        self.position.mid = position.mid.or(self.position.mid.take());
        self.position.tag_time = position.tag_time.or(self.position.tag_time.take());
    }

    fn take_all(&mut self, meanings: Vec<Meaning>, signals: &mut Signals, now: Instant, random: u64) {
        signals.messages += meanings.len() as u64;
        for meaning in meanings {
            self.take(meaning, signals, now, random);
        }
    }

    fn take(&mut self, meaning: Meaning, signals: &mut Signals, now: Instant, random: u64) {
        match meaning {
            Meaning::EventOffline { count } => {
                signals.signals += 1;
                signals.records = signals.records.saturating_add(count);
            }
            Meaning::ChannelReplaced(channel) => {
                self.gap = true;
                if self.config.as_mut().is_some_and(|config| config.replace(channel)) {
                    let ends = self.config.as_ref().and_then(PushConfig::ends);
                    self.lifetime.ending(ends, now, random);
                } else {
                    self.config_needed(now);
                }
            }
            Meaning::ConfigNeeded => self.config_needed(now),
            Meaning::ConfigExpired => {
                self.config = None;
                self.socket = None;
                self.gap = true;
                let pause = EXPIRED_PAUSE.start + random % (EXPIRED_PAUSE.end - EXPIRED_PAUSE.start);
                self.not_before = Some(now + Duration::from_secs(pause));
            }
            Meaning::Foreign => {}
        }
    }

    fn config_needed(&mut self, now: Instant) {
        self.config = None;
        self.gap = true;
        let earliest = self.configured_at.map_or(now, |at| at + SHORTEST_CYCLE);
        self.not_before = self.not_before.max(Some(earliest));
    }

    fn succeeded(&mut self) {
        self.proven = true;
        self.backoff.succeeded();
        self.not_before = None;
    }

    fn failed(&mut self, now: Instant, poll_started: Option<Instant>) -> Duration {
        if poll_started.is_some_and(|started| now.saturating_duration_since(started) >= STABLE) {
            self.backoff.succeeded();
        }
        let pause = self.backoff.failed();
        // After a second failure in a row the addresses may be what is wrong.
        if pause > Duration::from_secs(1) {
            self.config = None;
        }
        self.gap = true;
        self.not_before = Some(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod week;
