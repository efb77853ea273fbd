//! A push server that is killed and started again every few seconds, and one that does not run at all.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::proxied::TRANSPORTS;
use super::scripted::{ReservedPort, name_push_server};
use super::support::*;

/// How long the server runs, and how long it does not.
const UP: Duration = Duration::from_millis(1500);
const DOWN: Duration = Duration::from_millis(1500);
const EVENTS: u32 = 200;

/// Relays `address` to `target`, with interruptions, until it is told to stop.
fn flap(address: SocketAddr, target: SocketAddr, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let open = Mutex::new(Vec::new());
        let end = Instant::now() + UP;
        thread::scope(|scope| {
            while Instant::now() < end {
                match listener.accept() {
                    Ok((client, _)) => {
                        let server = TcpStream::connect(target).unwrap();
                        client.set_nonblocking(false).unwrap();
                        let copies = || (client.try_clone().unwrap(), server.try_clone().unwrap());
                        let (up, down) = (copies(), copies());
                        scope.spawn(move || io::copy(&mut &up.0, &mut &up.1));
                        scope.spawn(move || io::copy(&mut &down.1, &mut &down.0));
                        open.lock().unwrap().extend([client, server]);
                    }
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
            for stream in open.lock().unwrap().iter() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        drop(listener);
        thread::sleep(DOWN);
    }
}

#[test]
fn records_arrive_soon_although_the_push_server_restarts_every_three_seconds() {
    thread::scope(|scope| {
        for transport in TRANSPORTS {
            scope.spawn(move || listen_to_a_flapping_server(transport));
        }
    });
}

fn listen_to_a_flapping_server(transport: &str) {
    let portal = Portal::start();
    let port = ReservedPort::new();
    let address = port.address();
    name_push_server(&portal, &address.to_string());
    let client = portal.client_with(&[("rate.per_second", "0"), ("push.transport", transport)]);
    let stop = AtomicBool::new(false);
    let mut delays = Vec::new();
    let made = Mutex::new(Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| flap(address, portal.emulator.address(), &stop));
        client.connect(LONG).unwrap();
        let start = Instant::now();
        scope.spawn(|| {
            for number in 0..EVENTS {
                made.lock().unwrap().push(Instant::now());
                portal.add_deals([number]);
                thread::sleep(Duration::from_millis(50));
            }
        });
        while delays.len() < EVENTS as usize {
            let mut batch = client.next(LONG).unwrap().expect("every record arrives");
            let made = made.lock().unwrap().clone();
            delays.extend(numbers(&mut batch).into_iter().map(|number| made[number as usize].elapsed()));
            batch.acknowledge().unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        println!("{transport}, in {:?}: {}", start.elapsed(), stats(&client));
    });
    delays.sort();
    let at = |percent: usize| delays[(delays.len() - 1) * percent / 100];
    println!("{transport}, from change to record: p50 {:?}, p90 {:?}, max {:?}", at(50), at(90), at(100));
}

#[test]
fn while_nothing_is_subscribed_the_queue_is_checked_more_often() {
    let portal = Portal::start();
    let port = ReservedPort::new();
    name_push_server(&portal, &port.address().to_string());
    let client = portal.client_with(&[("push.unsubscribed_poll_interval_ms", "1000")]);
    assert!(client.connect(AT_ONCE).is_err());
    until("the failure", || stats(&client)["failures"].as_u64() > Some(0));
    for number in 0..3 {
        portal.add_deals([number]);
        let mut batch = client.next(LONG).unwrap().expect("the queue is checked");
        assert_eq!(numbers(&mut batch), [number]);
        batch.acknowledge().unwrap();
    }
}
