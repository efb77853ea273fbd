//! A day of a push server that goes up and down, in simulated time: the machine that decides what to do next, without
//! sockets, in a process of its own, whose memory is measured.

use std::process::Command;
use std::time::{Duration, Instant};

use b24events::clock::{Clock, SystemClock};
use b24events::config::{PlainHttp, Transport};
use b24events::push::config::{Position, PushConfig};
use b24events::push::long_polling::PollOutcome;
use b24events::push::machine::{Machine, MachineSettings, SocketEnd, Step};
use b24events::push::message::{Decoded, decode};
use b24events::push::schedule::Load;

use super::footprint::Footprint;
use super::support::Program;

const DAY: Duration = Duration::from_secs(24 * 3600);
const CHANNEL_LIFETIME: u64 = 43_205;
/// How long the server holds a poll.
const HOLD: Duration = Duration::from_secs(40);
/// What opening a connection takes, and how long it takes to see that nothing listens.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// How a server flaps. No time is exact, so that nothing is always met in the same phase.
#[derive(Clone, Copy, Debug)]
struct Pattern {
    /// How long it runs on average, and how long it does not.
    up: Duration,
    down: Duration,
    /// Between two records, each of which is announced while the server is up.
    message_every: Duration,
    /// How many messages reach the client at least.
    min_signals: u64,
}

const fn pattern(up_ms: u64, down_ms: u64, message_every_s: u64, min_signals: u64) -> Pattern {
    Pattern {
        up: Duration::from_millis(up_ms),
        down: Duration::from_millis(down_ms),
        message_every: Duration::from_secs(message_every_s),
        min_signals,
    }
}

const PATTERNS: [Pattern; 4] = [
    // There is always something new, which makes a success of a connection.
    pattern(1_500, 1_500, 1, 100),
    // Nothing ever comes, and no connection stands for long: pauses grow to an hour.
    pattern(1_500, 1_500, 100_000, 0),
    pattern(60_000, 20_000, 30, 1_000),
    pattern(900, 59_100, 10, 0),
];

/// What the client did in a day.
#[derive(Debug, Default)]
struct Attempts {
    configurations: u64,
    websockets: u64,
    polls: u64,
    /// Of the two, those that found nobody.
    unreached: u64,
    signals: u64,
}

struct Day {
    pattern: Pattern,
    machine: Machine,
    start: Instant,
    now: Instant,
    is_up: bool,
    /// When the server goes down or comes up.
    changes_at: Instant,
    /// When the next message is published.
    message_at: Instant,
    messages: u64,
    channel: u64,
    attempts: Attempts,
}

impl Day {
    fn new(pattern: Pattern, transport: Transport) -> Day {
        let settings = MachineSettings {
            transport,
            renew_before: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(150),
        };
        let start = Instant::now();
        Day {
            pattern,
            machine: Machine::new(settings),
            start,
            now: start,
            is_up: true,
            changes_at: start + pattern.up,
            message_at: start + pattern.message_every,
            messages: 0,
            channel: 0,
            attempts: Attempts::default(),
        }
    }

    fn random() -> u64 {
        SystemClock.random()
    }

    fn run(&mut self, end: Instant) {
        while self.now < end {
            match self.machine.next_step(self.now) {
                Step::Configure { .. } => self.configure(),
                Step::OpenSocket { .. } => self.open_socket(),
                Step::Poll { .. } => self.poll(),
                Step::Listen(until) => self.listen(until),
                Step::Ping => {
                    self.machine.ping_sent();
                    self.machine.socket_alive(self.now);
                }
                Step::EndSilentSocket => drop(self.machine.socket_ended(SocketEnd::Silent, self.now, Day::random())),
                Step::Pause(until) => self.pass(until),
            }
        }
    }

    /// Time passes, and what is published meanwhile nobody hears.
    fn pass(&mut self, until: Instant) {
        self.now = self.now.max(until);
        while self.message_at <= self.now {
            self.message_at += self.pattern.message_every;
        }
        while self.changes_at <= self.now {
            self.is_up = !self.is_up;
            let average = if self.is_up { self.pattern.up } else { self.pattern.down };
            self.changes_at += average.mul_f64(0.5 + (Day::random() % 1000) as f64 / 1000.0);
        }
    }

    /// The portal is always there.
    fn configure(&mut self) {
        self.pass(self.now + ROUND_TRIP);
        self.attempts.configurations += 1;
        self.channel += 1;
        let time = 5_000 + (self.now - self.start).as_secs();
        let json = format!(
            r#"{{"server":{{"version":4,"long_pooling_secure":"https://rt.example/sub/","websocket_enabled":true,
            "websocket_secure":"wss://rt.example/subws/"}},"clientId":"1",
            "channels":{{"shared":{{"id":"abc{}.def","type":"shared","end":{}}}}}}}"#,
            self.channel,
            time + CHANNEL_LIFETIME
        );
        let config = PushConfig::parse(&json, PlainHttp::Never).unwrap().with_server_time(Some(time));
        self.machine.configured(config, self.now, Day::random());
    }

    fn open_socket(&mut self) {
        let started = self.now;
        self.attempts.websockets += 1;
        self.pass(self.now + ROUND_TRIP);
        if self.is_up {
            self.machine.socket_opened(self.now);
        } else {
            self.attempts.unreached += 1;
            self.machine.socket_not_opened(SocketEnd::Unreached, started, self.now, Day::random());
        }
    }

    /// Until the server goes down, a message comes, or the machine wants to do something else.
    fn listen(&mut self, until: Instant) {
        // It was up when the WebSocket was opened, and nothing has passed its end since.
        let next = until.min(self.changes_at).min(self.message_at);
        self.now = self.now.max(next);
        if next == self.changes_at {
            self.machine.socket_ended(SocketEnd::Closed(1001), self.now, Day::random());
        } else if next == self.message_at {
            let decoded = self.message();
            let counts = self.machine.messages_received(decoded, self.now, Day::random());
            self.attempts.signals += counts.signals;
        }
    }

    fn poll(&mut self) {
        let started = self.now;
        self.attempts.polls += 1;
        self.pass(self.now + ROUND_TRIP);
        if !self.is_up {
            self.attempts.unreached += 1;
            self.machine.poll_failed(Load::Unreached, None, self.now, Day::random());
            return;
        }
        let next = self.changes_at.min(self.message_at).min(started + HOLD);
        self.now = next;
        if next == self.changes_at {
            self.machine.poll_failed(Load::Reached, Some(started), self.now, Day::random());
            return;
        }
        let outcome = if next == self.message_at {
            let Decoded { events, is_news, mid, malformed, .. } = self.message();
            PollOutcome::Messages { events, is_news, position: Position { mid, tag_time: None }, malformed }
        } else {
            PollOutcome::Nothing { mid: None }
        };
        let counts = self.machine.poll_answered(outcome, started, self.now, Day::random());
        self.attempts.signals += counts.signals;
    }

    fn message(&mut self) -> Decoded {
        self.message_at += self.pattern.message_every;
        self.messages += 1;
        let body = format!(
            r##"#!NGINXNMS!#{{"mid":"{}","text":{{"module_id":"rest","command":"event_offline",
            "params":[{{"connector_id":"","count":1}}]}}}}#!NGINXNME!#"##,
            self.messages
        );
        decode(body.as_bytes(), "", self.machine.recent())
    }
}

#[test]
fn a_day_of_a_flapping_push_server_needs_no_more_memory_than_its_first_hours() {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "day::the_days", "--ignored", "--nocapture", "--test-threads=1"]);
    let output = Program::start(&mut program, "this test itself").finish();
    let days: Vec<&str> = output.lines().filter(|line| line.contains("Attempts")).collect();
    println!("{}", days.join("\n"));
    assert_eq!(days.len(), 2 * PATTERNS.len(), "{output}");
}

/// The other process.
#[test]
#[ignore = "run by the other test"]
fn the_days() {
    println!();
    for pattern in PATTERNS {
        for transport in [Transport::WebSocket, Transport::LongPolling] {
            let mut day = Day::new(pattern, transport);
            day.run(day.start + DAY / 10);
            let early = Footprint::of(std::process::id());
            day.run(day.start + DAY);
            let late = Footprint::of(std::process::id());
            late.assert_no_larger_than(&early);
            let attempts = &day.attempts;
            println!(
                "{transport:?}, {pattern:?}: {attempts:?}, {} KiB after a tenth, {} KiB at the end",
                early.resident_kib, late.resident_kib
            );
            let cycles = (DAY.as_millis() / (pattern.up + pattern.down).as_millis()) as u64;
            // An attempt that fails at once is repeated at 0.1, 1, 2, 4 and 8 s, and what ended takes one more.
            let tries = attempts.websockets + attempts.polls - attempts.signals.min(attempts.polls);
            assert!(tries <= 7 * cycles + 100, "{attempts:?} in {cycles} cycles");
            assert!(attempts.signals >= pattern.min_signals, "{attempts:?}");
        }
    }
}
