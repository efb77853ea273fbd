//! A simulated life of WebSocket connections: hours and weeks without waiting.

use super::tests::{Run, WEBSOCKET, config};
use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const CHANNEL: Duration = Duration::from_secs(43_205);

fn decoded(mid: u64) -> Decoded {
    let body = format!(
        r##"#!NGINXNMS!#{{"mid":"{mid}","text":{{"module_id":"rest","command":"event_offline","params":[{{"connector_id":"","count":1}}]}}}}#!NGINXNME!#"##
    );
    crate::push::message::decode(body.as_bytes(), "", &mut Recent::default())
}

fn opened(run: &mut Run) -> (Duration, bool) {
    let (pause, step) = run.step();
    let Step::Open { url, gap } = step else { panic!("{step:?}") };
    assert!(url.expose().starts_with("https://rt.example/subws/?CHANNEL_ID="), "{}", url.expose());
    run.connection.opened(run.now);
    (pause, gap)
}

fn open() -> Run {
    let mut run = Run::with(WEBSOCKET);
    assert!(opened(&mut run).1, "a look after connecting");
    assert!(matches!(run.connection.next(run.now), Step::Ping));
    run.connection.pinged();
    run.connection.heard(run.now);
    run
}

#[test]
fn failures_follow_the_vendors_table_and_then_long_polling_goes_on() {
    let mut run = open();
    let mut pauses = vec![run.connection.lost(Lost::Broken, run.now, 0).as_secs_f64()];
    while let (_, Step::Open { .. } | Step::Configure { .. }) = run.step() {
        if run.connection.config().is_none() {
            run.configure(WEBSOCKET);
            continue;
        }
        pauses.push(run.connection.not_opened(Lost::NotOpened, run.now, run.now, 0).as_secs_f64());
    }
    assert_eq!(pauses, [0.1, 15.0, 45.0, 45.0, 45.0]);
    // Long polling for at least ten minutes, then one attempt by WebSocket that costs nothing when it fails.
    let start = run.now;
    while let (_, Step::Poll { .. }) = run.step() {
        run.answer(40, Polled::Nothing { mid: Some("m".into()) });
    }
    assert!(run.now - start >= Duration::from_secs(555) && run.now - start < Duration::from_secs(700));
    assert!(matches!(run.step().1, Step::Open { gap: false, .. }));
    assert_eq!(run.connection.not_opened(Lost::NotOpened, run.now, run.now, 0), Duration::ZERO);
    assert!(matches!(run.step().1, Step::Poll { gap: false, .. }));
}

#[test]
fn who_waits_in_connect_gets_long_polling_soon() {
    for (took, attempts) in [(0, 2), (10, 1)] {
        let mut run = Run::with(WEBSOCKET);
        for _ in 0..attempts {
            assert!(matches!(run.step().1, Step::Open { .. }));
            let started = run.now;
            run.now += Duration::from_secs(took);
            run.connection.not_opened(Lost::NotOpened, started, run.now, 0);
        }
        assert!(matches!(run.step(), (Duration::ZERO, Step::Poll { .. })));
    }
}

#[test]
fn silence_is_asked_about_and_ends() {
    let mut run = open();
    let (wait, step) = run.step();
    assert!(matches!(step, Step::Ping), "{step:?}");
    assert_eq!(wait, Duration::from_secs(75));
    run.connection.pinged();
    let (wait, step) = run.step();
    assert!(matches!(step, Step::Dead), "{step:?}");
    assert_eq!(wait, Duration::from_secs(75));
    assert_eq!(run.connection.lost(Lost::Silent, run.now, 0), Duration::from_millis(100));
    assert!(opened(&mut run).1);
}

#[test]
fn close_codes() {
    // What it takes until the next step, and whether that is a new configuration.
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
        run.connection.heard(run.now);
        run.connection.lost(Lost::Closed(code), run.now, 7);
        let (waited, step) = run.step();
        assert_eq!(waited.as_secs(), pause, "{code}");
        assert_eq!(
            matches!(step, Step::Configure { reopen } if reopen == (code == 4010)),
            configures,
            "{code} {step:?}"
        );
    }
    // The same at once after the opening is a failure, and the table goes on.
    let mut run = Run::with(WEBSOCKET);
    for pause in [0.1, 15.0, 45.0] {
        opened(&mut run);
        assert_eq!(run.connection.lost(Lost::Closed(3001), run.now, 0).as_secs_f64(), pause);
        run.step();
        run.configure(WEBSOCKET);
    }
}

#[test]
fn a_new_channel_is_opened_before_the_old_one_is_left() {
    let mut run = open();
    run.connection.received(decoded(1), run.now, 0);
    let channel = crate::push::config::Channel {
        id: Secret::new("new.sig"),
        kind: crate::push::config::ChannelKind::Shared,
        ends: 0,
    };
    let replaced = Decoded { meanings: vec![Meaning::ChannelReplaced(channel)], ..Decoded::default() };
    run.connection.received(replaced, run.now, 0);
    assert!(run.connection.has_socket());
    assert!(matches!(run.connection.next(run.now), Step::Open { url, .. } if url.expose().contains("new.sig")));
    // It cannot be opened: the old one is listened to meanwhile, and what it brings does not shorten the pause.
    assert_eq!(run.connection.not_opened(Lost::NotOpened, run.now, run.now, 0), Duration::from_millis(100));
    run.connection.received(decoded(2), run.now, 0);
    assert!(
        matches!(run.connection.next(run.now), Step::Listen(until) if until == run.now + Duration::from_millis(100))
    );
    assert_eq!(opened(&mut run).0, Duration::from_millis(100));
    assert!(matches!(run.connection.next(run.now), Step::Ping));
}

#[test]
fn a_week_of_renewals_and_restarts() {
    let mut run = open();
    let end = run.now + HOUR * 24 * 7;
    let (mut configurations, mut openings, mut pings, mut restarts) = (0, 0, 0, 0);
    let mut channel_ends = run.now + CHANNEL;
    let mut channel = 1;
    run.configure_at(&config(WEBSOCKET, channel, Some(5_000 + CHANNEL.as_secs())), Some(5_000));
    while run.now < end {
        match run.step().1 {
            Step::Configure { .. } => {
                assert!(run.now < channel_ends, "in good time");
                configurations += 1;
                channel += 1;
                channel_ends = run.now + CHANNEL;
                let unix = 5_000 + (run.now - run.start).as_secs();
                let json = config(WEBSOCKET, channel, Some(unix + CHANNEL.as_secs()));
                // The host's clock does not matter: only the server's own times are compared.
                run.configure_at(&json, Some(unix));
            }
            Step::Open { .. } => {
                openings += 1;
                run.connection.opened(run.now);
                run.connection.heard(run.now);
            }
            Step::Ping => {
                pings += 1;
                run.connection.pinged();
                run.connection.heard(run.now);
                // The server is restarted about twice a day.
                if pings % 600 == 0 {
                    restarts += 1;
                    run.connection.lost(Lost::Closed(1001), run.now, 0);
                }
            }
            step => panic!("{step:?}"),
        }
    }
    println!("a week: {configurations} renewals, {openings} openings, {restarts} restarts, {pings} pings");
    assert_eq!(configurations, 14, "one in twelve hours");
    assert_eq!(openings, configurations + restarts);
}

#[test]
fn renewals_that_fail_are_repeated_while_the_old_channels_live() {
    let mut run = open();
    run.configure_at(&config(WEBSOCKET, 1, Some(10_000)), Some(0));
    let mut pauses = Vec::new();
    for _ in 0..4 {
        loop {
            match run.step().1 {
                Step::Configure { reopen: false } => break,
                Step::Ping => {
                    run.connection.pinged();
                    run.connection.heard(run.now);
                }
                Step::Open { .. } => run.connection.opened(run.now),
                step => panic!("{step:?}"),
            }
        }
        assert!(run.connection.has_socket());
        pauses.push(run.connection.not_configured(run.now).as_secs_f64());
    }
    assert_eq!(pauses, [0.1, 15.0, 45.0, 45.0]);
    // The same channels again: no new subscription.
    run.now += Duration::from_secs(45);
    run.configure_at(&config(WEBSOCKET, 1, Some(10_000)), Some(9_800));
    run.connection.heard(run.now);
    assert!(matches!(run.connection.next(run.now), Step::Listen(_)));
}
