use super::*;
use crate::push::config::{Channel, ChannelKind};

const LIMITS: Limits =
    Limits { transport: Transport::Auto, renew_before: Duration::from_secs(300), idle: Duration::from_secs(150) };

pub(super) struct Run {
    pub(super) connection: Connection,
    pub(super) start: Instant,
    pub(super) now: Instant,
}

/// What a configuration says about WebSocket.
pub(super) const WEBSOCKET: &str = r#","websocket_enabled":true,"websocket_secure":"wss://rt.example/subws/""#;

/// A configuration with the channel of this number.
pub(super) fn config(websocket: &str, channel: u32, ends: Option<u64>) -> String {
    let end = ends.map(|end| format!(r#","end":{end}"#)).unwrap_or_default();
    format!(
        r#"{{"server":{{"version":4,"long_pooling_secure":"https://rt.example/sub/"{websocket}}},
        "channels":{{"shared":{{"id":"abc{channel}.def","type":"shared"{end}}}}},"clientId":"1"}}"#
    )
}

const CONFIG: &str = r#"{"server":{"version":4,"long_pooling_secure":"https://rt.example/sub/"},
    "channels":{"shared":{"id":"abc.def","type":"shared"}},"clientId":"1"}"#;

impl Run {
    /// Configured by a server of this kind.
    pub(super) fn with(websocket: &str) -> Run {
        let mut run = Run::new();
        run.configure(websocket);
        run
    }

    pub(super) fn configure(&mut self, websocket: &str) {
        self.configure_at(&config(websocket, 1, None), None);
    }

    pub(super) fn configure_at(&mut self, json: &str, told_at: Option<u64>) {
        let config = PushConfig::parse(json, false).unwrap().told(told_at);
        self.connection.configured(config, self.now, 0);
    }

    fn new() -> Run {
        let start = Instant::now();
        Run { connection: Connection::new(LIMITS), start, now: start }
    }

    fn configured() -> Run {
        let mut run = Run::new();
        assert!(matches!(run.connection.next(run.now), Step::Configure { reopen: false }));
        run.connection.configured(PushConfig::parse(CONFIG, false).unwrap(), run.now, 0);
        run
    }

    /// Waits out pauses; returns how long they were, and the step after them.
    pub(super) fn step(&mut self) -> (Duration, Step) {
        let before = self.now;
        loop {
            match self.connection.next(self.now) {
                Step::Pause(until) | Step::Listen(until) => self.now = until,
                other => return (self.now - before, other),
            }
        }
    }

    fn poll(&mut self) -> (Duration, String, bool) {
        match self.step() {
            (pause, Step::Poll { url, gap }) => (pause, url.expose().to_owned(), gap),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn answer(&mut self, after: u64, polled: Polled) -> Signals {
        let started = self.now;
        self.now += Duration::from_secs(after);
        self.connection.polled(polled, started, self.now, 7)
    }

    fn messages(&mut self, meanings: Vec<Meaning>) -> Signals {
        let position = Position { mid: Some("m1".into()), tag_time: None };
        self.answer(1, Polled::Messages { meanings, position, malformed: 0 })
    }
}

#[test]
fn looks_once_after_connecting_and_goes_on_by_mid() {
    let mut run = Run::configured();
    let (_, url, gap) = run.poll();
    assert!(gap && !url.contains("mid="));
    let signals =
        run.messages(vec![Meaning::EventOffline { count: 2 }, Meaning::Foreign, Meaning::EventOffline { count: 3 }]);
    assert_eq!(signals, Signals { signals: 2, records: 5, messages: 3, malformed: 0 });
    let (pause, url, gap) = run.poll();
    assert!(!gap && url.ends_with("&mid=m1"), "{url}");
    assert_eq!(pause, Duration::ZERO);
}

#[test]
fn an_empty_hold_without_position_is_a_gap_unless_the_server_tells_one() {
    let mut run = Run::configured();
    run.poll();
    run.answer(40, Polled::Nothing { mid: None });
    assert!(run.poll().2);
    run.answer(40, Polled::Nothing { mid: Some("m9".into()) });
    let (_, url, gap) = run.poll();
    assert!(!gap && url.ends_with("mid=m9"));
    run.answer(40, Polled::PositionLost);
    let (_, url, gap) = run.poll();
    assert!(gap && !url.contains("mid="));
}

#[test]
fn a_server_that_does_not_hold_is_not_hammered() {
    let mut run = Run::configured();
    for polled in [Polled::Nothing { mid: None }, Polled::PositionLost] {
        run.poll();
        run.answer(0, polled);
        assert_eq!(run.poll().0, SHORTEST_CYCLE);
    }
}

#[test]
fn failures_follow_the_vendors_table_and_read_the_configuration_anew() {
    let mut run = Run::configured();
    run.poll();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        run.connection.broken(Some(run.now), run.now);
        let (pause, step) = run.step();
        pauses.push(pause.as_secs_f64());
        if let Step::Configure { .. } = step {
            run.connection.configured(PushConfig::parse(CONFIG, false).unwrap(), run.now, 0);
        } else {
            assert_eq!(pauses.len(), 1, "only the first repeat uses the old addresses");
        }
        assert!(run.poll().2);
    }
    assert_eq!(pauses, [0.1, 15.0, 45.0, 45.0, 45.0, 600.0, 600.0, 600.0, 600.0, 600.0, 3600.0, 3600.0]);
    run.answer(40, Polled::Nothing { mid: None });
    run.poll();
    assert_eq!(run.connection.broken(Some(run.now), run.now), Duration::from_millis(100));
}

#[test]
fn a_connection_that_is_cut_after_a_while_each_time_is_no_repeated_failure() {
    let mut run = Run::configured();
    for _ in 0..20 {
        run.poll();
        let started = run.now;
        run.now += Duration::from_secs(30);
        assert_eq!(run.connection.broken(Some(started), run.now), Duration::from_millis(100));
    }
}

#[test]
fn a_configuration_that_cannot_be_had_is_asked_for_by_the_same_table() {
    let mut run = Run::new();
    run.step();
    assert_eq!(run.connection.not_configured(run.now), Duration::from_millis(100));
    run.step();
    assert_eq!(run.connection.not_configured(run.now), Duration::from_secs(15));
}

#[test]
fn a_refused_channel_brings_a_new_configuration() {
    let mut run = Run::configured();
    run.poll();
    run.answer(0, Polled::ChannelRefused);
    let (pause, step) = run.step();
    assert!(matches!(step, Step::Configure { reopen: true }));
    assert_eq!(pause, Duration::from_millis(100));
    // A configuration alone is no success: refused again, the pause grows.
    run.connection.configured(PushConfig::parse(CONFIG, false).unwrap(), run.now, 0);
    run.poll();
    run.answer(0, Polled::ChannelRefused);
    assert_eq!(run.step().0, Duration::from_secs(15));
}

#[test]
fn a_channel_that_has_worked_is_replaced_at_once() {
    let mut run = Run::configured();
    run.poll();
    run.answer(40, Polled::Nothing { mid: None });
    run.poll();
    run.connection.broken(Some(run.now), run.now);
    run.poll();
    run.answer(0, Polled::ChannelRefused);
    assert!(matches!(run.step(), (Duration::ZERO, Step::Configure { reopen: true })));
}

#[test]
fn control_messages() {
    let mut run = Run::configured();
    run.poll();
    run.messages(vec![Meaning::ChannelReplaced(Channel {
        id: Secret::new("new.sig"),
        kind: ChannelKind::Shared,
        ends: 0,
    })]);
    let (pause, url, gap) = run.poll();
    assert!(gap && url.contains("new.sig") && pause == Duration::ZERO);

    run.messages(vec![Meaning::ConfigNeeded]);
    assert!(matches!(run.step(), (Duration::ZERO, Step::Configure { reopen: false })));
    run.connection.configured(PushConfig::parse(CONFIG, false).unwrap(), run.now, 0);
    run.poll();

    run.messages(vec![Meaning::ConfigExpired, Meaning::EventOffline { count: 1 }]);
    let (pause, step) = run.step();
    assert!(matches!(step, Step::Configure { .. }));
    assert_eq!(pause, Duration::from_secs(17));
}

#[test]
fn configurations_are_not_asked_for_in_a_circle() {
    let mut run = Run::configured();
    for _ in 0..5 {
        run.poll();
        let position = Position::default();
        run.answer(0, Polled::Messages { meanings: vec![Meaning::ConfigNeeded], position, malformed: 0 });
        let (pause, step) = run.step();
        assert!(matches!(step, Step::Configure { .. }));
        assert_eq!(pause, SHORTEST_CYCLE);
        run.connection.configured(PushConfig::parse(CONFIG, false).unwrap(), run.now, 0);
    }
    assert_eq!(run.now - run.start, SHORTEST_CYCLE * 5);
}

#[test]
fn unreadable_envelopes_ring_once_and_do_not_come_again_and_again() {
    let mut run = Run::configured();
    run.poll();
    let position = Position { mid: Some("m1".into()), tag_time: None };
    let signals = run.answer(1, Polled::Messages { meanings: vec![Meaning::Foreign], position, malformed: 2 });
    assert_eq!(signals.malformed, 2);
    assert!(run.poll().2);
    let signals = run.answer(1, Polled::Unusable { text: "x".into(), malformed: 1 });
    assert_eq!(signals.malformed, 1);
    let (pause, url, gap) = run.poll();
    assert!(gap && !url.contains("mid=") && pause == Duration::from_millis(100));
}
