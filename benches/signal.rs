//! What a signal costs: to decode its envelope, and to bring it from the push server to the host.
//!
//! `cargo bench --bench signal` prints both beside the bare minimum that does the same.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use b24_emulator::{Emulator, Options};
use b24events::client::{Client, Hooks};
use b24events::clock::Timeout;
use b24events::push::message::decode;
use b24events::push::recent::RecentMessages;
use serde_json::{Value, json};
use support::{LONG, Portal, config_of, expect_check};

const ROUNDS: usize = 1000;

fn main() {
    decoding();
    latency();
}

/// An envelope of 400 bytes as a real server sends it.
fn decoding() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/v3_lp_200_one.http");
    let recorded = std::fs::read_to_string(path).expect("the recorded answer");
    let envelope = recorded.lines().find(|line| line.starts_with("#!NGINXNMS")).expect("an envelope").trim();
    let json = envelope.trim_start_matches("#!NGINXNMS!#").trim_end_matches("#!NGINXNME!#");
    let ours = per_run(|| {
        assert_eq!(
            black_box(decode(black_box(envelope.as_bytes()), "OneC", &mut RecentMessages::default())).events.len(),
            1
        )
    });
    let minimum = per_run(|| {
        let value: serde::de::IgnoredAny = serde_json::from_str(black_box(json)).expect("JSON");
        black_box(value);
    });
    println!(
        "decode an envelope of {} bytes: {ours:.2} µs (walking over its JSON alone: {minimum:.2} µs)",
        envelope.len()
    );
}

/// Median of several runs, microseconds.
fn per_run(mut run: impl FnMut()) -> f64 {
    const RUNS: u32 = 20_000;
    let mut times: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            (0..RUNS).for_each(|_| run());
            start.elapsed().as_secs_f64() * 1e6 / f64::from(RUNS)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// By each transport. The push server usually lets messages gather before it sends a frame. Here it sends them at once,
/// its timer takes a millisecond, so that the library is what is measured.
fn latency() {
    let portal = Portal::with(Options { gather: Duration::ZERO, ..Options::default() });
    for transport in ["websocket", "long_polling"] {
        let client = client(&portal, transport);
        let (p50, p99) = measure(&portal.emulator, || {
            client.wait(Timeout::Never).expect("a signal");
        });
        println!("publish to return of wait, {ROUNDS} times, {transport:<12}  p50 {p50:>4} µs   p99 {p99:>4} µs");
    }
    let (p50, p99) = measure_bare(&portal.emulator, &client(&portal, "long_polling"));
    println!("the same bytes by a bare TCP client that polls:        p50 {p50:>4} µs   p99 {p99:>4} µs");
}

/// A connected client that logs nothing.
fn client(portal: &Portal, transport: &str) -> Client {
    let mut keys = portal.unlimited_keys("");
    keys.push(("push.transport", transport.into()));
    let client = Client::new(&config_of(&keys), Hooks::default()).expect("a client");
    client.connect(LONG).expect("a subscription");
    expect_check(&client);
    client
}

/// Publishes and waits for `received`, once the server holds the next poll.
fn measure(emulator: &Emulator, mut received: impl FnMut()) -> (u128, u128) {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        while emulator.counters().subscriptions_open == 0 {
            std::thread::yield_now();
        }
        let start = Instant::now();
        emulator.publish("rest", "event_offline", json!([{"connector_id": "", "count": 1}]));
        received();
        times.push(start.elapsed().as_micros());
    }
    times.sort_unstable();
    (times[ROUNDS / 2], times[ROUNDS * 99 / 100])
}

/// A thread that polls with prepared requests over one connection and reads up to the closing mark; nothing else.
fn measure_bare(emulator: &Emulator, client: &Client) -> (u128, u128) {
    let answer = client.call("pull.application.config.get", "{}").expect("the configuration");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let channel = answer["result"]["channels"]["shared"]["id"].as_str().expect("a channel");
    let client_id = answer["result"]["clientId"].as_str().unwrap_or_default();
    let query = format!("CHANNEL_ID={channel}&clientId={client_id}");
    client.close();
    client.join();
    let mut stream = TcpStream::connect(emulator.address()).expect("a connection");
    stream.set_nodelay(true).expect("a socket option");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut mid = String::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let sent = write!(stream, "GET /sub/?{query}{mid} HTTP/1.1\r\nHost: x\r\n\r\n");
            let mut length = 0;
            let text = loop {
                match stream.read(&mut buffer[length..]) {
                    Ok(more) if more > 0 && sent.is_ok() => length += more,
                    _ => return,
                }
                let text = String::from_utf8_lossy(&buffer[..length]);
                if text.ends_with("0\r\n\r\n") || (text.contains("Content-Length") && text.ends_with("NGINXNME!#")) {
                    break text.into_owned();
                }
            };
            let Some((_, rest)) = text.split_once("\"mid\":\"") else { return };
            mid = format!("&mid={}", rest.split('"').next().unwrap_or_default());
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    measure(emulator, || receiver.recv_timeout(Duration::from_secs(10)).expect("a message"))
}
