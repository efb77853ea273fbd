//! Closing ends every wait, at any moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use super::support::*;
use b24_emulator::{Control, FailNext, Options};
use b24events::client::{Client, Hooks};
use b24events::clock::Timeout;
use b24events::error::Error;
use b24events::log::LogSink;
use serde_json::json;
use std::io::Read;
use std::net::TcpListener;

/// The bound that is promised to users. It takes microseconds on an idle machine.
const MAX_CLOSE: Duration = Duration::from_millis(100);

fn close_in_time(client: &b24events::client::Client) {
    let start = Instant::now();
    client.close();
    let took = start.elapsed();
    assert!(took < MAX_CLOSE, "closing took {took:?}");
}

#[test]
fn while_the_push_server_is_listened_to_and_threads_wait() {
    for websocket in [true, false] {
        close_while_listening(Portal::with(Options { websocket, ..Options::default() }));
    }
}

fn close_while_listening(portal: Portal) {
    let client = portal.connected();
    until("the subscription", || portal.emulator.counters().subscriptions_open == 1);
    std::thread::scope(|scope| {
        let waits: Vec<_> = (0..3).map(|_| scope.spawn(|| client.wait(Timeout::Never).map(drop))).collect();
        let next = scope.spawn(|| client.next(Timeout::Never).map(drop));
        close_in_time(&client);
        for wait in waits {
            assert_eq!(wait.join().unwrap(), Err(Error::Closed));
        }
        assert_eq!(next.join().unwrap(), Err(Error::Closed));
    });
    let start = Instant::now();
    client.join();
    assert!(start.elapsed() < MAX_CLOSE, "{:?}", start.elapsed());
}

#[test]
fn while_calls_are_under_way() {
    let portal = Portal::start();
    let client = portal.client();
    portal.control(json!({"set_delay": {"ms": 60000}}));
    let before = portal.emulator.counters().requests;
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.call("profile", "").map(drop));
        let fetch = scope.spawn(|| client.fetch(0).map(drop));
        let connect = scope.spawn(|| client.connect(Timeout::Never));
        until("three requests", || portal.emulator.counters().requests >= before + 3);
        close_in_time(&client);
        for end in [call, fetch, connect] {
            assert_eq!(end.join().unwrap(), Err(Error::Closed));
        }
    });
}

#[test]
fn while_a_repeat_is_waited_for() {
    let portal = Portal::start();
    let client = portal.client();
    portal.control(json!({"operating_limit": {"method": "profile", "seconds": 30}}));
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.call("profile", "").map(drop));
        until("the pause", || portal.log().contains("repeating in"));
        close_in_time(&client);
        assert_eq!(call.join().unwrap(), Err(Error::Closed));
    });
}

#[test]
fn afterwards_everything_says_closed() {
    let portal = Portal::start();
    let client = portal.connected();
    portal.add_deals([1]);
    let batch = client.next(LONG).unwrap().unwrap();
    client.close();
    client.close();
    assert_eq!(client.wait(AT_ONCE), Err(Error::Closed));
    assert_eq!(client.fetch(0).err(), Some(Error::Closed));
    assert_eq!(client.connect(LONG), Err(Error::Closed));
    assert_eq!(client.call("profile", ""), Err(Error::Closed));
    assert_eq!(batch.acknowledge(), Err(Error::Closed));
    assert_eq!(portal.queued(), 1, "the record stays reserved");
}

/// A push server that accepts connections and never answers.
#[test]
fn while_a_websocket_or_tls_is_shaking_hands() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for secure in ["", "s"] {
        let portal = Portal::start();
        let client = portal.client();
        let answer = json!({"result": {
            "server": {"version": 4, "long_polling": format!("http{secure}://{address}/sub/"),
                "websocket_enabled": true, "websocket": format!("ws{secure}://{address}/subws/")},
            "channels": {"shared": {"id": "a.b", "type": "shared"}}}});
        portal.emulator.control(Control::FailNext(FailNext {
            method: Some("pull.application.config.get".into()),
            status: 200,
            body: Some(answer.to_string()),
            ..FailNext::default()
        }));
        std::thread::scope(|scope| {
            let connect = scope.spawn(|| client.connect(Timeout::Never));
            let (mut accepted, _) = silent.accept().unwrap();
            // The first bytes are the request for an upgrade, or the greeting of TLS: the handshake is under way.
            assert_eq!(accepted.read(&mut [0]).unwrap(), 1);
            close_in_time(&client);
            assert_eq!(connect.join().unwrap(), Err(Error::Closed));
        });
        let start = Instant::now();
        client.join();
        assert!(start.elapsed() < MAX_CLOSE, "{secure:?}: {:?}", start.elapsed());
    }
}

#[test]
fn no_log_line_comes_after_the_client_has_ended() {
    let portal = Portal::start();
    let lines = Arc::new(AtomicU64::new(0));
    let (entered, is_inside) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let (counter, may_leave) = (lines.clone(), Mutex::new(may_leave));
    // Blocks in the first line of a call.
    let log: LogSink = Arc::new(move |_, text| {
        if text.starts_with("profile: ") {
            entered.send(()).unwrap();
            let _ = may_leave.lock().unwrap().recv();
        }
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let client = Client::new(&portal.config(), Hooks { log: Some(log), tokens: None }).unwrap();
    client.connect(LONG).unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.call("profile", "").map(drop));
        is_inside.recv().unwrap();
        let end = scope.spawn(|| {
            client.close();
            client.join();
            lines.load(Ordering::SeqCst)
        });
        // The end has to wait for the line; nothing shows from outside that it does.
        std::thread::sleep(MAX_CLOSE);
        assert!(!end.is_finished());
        drop(leave);
        let before = end.join().unwrap();
        // The call goes on for a moment, and so does what the host still does with the client.
        let _ = call.join().unwrap();
        let _ = client.fetch(0);
        client.close();
        assert_eq!(lines.load(Ordering::SeqCst), before);
    });
}
