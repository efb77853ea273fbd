//! Every fault the proxy knows, for both transports: the client recovers, misses nothing, and closes in the usual
//! time.

use std::time::{Duration, Instant};

use b24_emulator::Options;

use super::proxied::{Proxied, TRANSPORTS};
use super::proxy::Fault;
use super::support::*;

fn options() -> Options {
    Options { hold: Duration::from_millis(400), ..Options::default() }
}

fn close_in_time(proxied: &Proxied) {
    let start = Instant::now();
    proxied.client.close();
    proxied.client.join();
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
}

#[test]
fn the_client_recovers_from_every_fault() {
    for transport in TRANSPORTS {
        for fault in [Fault::Refuse, Fault::Hang, Fault::Dribble, Fault::StopReading, Fault::Garbage] {
            let proxied = Proxied::new(transport, options());
            proxied.proxy.break_next(fault);
            proxied.portal.add_deals(0..10);
            proxied.client.connect(LONG).unwrap();
            until("the fault", || !proxied.proxy.is_armed());
            proxied.portal.add_deals(10..20);
            let mut found = Vec::new();
            while found.len() < 20 {
                let mut batch = proxied.client.next(LONG).unwrap().unwrap_or_else(|| panic!("{transport} {fault:?}"));
                found.extend(numbers(&mut batch));
                batch.acknowledge().unwrap();
            }
            found.sort();
            assert_eq!(found, (0..20).collect::<Vec<_>>(), "{transport} {fault:?}");
            // In the end there is a subscription.
            until("the subscription", || proxied.client.is_connected());
            proxied.portal.add_deals([20]);
            assert_eq!(numbers(&mut proxied.client.next(LONG).unwrap().unwrap()), [20], "{transport} {fault:?}");
            println!("{transport} {fault:?}: {}", proxied.stats());
            close_in_time(&proxied);
        }
    }
}

#[test]
fn the_client_closes_at_once_in_the_middle_of_a_fault() {
    for transport in TRANSPORTS {
        for fault in [Fault::Hang, Fault::StopReading] {
            let proxied = Proxied::new(transport, options());
            proxied.proxy.break_next(fault);
            std::thread::scope(|scope| {
                let connect = scope.spawn(|| proxied.client.connect(b24events::clock::Timeout::Never));
                until("the fault", || !proxied.proxy.is_armed());
                close_in_time(&proxied);
                // By polling there may be a subscription already.
                drop(connect.join().unwrap());
            });
        }
    }
}
