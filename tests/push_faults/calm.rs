//! Push servers that answer and are of no use: the client has to leave them in peace.
//!
//! `B24_CALM_SECONDS` sets how long to count.

use std::net::TcpStream;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use b24events::clock::Timeout;

use super::scripted::{Scripted, drip_handshake, one_pong, repeat_a_message};
use super::support::*;

/// The requests that a server gets, and the rings that the host hears. The pauses are 0.1 s, 15 s and more.
fn requests_and_rings(transport: &str, serve: fn(TcpStream, &AtomicU64)) -> (u64, u64) {
    let seconds = std::env::var("B24_CALM_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(5);
    let portal = Portal::start();
    let server = Scripted::start(serve);
    server.replace_push_server(&portal);
    let client = portal.client_with(&[("push.transport", transport)]);
    client.connect(LONG).unwrap();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut rings = 0;
    while let Some(_ring) = client.wait(Timeout::After(end.saturating_duration_since(Instant::now()))).unwrap() {
        rings += 1;
    }
    println!("{transport}: {} requests and {rings} rings in {seconds} s", server.requests());
    (server.requests(), rings)
}

#[test]
fn a_websocket_that_answers_one_pong_and_closes_is_opened_after_growing_pauses() {
    let (requests, rings) = requests_and_rings("websocket", one_pong);
    assert!((1..=3).contains(&requests), "{requests} requests");
    assert!(rings <= 3, "{rings} rings");
}

#[test]
fn a_poll_that_repeats_its_last_message_is_sent_after_growing_pauses() {
    let (requests, rings) = requests_and_rings("long_polling", repeat_a_message);
    assert!((2..=4).contains(&requests), "{requests} requests");
    assert!(rings <= 3, "{rings} rings");
}

#[test]
fn a_websocket_whose_handshake_drips_is_given_up_at_the_timeout() {
    let portal = Portal::start();
    let server = Scripted::start(drip_handshake);
    server.replace_push_server(&portal);
    let client = portal.client_with(&[("push.transport", "websocket"), ("http.connect_timeout_ms", "500")]);
    let error = client.connect(Timeout::After(Duration::from_secs(3))).unwrap_err();
    assert_eq!(server.requests(), 2, "the second attempt follows after the timeout and 0.1 s: {error}");
}
