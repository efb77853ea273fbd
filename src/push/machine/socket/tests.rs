//! WebSockets through hours and days of simulated time.

use super::*;
use crate::push::config::{Channel, ChannelKind};
use crate::push::long_polling::PollOutcome;
use crate::push::machine::tests::{Run, WEBSOCKET, config};
use crate::push::message::{PushEvent, decode};
use crate::push::recent::RecentMessages;

const HOUR: Duration = Duration::from_secs(3600);
/// How long a channel lives.
const CHANNEL_LIFETIME: Duration = Duration::from_secs(43_205);

/// A signal with this `mid`.
fn signal(mid: u64) -> Decoded {
    signal_among(mid, &mut RecentMessages::default())
}

fn signal_among(mid: u64, recent: &mut RecentMessages) -> Decoded {
    let body = format!(
        r##"#!NGINXNMS!#{{"mid":"{mid}","text":{{"module_id":"rest","command":"event_offline",
        "params":[{{"connector_id":"","count":1}}]}}}}#!NGINXNME!#"##
    );
    decode(body.as_bytes(), "", recent)
}

/// Opens the WebSocket that the machine asks for. Returns the pause before it, and whether it follows a gap.
fn opened(run: &mut Run) -> (Duration, bool) {
    let (pause, step) = run.step();
    let Step::OpenSocket { url, gap } = step else { panic!("{step:?}") };
    assert!(url.expose().starts_with("https://rt.example/subws/?CHANNEL_ID="), "{}", url.expose());
    run.machine.socket_opened(run.now);
    (pause, gap)
}

/// A machine with an open WebSocket that has answered a ping.
fn open() -> Run {
    let mut run = Run::with(WEBSOCKET);
    assert!(opened(&mut run).1, "a check after connecting");
    assert!(matches!(run.machine.next_step(run.now), Step::Ping));
    run.machine.ping_sent();
    run.machine.socket_alive(run.now);
    run
}

#[test]
fn failures_follow_the_vendors_table_until_long_polling_takes_over() {
    let mut run = open();
    let mut pauses = vec![run.machine.socket_ended(SocketEnd::Broken, run.now, 0).as_secs_f64()];
    while let (_, Step::OpenSocket { .. } | Step::Configure { .. }) = run.step() {
        if run.machine.config().is_none() {
            run.configure(WEBSOCKET);
            continue;
        }
        pauses.push(run.machine.socket_not_opened(SocketEnd::NotOpened, run.now, run.now, 0).as_secs_f64());
    }
    assert_eq!(pauses, [0.1, 15.0, 45.0, 45.0, 45.0]);
    // Long polling for at least ten minutes, then one attempt to open a WebSocket, whose failure costs nothing.
    let start = run.now;
    while let (_, Step::Poll { .. }) = run.step() {
        run.answer(40, PollOutcome::Nothing { mid: Some("m".into()) });
    }
    assert!(run.now - start >= Duration::from_secs(555) && run.now - start < Duration::from_secs(700));
    assert!(matches!(run.step().1, Step::OpenSocket { gap: false, .. }));
    assert_eq!(run.machine.socket_not_opened(SocketEnd::NotOpened, run.now, run.now, 0), Duration::ZERO);
    assert!(matches!(run.step().1, Step::Poll { gap: false, .. }));
}

#[test]
fn without_any_websocket_long_polling_starts_soon() {
    for (took, attempts) in [(0, 2), (10, 1)] {
        let mut run = Run::with(WEBSOCKET);
        for _ in 0..attempts {
            assert!(matches!(run.step().1, Step::OpenSocket { .. }));
            let started = run.now;
            run.now += Duration::from_secs(took);
            run.machine.socket_not_opened(SocketEnd::NotOpened, started, run.now, 0);
        }
        assert!(matches!(run.step(), (Duration::ZERO, Step::Poll { .. })));
    }
}

#[test]
fn a_silent_websocket_is_pinged_and_then_ended() {
    let mut run = open();
    let (wait, step) = run.step();
    assert!(matches!(step, Step::Ping), "{step:?}");
    assert_eq!(wait, Duration::from_secs(75));
    run.machine.ping_sent();
    let (wait, step) = run.step();
    assert!(matches!(step, Step::EndSilentSocket), "{step:?}");
    assert_eq!(wait, Duration::from_secs(75));
    assert_eq!(run.machine.socket_ended(SocketEnd::Silent, run.now, 0), Duration::from_millis(100));
    assert!(opened(&mut run).1);
}

#[test]
fn close_codes_decide_about_the_pause_and_the_configuration() {
    // The pause before the next step in seconds, and whether that step is a new configuration.
    for (code, pause, configures) in [
        (1000, 0, false),
        (1001, 0, false),
        (1006, 0, false),
        (3000, 0, true),
        (3001, 0, true),
        (3003, 0, true),
        (4010, 12, true),
    ] {
        let mut run = open();
        run.now += HOUR;
        run.machine.socket_alive(run.now);
        run.machine.socket_ended(SocketEnd::Closed(code), run.now, 7);
        let (waited, step) = run.step();
        assert_eq!(waited.as_secs(), pause, "{code}");
        assert_eq!(
            matches!(step, Step::Configure { reopen } if reopen == (code == 4010)),
            configures,
            "{code} {step:?}"
        );
    }
    // The same code directly after opening is a failure, and the pauses follow the table.
    let mut run = Run::with(WEBSOCKET);
    for pause in [0.1, 15.0, 45.0] {
        opened(&mut run);
        assert_eq!(run.machine.socket_ended(SocketEnd::Closed(3001), run.now, 0).as_secs_f64(), pause);
        run.step();
        run.configure(WEBSOCKET);
    }
}

#[test]
fn a_new_channel_is_opened_before_the_old_one_is_closed() {
    let mut run = open();
    run.machine.messages_received(signal(1), run.now, 0);
    let channel = Channel { id: Secret::new("new.sig"), kind: ChannelKind::Shared, expires: 0 };
    let replaced = Decoded { events: vec![PushEvent::ChannelReplaced(channel)], ..Decoded::default() };
    run.machine.messages_received(replaced, run.now, 0);
    assert!(run.machine.has_socket());
    assert!(matches!(run.machine.next_step(run.now), Step::OpenSocket { url, .. } if url.expose().contains("new.sig")));
    // If it cannot be opened, the old WebSocket stays in use, and what arrives there does not shorten the pause.
    assert_eq!(run.machine.socket_not_opened(SocketEnd::NotOpened, run.now, run.now, 0), Duration::from_millis(100));
    run.machine.messages_received(signal(2), run.now, 0);
    assert!(
        matches!(run.machine.next_step(run.now), Step::Listen(until) if until == run.now + Duration::from_millis(100))
    );
    assert_eq!(opened(&mut run).0, Duration::from_millis(100));
    assert!(matches!(run.machine.next_step(run.now), Step::Ping));
}

#[test]
fn a_simulated_week_has_one_renewal_every_twelve_hours() {
    let mut run = open();
    let end = run.now + HOUR * 24 * 7;
    let (mut configurations, mut openings, mut pings, mut restarts) = (0, 0, 0, 0);
    let mut channel_expires = run.now + CHANNEL_LIFETIME;
    let mut channel = 1;
    run.configure_at(&config(WEBSOCKET, channel, Some(5_000 + CHANNEL_LIFETIME.as_secs())), Some(5_000));
    while run.now < end {
        match run.step().1 {
            Step::Configure { .. } => {
                assert!(run.now < channel_expires, "renewed in time");
                configurations += 1;
                channel += 1;
                channel_expires = run.now + CHANNEL_LIFETIME;
                let unix = 5_000 + (run.now - run.start).as_secs();
                let json = config(WEBSOCKET, channel, Some(unix + CHANNEL_LIFETIME.as_secs()));
                // The server's clock differs from ours; only its own times are compared.
                run.configure_at(&json, Some(unix));
            }
            Step::OpenSocket { .. } => {
                openings += 1;
                run.machine.socket_opened(run.now);
                run.machine.socket_alive(run.now);
            }
            Step::Ping => {
                pings += 1;
                run.machine.ping_sent();
                run.machine.socket_alive(run.now);
                // The server restarts about twice a day.
                if pings % 600 == 0 {
                    restarts += 1;
                    run.machine.socket_ended(SocketEnd::Closed(1001), run.now, 0);
                }
            }
            step => panic!("{step:?}"),
        }
    }
    println!("a week: {configurations} renewals, {openings} openings, {restarts} restarts, {pings} pings");
    assert_eq!(configurations, 14, "one every twelve hours");
    assert_eq!(openings, configurations + restarts);
}

#[test]
fn failed_renewals_are_retried_while_the_old_channels_stay_in_use() {
    let mut run = open();
    run.configure_at(&config(WEBSOCKET, 1, Some(10_000)), Some(0));
    let mut pauses = Vec::new();
    for _ in 0..4 {
        loop {
            match run.step().1 {
                Step::Configure { reopen: false } => break,
                Step::Ping => {
                    run.machine.ping_sent();
                    run.machine.socket_alive(run.now);
                }
                Step::OpenSocket { .. } => run.machine.socket_opened(run.now),
                step => panic!("{step:?}"),
            }
        }
        assert!(run.machine.has_socket());
        pauses.push(run.machine.configuration_failed(Load::Reached, run.now, 0).as_secs_f64());
    }
    assert_eq!(pauses, [0.1, 15.0, 45.0, 45.0]);
    // The same channels again need no new subscription.
    run.now += Duration::from_secs(45);
    run.configure_at(&config(WEBSOCKET, 1, Some(10_000)), Some(9_800));
    run.machine.socket_alive(run.now);
    assert!(matches!(run.machine.next_step(run.now), Step::Listen(_)));
}

/// Opens the WebSocket that the machine asks for after it was configured.
fn reopened(run: &mut Run) -> Duration {
    let (mut pause, mut step) = run.step();
    if let Step::Configure { .. } = step {
        run.configure(WEBSOCKET);
        let (more, next) = run.step();
        (pause, step) = (pause + more, next);
    }
    assert!(matches!(step, Step::OpenSocket { .. }), "{step:?}");
    run.machine.socket_opened(run.now);
    pause
}

#[test]
fn one_pong_is_no_success() {
    for (end, first_pause) in [
        (SocketEnd::Broken, 0.1),
        (SocketEnd::Closed(1000), 0.1),
        (SocketEnd::Closed(1001), 0.1),
        (SocketEnd::Closed(3001), 0.1),
        (SocketEnd::Closed(4010), 5.0),
    ] {
        let mut run = Run::with(WEBSOCKET);
        let mut pauses = Vec::new();
        for _ in 0..4 {
            reopened(&mut run);
            assert!(matches!(run.machine.next_step(run.now), Step::Ping));
            run.machine.ping_sent();
            run.machine.socket_alive(run.now);
            pauses.push(run.machine.socket_ended(end, run.now, 0).as_secs_f64());
        }
        assert_eq!(pauses, [first_pause, 15.0, 45.0, 45.0], "{end:?}");
    }
}

#[test]
fn a_websocket_that_never_stands_leads_to_long_polling_however_it_is_closed() {
    for end in [SocketEnd::Broken, SocketEnd::Closed(1000), SocketEnd::Closed(1011)] {
        let mut run = Run::with(WEBSOCKET);
        for _ in 0..5 {
            reopened(&mut run);
            run.machine.socket_alive(run.now);
            run.machine.socket_ended(end, run.now, 0);
        }
        let (_, step) = run.step();
        assert!(matches!(step, Step::Configure { .. }), "{end:?} {step:?}");
        run.configure(WEBSOCKET);
        assert!(matches!(run.step().1, Step::Poll { .. }), "{end:?}");
    }
}

#[test]
fn a_websocket_succeeds_by_standing_or_by_news() {
    // It has stood, though nothing but a pong has come.
    let mut run = Run::with(WEBSOCKET);
    for _ in 0..20 {
        reopened(&mut run);
        run.machine.socket_alive(run.now);
        run.now += Duration::from_secs(10);
        assert_eq!(run.machine.socket_ended(SocketEnd::Broken, run.now, 0), Duration::from_millis(100));
    }
    // It has brought something new, each time; a repetition is no news.
    let mut run = Run::with(WEBSOCKET);
    let mut recent = RecentMessages::default();
    for mid in 0..20 {
        reopened(&mut run);
        run.machine.messages_received(signal_among(mid, &mut recent), run.now, 0);
        assert_eq!(run.machine.socket_ended(SocketEnd::Broken, run.now, 0), Duration::from_millis(100));
    }
    let mut pauses = Vec::new();
    for _ in 0..3 {
        reopened(&mut run);
        run.machine.messages_received(signal_among(19, &mut recent), run.now, 0);
        pauses.push(run.machine.socket_ended(SocketEnd::Broken, run.now, 0).as_secs());
    }
    assert_eq!(pauses, [15, 45, 45]);
}

#[test]
fn a_server_that_restarts_is_tried_soon_and_keeps_its_websocket() {
    let mut run = open();
    run.now += HOUR;
    let mut pauses = vec![run.machine.socket_ended(SocketEnd::Closed(1001), run.now, 0).as_secs_f64()];
    for _ in 0..4 {
        assert!(matches!(run.step().1, Step::OpenSocket { .. }));
        pauses.push(run.machine.socket_not_opened(SocketEnd::Unreached, run.now, run.now, 0).as_secs_f64());
    }
    assert_eq!(pauses, [0.1, 0.9, 1.0, 2.0, 4.0]);
    assert!(opened(&mut run).1);
}

#[test]
fn failed_attempts_to_leave_long_polling_do_not_shorten_its_pauses() {
    let mut run = Run::with(WEBSOCKET);
    for _ in 0..2 {
        run.step();
        run.machine.socket_not_opened(SocketEnd::NotOpened, run.now, run.now, 0);
    }
    // Long polling fails too, for days.
    let end = run.now + HOUR * 72;
    let mut polls = 0;
    while run.now < end {
        match run.step().1 {
            Step::Configure { .. } => run.configure(WEBSOCKET),
            Step::Poll { .. } => {
                polls += 1;
                run.machine.poll_failed(Load::Reached, None, run.now, 0);
            }
            Step::OpenSocket { .. } => {
                run.machine.socket_not_opened(SocketEnd::NotOpened, run.now, run.now, 0);
            }
            step => panic!("{step:?}"),
        }
    }
    assert!(polls <= 11 + 72, "{polls} polls");
}

#[test]
fn a_websocket_on_which_nothing_ever_comes_leads_to_long_polling() {
    let mut run = Run::with(WEBSOCKET);
    let mut openings = 0;
    loop {
        match run.step().1 {
            Step::OpenSocket { .. } => {
                openings += 1;
                assert!(openings <= 5, "a proxy accepts the handshake and lets no frame through");
                run.machine.socket_opened(run.now);
            }
            Step::Ping => run.machine.ping_sent(),
            Step::EndSilentSocket => drop(run.machine.socket_ended(SocketEnd::Silent, run.now, 0)),
            Step::Configure { .. } => run.configure(WEBSOCKET),
            Step::Poll { .. } => break,
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(openings, 5);
}
