use super::*;
use crate::push::config::{Channel, ChannelKind};

const SETTINGS: MachineSettings = MachineSettings {
    transport: Transport::Auto,
    renew_before: Duration::from_secs(300),
    idle_timeout: Duration::from_secs(150),
};

/// A machine driven through simulated time.
pub(in crate::push::machine) struct Run {
    pub(in crate::push::machine) machine: Machine,
    pub(in crate::push::machine) start: Instant,
    pub(in crate::push::machine) now: Instant,
}

/// The part of a configuration that offers a WebSocket.
pub(super) const WEBSOCKET: &str = r#","websocket_enabled":true,"websocket_secure":"wss://rt.example/subws/""#;

/// A configuration with the channel `number`.
pub(super) fn config(websocket: &str, number: u32, expires: Option<u64>) -> String {
    let end = expires.map(|end| format!(r#","end":{end}"#)).unwrap_or_default();
    format!(
        r#"{{"server":{{"version":4,"long_pooling_secure":"https://rt.example/sub/"{websocket}}},
        "channels":{{"shared":{{"id":"abc{number}.def","type":"shared"{end}}}}},"clientId":"1"}}"#
    )
}

const CONFIG: &str = r#"{"server":{"version":4,"long_pooling_secure":"https://rt.example/sub/"},
    "channels":{"shared":{"id":"abc.def","type":"shared"}},"clientId":"1"}"#;

impl Run {
    /// Configured by a server with this part about WebSocket.
    pub(super) fn with(websocket: &str) -> Run {
        let mut run = Run::new();
        run.configure(websocket);
        run
    }

    pub(super) fn configure(&mut self, websocket: &str) {
        self.configure_at(&config(websocket, 1, None), None);
    }

    pub(super) fn configure_at(&mut self, json: &str, server_time: Option<u64>) {
        let config = PushConfig::parse(json, false).unwrap().with_server_time(server_time);
        self.machine.configured(config, self.now, 0);
    }

    fn new() -> Run {
        let start = Instant::now();
        Run { machine: Machine::new(SETTINGS), start, now: start }
    }

    fn configured() -> Run {
        let mut run = Run::new();
        assert!(matches!(run.machine.next_step(run.now), Step::Configure { reopen: false }));
        run.machine.configured(PushConfig::parse(CONFIG, false).unwrap(), run.now, 0);
        run
    }

    /// Lets pauses and silence pass. Returns how long they lasted and the step after them.
    pub(super) fn step(&mut self) -> (Duration, Step) {
        let before = self.now;
        loop {
            match self.machine.next_step(self.now) {
                Step::Pause(until) | Step::Listen(until) => self.now = until,
                other => return (self.now - before, other),
            }
        }
    }

    /// The pause before the next poll, its address, and whether it follows a gap.
    fn poll(&mut self) -> (Duration, String, bool) {
        match self.step() {
            (pause, Step::Poll { url, gap }) => (pause, url.expose().to_owned(), gap),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn answer(&mut self, after: u64, outcome: PollOutcome) -> MessageCounts {
        let started = self.now;
        self.now += Duration::from_secs(after);
        self.machine.poll_answered(outcome, started, self.now, 7)
    }

    fn messages(&mut self, events: Vec<PushEvent>) -> MessageCounts {
        let position = Position { mid: Some("m1".into()), tag_time: None };
        self.answer(1, PollOutcome::Messages { events, position, malformed: 0 })
    }
}

#[test]
fn the_queue_is_checked_once_after_connecting_and_polls_resume_by_mid() {
    let mut run = Run::configured();
    let (_, url, gap) = run.poll();
    assert!(gap && !url.contains("mid="));
    let counts = run.messages(vec![
        PushEvent::EventOffline { count: 2 },
        PushEvent::Unrelated,
        PushEvent::EventOffline { count: 3 },
    ]);
    assert_eq!(counts, MessageCounts { signals: 2, records: 5, messages: 3, malformed: 0 });
    let (pause, url, gap) = run.poll();
    assert!(!gap && url.ends_with("&mid=m1"), "{url}");
    assert_eq!(pause, Duration::ZERO);
}

#[test]
fn a_hold_without_messages_is_a_gap_unless_the_server_names_a_position() {
    let mut run = Run::configured();
    run.poll();
    run.answer(40, PollOutcome::Nothing { mid: None });
    assert!(run.poll().2);
    run.answer(40, PollOutcome::Nothing { mid: Some("m9".into()) });
    let (_, url, gap) = run.poll();
    assert!(!gap && url.ends_with("mid=m9"));
    run.answer(40, PollOutcome::PositionLost);
    let (_, url, gap) = run.poll();
    assert!(gap && !url.contains("mid="));
}

#[test]
fn a_server_that_answers_at_once_is_polled_once_a_second() {
    let mut run = Run::configured();
    for outcome in [PollOutcome::Nothing { mid: None }, PollOutcome::PositionLost] {
        run.poll();
        run.answer(0, outcome);
        assert_eq!(run.poll().0, MIN_INTERVAL);
    }
}

#[test]
fn failures_follow_the_vendors_table_and_lead_to_a_new_configuration() {
    let mut run = Run::configured();
    run.poll();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        run.machine.poll_failed(Some(run.now), run.now);
        let (pause, step) = run.step();
        pauses.push(pause.as_secs_f64());
        if let Step::Configure { .. } = step {
            run.machine.configured(PushConfig::parse(CONFIG, false).unwrap(), run.now, 0);
        } else {
            assert_eq!(pauses.len(), 1, "only the first retry uses the old addresses");
        }
        assert!(run.poll().2);
    }
    assert_eq!(pauses, [0.1, 15.0, 45.0, 45.0, 45.0, 600.0, 600.0, 600.0, 600.0, 600.0, 3600.0, 3600.0]);
    run.answer(40, PollOutcome::Nothing { mid: None });
    run.poll();
    assert_eq!(run.machine.poll_failed(Some(run.now), run.now), Duration::from_millis(100));
}

#[test]
fn polls_that_break_after_a_while_do_not_count_as_repeated_failures() {
    let mut run = Run::configured();
    for _ in 0..20 {
        run.poll();
        let started = run.now;
        run.now += Duration::from_secs(30);
        assert_eq!(run.machine.poll_failed(Some(started), run.now), Duration::from_millis(100));
    }
}

#[test]
fn requests_for_the_configuration_follow_the_same_table() {
    let mut run = Run::new();
    run.step();
    assert_eq!(run.machine.configuration_failed(run.now), Duration::from_millis(100));
    run.step();
    assert_eq!(run.machine.configuration_failed(run.now), Duration::from_secs(15));
}

#[test]
fn the_portal_is_not_asked_for_the_configuration_before_a_pause_has_passed() {
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let mut run = Run::new();
    run.step();
    run.machine.configuration_failed(run.now);
    run.machine.configure_not_before(run.now + minutes(3));
    assert_eq!(run.step().0, minutes(3));
    run.machine.configuration_failed(run.now);
    run.machine.configure_not_before(run.now);
    assert_eq!(run.step().0, Duration::from_secs(15), "a pause only gets longer");
}

#[test]
fn a_refused_channel_leads_to_new_channels() {
    let mut run = Run::configured();
    run.poll();
    run.answer(0, PollOutcome::ChannelRefused);
    let (pause, step) = run.step();
    assert!(matches!(step, Step::Configure { reopen: true }));
    assert_eq!(pause, Duration::from_millis(100));
    // A configuration alone is no success: if the server refuses it too, the pause grows.
    run.machine.configured(PushConfig::parse(CONFIG, false).unwrap(), run.now, 0);
    run.poll();
    run.answer(0, PollOutcome::ChannelRefused);
    assert_eq!(run.step().0, Duration::from_secs(15));
}

#[test]
fn an_accepted_channel_is_replaced_at_once() {
    let mut run = Run::configured();
    run.poll();
    run.answer(40, PollOutcome::Nothing { mid: None });
    run.poll();
    run.machine.poll_failed(Some(run.now), run.now);
    run.poll();
    run.answer(0, PollOutcome::ChannelRefused);
    assert!(matches!(run.step(), (Duration::ZERO, Step::Configure { reopen: true })));
}

#[test]
fn control_messages_replace_the_channel_or_the_configuration() {
    let mut run = Run::configured();
    run.poll();
    run.messages(vec![PushEvent::ChannelReplaced(Channel {
        id: Secret::new("new.sig"),
        kind: ChannelKind::Shared,
        expires: 0,
    })]);
    let (pause, url, gap) = run.poll();
    assert!(gap && url.contains("new.sig") && pause == Duration::ZERO);

    run.messages(vec![PushEvent::ConfigNeeded]);
    assert!(matches!(run.step(), (Duration::ZERO, Step::Configure { reopen: false })));
    run.machine.configured(PushConfig::parse(CONFIG, false).unwrap(), run.now, 0);
    run.poll();

    run.messages(vec![PushEvent::ConfigExpired, PushEvent::EventOffline { count: 1 }]);
    let (pause, step) = run.step();
    assert!(matches!(step, Step::Configure { .. }));
    assert_eq!(pause, Duration::from_secs(17));
}

#[test]
fn configurations_are_requested_at_most_once_a_second() {
    let mut run = Run::configured();
    for _ in 0..5 {
        run.poll();
        let position = Position::default();
        run.answer(0, PollOutcome::Messages { events: vec![PushEvent::ConfigNeeded], position, malformed: 0 });
        let (pause, step) = run.step();
        assert!(matches!(step, Step::Configure { .. }));
        assert_eq!(pause, MIN_INTERVAL);
        run.machine.configured(PushConfig::parse(CONFIG, false).unwrap(), run.now, 0);
    }
    assert_eq!(run.now - run.start, MIN_INTERVAL * 5);
}

#[test]
fn unreadable_envelopes_lead_to_one_check_and_a_new_position() {
    let mut run = Run::configured();
    run.poll();
    let position = Position { mid: Some("m1".into()), tag_time: None };
    let counts = run.answer(1, PollOutcome::Messages { events: vec![PushEvent::Unrelated], position, malformed: 2 });
    assert_eq!(counts.malformed, 2);
    assert!(run.poll().2);
    let counts = run.answer(1, PollOutcome::Unusable { text: "x".into(), malformed: 1 });
    assert_eq!(counts.malformed, 1);
    let (pause, url, gap) = run.poll();
    assert!(gap && !url.contains("mid=") && pause == Duration::from_millis(100));
}
