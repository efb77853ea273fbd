use super::*;
use crate::config::PlainHttp;
use crate::push::config::{Channel, ChannelKind};
use crate::push::recent::RecentMessages;

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
        let config = PushConfig::parse(json, PlainHttp::Never).unwrap().with_server_time(server_time);
        self.machine.configured(config, self.now, 0);
    }

    fn new() -> Run {
        let start = Instant::now();
        Run { machine: Machine::new(SETTINGS), start, now: start }
    }

    fn configured() -> Run {
        let mut run = Run::new();
        assert!(matches!(run.machine.next_step(run.now), Step::Configure { reopen: false }));
        run.machine.configured(PushConfig::parse(CONFIG, PlainHttp::Never).unwrap(), run.now, 0);
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
        self.answer(1, PollOutcome::Messages { events, is_news: true, position, malformed: 0 })
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
fn a_server_that_answers_at_once_is_polled_after_growing_pauses_of_up_to_ten_seconds() {
    let mut run = Run::configured();
    run.poll();
    let mut pauses = Vec::new();
    for number in 0..6 {
        let lost = number % 2 == 1;
        run.answer(0, if lost { PollOutcome::PositionLost } else { PollOutcome::Nothing { mid: None } });
        pauses.push(run.poll().0.as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
    // The pauses count from one poll to the next, and a poll that is held starts over.
    run.answer(9, PollOutcome::Nothing { mid: None });
    assert_eq!(run.poll().0.as_secs(), 1);
    run.answer(10, PollOutcome::Nothing { mid: None });
    assert_eq!(run.poll().0.as_secs(), 0);
    run.answer(0, PollOutcome::Nothing { mid: None });
    assert_eq!(run.poll().0.as_secs(), 1);
}

/// Answers of a server, read as they come.
struct Answers(RecentMessages);

impl Answers {
    /// The next answer, with these envelopes.
    fn read(&mut self, envelopes: &[&str]) -> PollOutcome {
        let body: String = envelopes.iter().map(|json| format!("#!NGINXNMS!#{json}#!NGINXNME!#")).collect();
        let answer = crate::net::http::HttpResponse { status: 200, headers: Default::default(), body: body.into() };
        crate::push::long_polling::read(&answer, "", &mut self.0)
    }
}

const SIGNAL: &str =
    r#""text":{"module_id":"rest","command":"event_offline","params":[{"connector_id":"","count":1}]}"#;

#[test]
fn a_message_that_is_repeated_for_ever_is_no_news() {
    for position in [r#""mid":"m1""#, r#""tag":"3","time":"Tue, 24 Nov 2026 02:01:51 GMT","channel":"c""#] {
        let mut run = Run::configured();
        let mut answers = Answers(RecentMessages::default());
        let message = format!("{{{position},{SIGNAL}}}");
        run.poll();
        assert_eq!(run.answer(0, answers.read(&[&message])).signals, 1);
        assert_eq!(run.poll().0, Duration::ZERO);
        let mut pauses = Vec::new();
        for _ in 0..4 {
            assert_eq!(run.answer(0, answers.read(&[&message])).signals, 0);
            let (pause, step) = run.step();
            pauses.push(pause.as_secs_f64());
            if let Step::Configure { .. } = step {
                run.machine.configured(PushConfig::parse(CONFIG, PlainHttp::Never).unwrap(), run.now, 0);
            }
            run.poll();
        }
        assert_eq!(pauses, [0.1, 15.0, 45.0, 45.0], "{position}");
        // Something new starts over.
        let new = message.replace("m1", "m2").replace("\"3\"", "\"4\"");
        assert_eq!(run.answer(0, answers.read(&[&message, &new])).signals, 1);
        assert_eq!(run.poll().0, Duration::ZERO);
    }
}

#[test]
fn messages_without_any_identity_are_signals_but_no_success() {
    let mut run = Run::configured();
    let mut answers = Answers(RecentMessages::default());
    let message = format!("{{{SIGNAL}}}");
    run.poll();
    let mut pauses = Vec::new();
    for _ in 0..5 {
        assert_eq!(run.answer(0, answers.read(&[&message])).signals, 1);
        pauses.push(run.poll().0.as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 10]);
}

#[test]
fn a_position_that_no_request_can_carry_is_forgotten() {
    let mut run = Run::configured();
    let mut answers = Answers(RecentMessages::default());
    run.poll();
    run.answer(1, answers.read(&[&format!(r#"{{"mid":"m1",{SIGNAL}}}"#)]));
    assert!(run.poll().1.ends_with("&mid=m1"));
    let long = "9".repeat(100_000);
    let counts = run.answer(1, answers.read(&[&format!(r#"{{"mid":"{long}",{SIGNAL}}}"#)]));
    assert_eq!(counts.signals, 1);
    let (_, url, gap) = run.poll();
    assert!(gap && url.len() < 100, "{}", url.len());
    run.answer(40, PollOutcome::Nothing { mid: Some(long) });
    assert!(run.poll().1.len() < 100);
}

#[test]
fn an_expiry_beyond_all_calendars_does_no_harm() {
    for expires in [i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
        let mut run = Run::new();
        run.configure_at(&config("", 1, Some(expires)), Some(1));
        run.poll();
        run.configure_at(&config("", 2, Some(1)), Some(expires));
        run.step();
    }
}

#[test]
fn what_never_reached_the_server_is_tried_again_soon() {
    let mut run = Run::configured();
    run.poll();
    let mut pauses = Vec::new();
    for _ in 0..7 {
        // 0: no jitter.
        pauses.push(run.machine.poll_failed(Load::Unreached, None, run.now, 0).as_secs_f64());
        if let (_, Step::Configure { .. }) = run.step() {
            assert!(pauses.len() > 5, "the addresses are not in doubt yet");
            run.machine.configured(PushConfig::parse(CONFIG, PlainHttp::Never).unwrap(), run.now, 0);
        }
        run.poll();
    }
    assert_eq!(pauses, [0.1, 0.9, 1.0, 2.0, 4.0, 15.0, 45.0]);
    // The portal itself counts in the same way.
    let mut run = Run::new();
    run.step();
    for pause in [0.1, 0.9, 1.0] {
        assert_eq!(run.machine.configuration_failed(Load::Unreached, run.now, 0).as_secs_f64(), pause);
        run.step();
    }
}

#[test]
fn failures_follow_the_vendors_table_and_lead_to_a_new_configuration() {
    let mut run = Run::configured();
    run.poll();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        run.machine.poll_failed(Load::Reached, Some(run.now), run.now, 0);
        let (pause, step) = run.step();
        pauses.push(pause.as_secs_f64());
        if let Step::Configure { .. } = step {
            run.machine.configured(PushConfig::parse(CONFIG, PlainHttp::Never).unwrap(), run.now, 0);
        } else {
            assert_eq!(pauses.len(), 1, "only the first retry uses the old addresses");
        }
        assert!(run.poll().2);
    }
    assert_eq!(pauses, [0.1, 15.0, 45.0, 45.0, 45.0, 600.0, 600.0, 600.0, 600.0, 600.0, 3600.0, 3600.0]);
    run.answer(40, PollOutcome::Nothing { mid: None });
    run.poll();
    assert_eq!(run.machine.poll_failed(Load::Reached, Some(run.now), run.now, 0), Duration::from_millis(100));
}

#[test]
fn polls_that_break_after_a_while_do_not_count_as_repeated_failures() {
    let mut run = Run::configured();
    for _ in 0..20 {
        run.poll();
        let started = run.now;
        run.now += Duration::from_secs(30);
        assert_eq!(run.machine.poll_failed(Load::Reached, Some(started), run.now, 0), Duration::from_millis(100));
    }
}

#[test]
fn requests_for_the_configuration_follow_the_same_table() {
    let mut run = Run::new();
    run.step();
    assert_eq!(run.machine.configuration_failed(Load::Reached, run.now, 0), Duration::from_millis(100));
    run.step();
    assert_eq!(run.machine.configuration_failed(Load::Reached, run.now, 0), Duration::from_secs(15));
}

#[test]
fn the_portal_is_not_asked_for_the_configuration_before_a_pause_has_passed() {
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let mut run = Run::new();
    run.step();
    run.machine.configuration_failed(Load::Reached, run.now, 0);
    run.machine.configure_not_before(run.now + minutes(3));
    assert_eq!(run.step().0, minutes(3));
    run.machine.configuration_failed(Load::Reached, run.now, 0);
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
    run.machine.configured(PushConfig::parse(CONFIG, PlainHttp::Never).unwrap(), run.now, 0);
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
    run.machine.poll_failed(Load::Reached, Some(run.now), run.now, 0);
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
    run.machine.configured(PushConfig::parse(CONFIG, PlainHttp::Never).unwrap(), run.now, 0);
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
        run.answer(
            0,
            PollOutcome::Messages { events: vec![PushEvent::ConfigNeeded], is_news: true, position, malformed: 0 },
        );
        let (pause, step) = run.step();
        assert!(matches!(step, Step::Configure { .. }));
        assert_eq!(pause, MIN_INTERVAL);
        run.machine.configured(PushConfig::parse(CONFIG, PlainHttp::Never).unwrap(), run.now, 0);
    }
    assert_eq!(run.now - run.start, MIN_INTERVAL * 5);
}

#[test]
fn unreadable_envelopes_lead_to_one_check_and_a_new_position() {
    let mut run = Run::configured();
    run.poll();
    let position = Position { mid: Some("m1".into()), tag_time: None };
    let counts = run
        .answer(1, PollOutcome::Messages { events: vec![PushEvent::Unrelated], is_news: true, position, malformed: 2 });
    assert_eq!(counts.malformed, 2);
    assert!(run.poll().2);
    let counts = run.answer(1, PollOutcome::Unusable { text: "x".into(), malformed: 1 });
    assert_eq!(counts.malformed, 1);
    let (pause, url, gap) = run.poll();
    assert!(gap && !url.contains("mid=") && pause == Duration::from_millis(100));
}
