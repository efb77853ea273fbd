//! The state machine of a push subscription: what happened goes in, and the next step comes out.
//! It has no socket, no clock and no randomness of its own; `listen_loop` provides those.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::config::{Position, PushConfig};
use super::long_polling::PollOutcome;
use super::message::{Decoded, PushEvent};
use super::recent::RecentMessages;
use super::renewal::RenewalTimer;
use super::schedule::{FailurePauses, Load};
use super::transport::TransportPolicy;
use crate::clock::random_seconds;
use crate::config::Transport;
use crate::retry::{Backoff, Schedule};
use crate::secret::Secret;

mod socket;

pub use socket::SocketEnd;
use socket::SocketState;

/// A connection that has stood this long is a success, and so is one that brings something new. An answer alone is not:
/// a server that repeats itself, or answers and closes, has to meet growing pauses.
const STABLE_AFTER: Duration = Duration::from_secs(10);
/// The least time between two configurations, whatever the server answers.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The least times from one poll to the next while the server answers at once and brings nothing new.
const EARLY_ANSWERS: Schedule = Schedule::Doubling { first: MIN_INTERVAL, max: STABLE_AFTER };
/// Bounds of the random pause after `config_expire` and `server_restart`, in seconds (docs/protocol.md §3.3).
const EXPIRED_PAUSE_SECONDS: Range<u64> = 10..120;

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Get the configuration from the portal.
    Configure {
        /// Whether to ask for new channels, because the server refused the old ones.
        reopen: bool,
    },
    /// Poll this address.
    Poll {
        /// The address with the subscription, which is a secret.
        url: Secret,
        /// Whether signals may have been missed. If so, have the queue checked once the subscription is active.
        gap: bool,
    },
    /// Open a WebSocket to this address. A WebSocket that is already open stays in use until the new one is open.
    OpenSocket {
        /// The address with the subscription, which is a secret; `http` stands in for `ws`.
        url: Secret,
        /// See `Poll`.
        gap: bool,
    },
    /// Listen to the WebSocket until this moment.
    Listen(Instant),
    /// Send a ping over the WebSocket.
    Ping,
    /// End the WebSocket: it has been silent for too long.
    EndSilentSocket,
    /// Do nothing until this moment.
    Pause(Instant),
}

/// What a poll or a frame contained, in numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// Messages of any kind.
    pub messages: u64,
    /// `event_offline` messages for our connector.
    pub signals: u64,
    /// Records that the signals announced in total.
    pub records: u64,
    /// Envelopes that could not be read.
    pub malformed: u64,
}

/// The settings that the state machine needs.
#[derive(Clone, Copy, Debug)]
pub struct MachineSettings {
    /// How to listen.
    pub transport: Transport,
    /// How long before the channels expire to renew them.
    pub renew_before: Duration,
    /// How long a WebSocket may be silent.
    pub idle_timeout: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Machine {
    config: Option<PushConfig>,
    /// The identity of the latest configuration, even if that was discarded.
    identity: Option<Secret>,
    configured_at: Option<Instant>,
    renewal: RenewalTimer,
    transport: TransportPolicy,
    socket: Option<SocketState>,
    idle_timeout: Duration,
    position: Position,
    recent: RecentMessages,
    pauses: FailurePauses,
    /// Spaces polls that are answered early and bring nothing.
    early_answers: Backoff,
    /// Nothing new is attempted before this moment; an open WebSocket stays in use.
    paused_until: Option<Instant>,
    /// Whether signals may have been missed since the last check of the queue.
    gap: bool,
    /// Whether the next configuration has to bring new channels.
    reopen: bool,
    /// Whether a subscription to the current channels was a success.
    channels_worked: bool,
}

impl Machine {
    /// A machine that has not started yet.
    pub fn new(settings: MachineSettings) -> Machine {
        Machine {
            config: None,
            identity: None,
            configured_at: None,
            renewal: RenewalTimer::new(settings.renew_before),
            transport: TransportPolicy::new(settings.transport),
            socket: None,
            idle_timeout: settings.idle_timeout,
            position: Position::default(),
            recent: RecentMessages::default(),
            pauses: FailurePauses::default(),
            early_answers: Backoff::new(EARLY_ANSWERS),
            paused_until: None,
            gap: true,
            reopen: false,
            channels_worked: false,
        }
    }

    /// The configuration in use.
    pub fn config(&self) -> Option<&PushConfig> {
        self.config.as_ref()
    }

    /// The messages received last.
    pub fn recent(&mut self) -> &mut RecentMessages {
        &mut self.recent
    }

    /// Whether long polling is ruled out.
    pub fn requires_websocket(&self) -> bool {
        self.transport.requires_websocket()
    }

    /// What to do now.
    pub fn next_step(&mut self, now: Instant) -> Step {
        if let Some(step) = self.socket.as_ref().and_then(|socket| socket.required_step(self.idle_timeout, now)) {
            return step;
        }
        let paused_until = self.paused_until.filter(|until| *until > now);
        let required = self.required_step(now);
        if matches!(required, Some(Step::Poll { .. })) {
            // The new configuration has no WebSocket.
            self.socket = None;
        }
        match (paused_until, required, &self.socket) {
            (None, Some(step), _) => step,
            (Some(until), _, None) => Step::Pause(until),
            // A step that has to wait is considered again after the pause.
            (paused_until, _, Some(socket)) => {
                let wake_at = paused_until.or(self.renewal.renew_at());
                let check_at = socket.next_check(self.idle_timeout);
                Step::Listen(wake_at.map_or(check_at, |at| at.min(check_at)))
            }
            // Not reached: without a socket some step is always required.
            (None, None, None) => Step::Pause(now + MIN_INTERVAL),
        }
    }

    /// The step to take as soon as the pause is over; `None` means to keep listening.
    fn required_step(&self, now: Instant) -> Option<Step> {
        let Some(config) = &self.config else {
            return Some(Step::Configure { reopen: self.reopen });
        };
        if self.renewal.renew_at().is_some_and(|at| now >= at) {
            return Some(Step::Configure { reopen: false });
        }
        if self.socket.as_ref().is_some_and(|socket| socket.identity == config.identity()) {
            return None;
        }
        let gap = self.gap || !config.resumes_from(&self.position);
        let websocket = config.websocket_url(&self.position).filter(|_| self.transport.uses_websocket(now));
        Some(match websocket {
            Some(url) => Step::OpenSocket { url, gap },
            None => Step::Poll { url: config.long_polling_url(&self.position), gap },
        })
    }

    /// A configuration arrived.
    pub fn configured(&mut self, config: PushConfig, now: Instant, random: u64) {
        self.renewal.configured(config.expires(), config.server_time(), now, random);
        let identity = Some(config.identity());
        // With the same channels nothing is missed: the subscription, or the position of the polls, stays valid.
        if self.identity != identity || self.reopen {
            self.gap = true;
            self.channels_worked = false;
        }
        self.identity = identity;
        self.config = Some(config);
        self.configured_at = Some(now);
        self.reopen = false;
    }

    /// The configuration could not be read. Returns how long to wait.
    pub fn configuration_failed(&mut self, load: Load, now: Instant, random: u64) -> Duration {
        if self.config.is_some() {
            // The current channels stay valid for a while.
            return self.renewal.failed(now);
        }
        self.failed(load, now, random)
    }

    /// The portal is not asked for the configuration before `at`.
    pub fn configure_not_before(&mut self, at: Instant) {
        match self.config {
            Some(_) => self.renewal.not_before(at),
            None => self.paused_until = self.paused_until.max(Some(at)),
        }
    }

    /// A poll that was sent at `started` was answered.
    pub fn poll_answered(
        &mut self,
        outcome: PollOutcome,
        started: Instant,
        now: Instant,
        random: u64,
    ) -> MessageCounts {
        let mut counts = MessageCounts::default();
        match outcome {
            PollOutcome::Messages { events, is_news, position, malformed } => {
                if is_news {
                    self.succeeded();
                } else if events.is_empty() && !has_stood(started, now) {
                    self.failed(Load::Reached, now, random);
                } else {
                    self.answered_without_news(started, now);
                }
                self.position.advance(position);
                // One of the unreadable envelopes may have been a signal for us.
                self.gap = malformed > 0;
                counts.malformed = malformed;
                self.handle_all(events, &mut counts, now, random);
            }
            PollOutcome::Nothing { mid } => {
                self.answered_without_news(started, now);
                self.gap = false;
                self.position.advance(Position { mid, tag_time: None });
            }
            PollOutcome::PositionLost => {
                self.answered_without_news(started, now);
                self.position = Position::default();
            }
            PollOutcome::ChannelRefused => {
                self.config = None;
                self.reopen = true;
                self.gap = true;
                // Channels expire after some hours; that is no failure. New channels that are refused at once are.
                if !self.channels_worked {
                    self.failed(Load::Reached, now, random);
                }
            }
            PollOutcome::Unusable { malformed, .. } => {
                counts.malformed = malformed;
                // The same position would bring the same answer.
                self.position = Position::default();
                self.poll_failed(Load::Reached, Some(started), now, random);
            }
        }
        counts
    }

    /// A poll broke. `started` is when it was sent, or `None` if it was not. Returns how long to wait.
    pub fn poll_failed(&mut self, load: Load, started: Option<Instant>, now: Instant, random: u64) -> Duration {
        if started.is_some_and(|started| has_stood(started, now)) {
            self.succeeded();
        }
        self.failed(load, now, random)
    }

    /// The server has accepted the poll. That is a success if it was held for a while.
    fn answered_without_news(&mut self, started: Instant, now: Instant) {
        if has_stood(started, now) {
            self.succeeded();
        } else {
            self.paused_until = Some(started + self.early_answers.failed());
        }
    }

    fn handle_all(&mut self, events: Vec<PushEvent>, counts: &mut MessageCounts, now: Instant, random: u64) {
        counts.messages += events.len() as u64;
        for event in events {
            self.handle(event, counts, now, random);
        }
    }

    fn handle(&mut self, event: PushEvent, counts: &mut MessageCounts, now: Instant, random: u64) {
        match event {
            PushEvent::EventOffline { count } => {
                counts.signals += 1;
                counts.records = counts.records.saturating_add(count);
            }
            PushEvent::ChannelReplaced(channel) => {
                self.gap = true;
                if self.config.as_mut().is_some_and(|config| config.replace_channel(channel)) {
                    let expires = self.config.as_ref().and_then(PushConfig::expires);
                    self.renewal.set_expiry(expires, now, random);
                } else {
                    self.discard_config(now);
                }
            }
            PushEvent::ConfigNeeded => self.discard_config(now),
            PushEvent::ConfigExpired => {
                self.config = None;
                self.socket = None;
                self.gap = true;
                self.paused_until = Some(now + random_seconds(EXPIRED_PAUSE_SECONDS, random));
            }
            PushEvent::Unrelated => {}
        }
    }

    /// Gets a new configuration as soon as [`MIN_INTERVAL`] allows.
    fn discard_config(&mut self, now: Instant) {
        self.config = None;
        self.gap = true;
        let earliest = self.configured_at.map_or(now, |at| at + MIN_INTERVAL);
        self.paused_until = self.paused_until.max(Some(earliest));
    }

    fn succeeded(&mut self) {
        self.channels_worked = true;
        self.pauses.succeeded();
        self.early_answers.succeeded();
        self.paused_until = None;
    }

    /// Counts a failure and pauses.
    fn failed(&mut self, load: Load, now: Instant, random: u64) -> Duration {
        let pause = self.pauses.failed(load, random);
        if self.pauses.doubts_addresses() {
            self.config = None;
        }
        self.gap = true;
        self.paused_until = Some(now + pause);
        pause
    }
}

/// Whether a connection that exists since `started` is a success.
fn has_stood(started: Instant, now: Instant) -> bool {
    now.saturating_duration_since(started) >= STABLE_AFTER
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod useless_server;
