//! Servers that are of no use, whatever they do: the client leaves them in peace, and no number makes it panic.

use proptest::prelude::*;

use super::tests::{Run, WEBSOCKET, config};
use super::*;

/// What such a server does with the next attempt. Nothing of it is a success.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Nothing,
    PositionLost,
    Repetition,
    Unusable,
    Refused,
    Broken,
    Closed(u16),
    Unreached,
}

fn answers() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::Nothing),
        Just(Answer::PositionLost),
        Just(Answer::Repetition),
        Just(Answer::Unusable),
        Just(Answer::Refused),
        Just(Answer::Broken),
        prop_oneof![Just(1000), Just(1001), Just(1006), Just(3000), Just(3001), Just(4010), any::<u16>()]
            .prop_map(Answer::Closed),
        Just(Answer::Unreached),
    ]
}

fn poll(run: &mut Run, answer: Answer, random: u64) {
    let outcome = match answer {
        Answer::Nothing => PollOutcome::Nothing { mid: None },
        Answer::PositionLost => PollOutcome::PositionLost,
        Answer::Repetition | Answer::Closed(_) => {
            PollOutcome::Messages { events: vec![], is_news: false, position: Position::default(), malformed: 0 }
        }
        Answer::Unusable => PollOutcome::Unusable { text: "x".into(), malformed: 1 },
        Answer::Refused => PollOutcome::ChannelRefused,
        Answer::Broken | Answer::Unreached => {
            let load = if let Answer::Broken = answer { Load::Reached } else { Load::Unreached };
            run.machine.poll_failed(load, None, run.now, random);
            return;
        }
    };
    run.machine.poll_answered(outcome, run.now, run.now, random);
}

fn socket(run: &mut Run, answer: Answer, random: u64) {
    let not_opened = match answer {
        Answer::Refused => SocketEnd::ChannelRefused,
        Answer::Unusable => SocketEnd::NotOpened,
        Answer::Unreached => SocketEnd::Unreached,
        _ => {
            run.machine.socket_opened(run.now);
            run.machine.socket_alive(run.now);
            let end = if let Answer::Closed(code) = answer { SocketEnd::Closed(code) } else { SocketEnd::Broken };
            run.machine.socket_ended(end, run.now, random);
            return;
        }
    };
    run.machine.socket_not_opened(not_opened, run.now, run.now, random);
}

proptest! {
    #[test]
    fn attempts_become_rare(cycle in prop::collection::vec((answers(), any::<u64>()), 1..12), websocket: bool) {
        let mut run = Run::with(if websocket { WEBSOCKET } else { "" });
        let (mut hours, mut attempts, mut channel) = ([0u32; 6], 0, 1);
        for (answer, random) in cycle.into_iter().cycle() {
            let step = run.step().1;
            let hour = (run.now - run.start).as_secs() / 3600;
            let Some(count) = hours.get_mut(hour as usize) else { break };
            *count += 1;
            attempts += 1;
            prop_assert!(attempts < 100_000, "no time passes");
            match step {
                Step::Configure { .. } => {
                    channel += 1;
                    run.configure_at(&config(if websocket { WEBSOCKET } else { "" }, channel, None), None);
                }
                Step::Poll { .. } => poll(&mut run, answer, random),
                Step::OpenSocket { .. } => socket(&mut run, answer, random),
                step => prop_assert!(false, "{step:?}"),
            }
        }
        // Empty answers are spaced by ten seconds; with everything else the pauses grow much further.
        prop_assert!(hours.iter().all(|count| *count <= 400), "{hours:?}");
    }

    #[test]
    fn no_time_of_a_server_is_absurd_enough_for_a_panic(
        times in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 1..8),
    ) {
        let mut run = Run::with("");
        for (expires, server_time, random) in times {
            // Near the borders of the types, too.
            for shift in [0, 1, 33, 63] {
                run.configure_at(&config("", 1, Some(expires >> shift)), Some(server_time >> shift));
                poll(&mut run, Answer::Nothing, random);
                run.step();
            }
        }
    }
}
