//! Every fault the proxy knows, for both transports: the client recovers by itself, nothing is missed, and closing
//! takes no longer than ever.

use std::time::{Duration, Instant};

use b24_emulator::Options;

use super::proxy::Fault;
use super::setting::*;
use super::trials::{TRANSPORTS, Trial};

fn options() -> Options {
    Options { hold: Duration::from_millis(400), ..Options::default() }
}

fn close_in_time(trial: &Trial) {
    let start = Instant::now();
    trial.client.close();
    trial.client.join();
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
}

#[test]
fn the_client_recovers_from_every_fault() {
    for transport in TRANSPORTS {
        for fault in [Fault::Refuse, Fault::Hang, Fault::Dribble, Fault::StopReading, Fault::Garbage] {
            let trial = Trial::new(transport, options());
            trial.proxy.harm(fault);
            trial.setting.deals(0..10);
            trial.client.connect(LONG).unwrap();
            until("the fault", || !trial.proxy.is_armed());
            trial.setting.deals(10..20);
            let mut found = Vec::new();
            while found.len() < 20 {
                let mut batch = trial.client.next(LONG).unwrap().unwrap_or_else(|| panic!("{transport} {fault:?}"));
                found.extend(numbers(&mut batch));
                batch.acknowledge().unwrap();
            }
            found.sort();
            assert_eq!(found, (0..20).collect::<Vec<_>>(), "{transport} {fault:?}");
            // And the subscription stands in the end.
            until("the subscription", || trial.client.is_connected());
            trial.setting.deals([20]);
            assert_eq!(numbers(&mut trial.client.next(LONG).unwrap().unwrap()), [20], "{transport} {fault:?}");
            println!("{transport} {fault:?}: {}", trial.stats());
            close_in_time(&trial);
        }
    }
}

#[test]
fn closing_in_the_middle_of_a_fault() {
    for transport in TRANSPORTS {
        for fault in [Fault::Hang, Fault::StopReading] {
            let trial = Trial::new(transport, options());
            trial.proxy.harm(fault);
            std::thread::scope(|scope| {
                let connect = scope.spawn(|| trial.client.connect(b24events::clock::Timeout::Never));
                until("the fault", || !trial.proxy.is_armed());
                close_in_time(&trial);
                // By polling the subscription may stand already.
                drop(connect.join().unwrap());
            });
        }
    }
}
