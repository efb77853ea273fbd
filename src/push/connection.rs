//! The life of a push connection as a state machine: what happened goes in, what to do next comes out.
//! No socket, no clock, no chance in here; [`super::listener`] brings those.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::channel::{Position, PushConfig};
use super::long_polling::Polled;
use super::message::Meaning;
use crate::secret::Secret;

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

/// See the module.
#[derive(Debug)]
pub struct Connection {
    config: Option<PushConfig>,
    configured_at: Option<Instant>,
    position: Position,
    backoff: Backoff,
    not_before: Option<Instant>,
    gap: bool,
    reopen: bool,
    /// Whether the present channels have worked.
    proven: bool,
}

impl Default for Connection {
    /// A connection that has not begun.
    fn default() -> Connection {
        Connection {
            config: None,
            configured_at: None,
            position: Position::default(),
            backoff: Backoff::default(),
            not_before: None,
            gap: true,
            reopen: false,
            proven: false,
        }
    }
}

impl Connection {
    /// The push server in use.
    pub fn config(&self) -> Option<&PushConfig> {
        self.config.as_ref()
    }

    /// What to do now.
    pub fn next(&mut self, now: Instant) -> Step {
        if let Some(until) = self.not_before.filter(|until| *until > now) {
            return Step::Pause(until);
        }
        self.not_before = None;
        match &self.config {
            None => Step::Configure { reopen: self.reopen },
            Some(config) => Step::Poll {
                url: config.subscription(&self.position),
                gap: self.gap || !config.resumes_from(&self.position),
            },
        }
    }

    /// A configuration came.
    pub fn configured(&mut self, config: PushConfig, now: Instant) {
        self.config = Some(config);
        self.configured_at = Some(now);
        self.reopen = false;
        self.proven = false;
        self.gap = true;
    }

    /// The configuration could not be had. Returns how long to wait.
    pub fn not_configured(&mut self, now: Instant) -> Duration {
        self.failed(now, None)
    }

    /// A poll was answered. `started` is when it was sent.
    pub fn polled(&mut self, polled: Polled, started: Instant, now: Instant, random: u64) -> Signals {
        let mut signals = Signals::default();
        match polled {
            Polled::Messages { meanings, position, malformed } => {
                self.succeeded();
                self.position.mid = position.mid.or(self.position.mid.take());
                self.position.tag_time = position.tag_time.or(self.position.tag_time.take());
                // One of the unreadable ones may have been for us.
                self.gap = malformed > 0;
                signals.malformed = malformed;
                signals.messages = meanings.len() as u64;
                for meaning in meanings {
                    self.take(meaning, &mut signals, now, random);
                }
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

    fn take(&mut self, meaning: Meaning, signals: &mut Signals, now: Instant, random: u64) {
        match meaning {
            Meaning::EventOffline { count } => {
                signals.signals += 1;
                signals.records = signals.records.saturating_add(count);
            }
            Meaning::ChannelReplaced(channel) => {
                self.gap = true;
                if !self.config.as_mut().is_some_and(|config| config.replace(channel)) {
                    self.config_needed(now);
                }
            }
            Meaning::ConfigNeeded => self.config_needed(now),
            Meaning::ConfigExpired => {
                self.config = None;
                let pause = EXPIRED_PAUSE.start + random % (EXPIRED_PAUSE.end - EXPIRED_PAUSE.start);
                self.not_before = Some(now + Duration::from_secs(pause));
            }
            Meaning::Foreign => {}
        }
    }

    fn config_needed(&mut self, now: Instant) {
        self.config = None;
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
