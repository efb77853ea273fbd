//! The handler's port under attack: slow, large and forged requests do not keep the portal's calls out, need little
//! memory, and cost no request to the portal.
//!
//! The attackers are another process, this same program started again, so that what is measured here is the library's.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};

use b24events::client::Client;
use serde_json::json;
use support::{LONG, Portal, Program, stats};

const ATTACKERS: usize = 1000;
/// How long each attack lasts.
const ATTACK: Duration = Duration::from_secs(5);
/// Calls that take longer may not fill half of an attack. A call takes milliseconds; if it had to wait for attackers to
/// give up, that would take most of the attack. A single one may wait for the processor of a busy computer.
const SLOW: Duration = Duration::from_secs(1);
/// Closing must not wait until slow connections reach their deadline, which is at 10 s.
const MAX_CLOSE_TIME: Duration = Duration::from_secs(5);
/// 256 connections with the longest body each, and what reading them takes.
const MAX_MEMORY_KIB: u64 = 24 * 1024;
/// The address to attack and the kind of attack.
const TARGET: &str = "B24_ATTACK_TARGET";

const HEAD: &str = "POST /b24 HTTP/1.1\r\nHost: handler\r\nContent-Length: 65536\r\n\r\n";

/// What each attacker sends, one piece a second.
fn pieces(kind: &str) -> Vec<Vec<u8>> {
    let bytes = |text: String| text.into_bytes().chunks(1).map(<[u8]>::to_vec).collect();
    match kind {
        "one byte a second" => bytes(format!("{HEAD}{}", "x".repeat(100))),
        "chunks of one byte a second" => {
            let head = HEAD.replace("Content-Length: 65536", "Transfer-Encoding: chunked");
            let chunks = std::iter::repeat_n(b"1\r\nx\r\n".to_vec(), 100);
            std::iter::once(head.into_bytes()).chain(chunks).collect()
        }
        "forged installations" => {
            let body = json!({"event": "ONAPPINSTALL", "ts": unix(), "auth": {
                "member_id": "made up", "application_token": "made up", "access_token": "made up"}});
            let head = HEAD.replace("65536", &body.to_string().len().to_string());
            vec![format!("{head}{body}").into_bytes()]
        }
        "all of a long body but the last byte" => {
            vec![[HEAD.as_bytes(), &vec![b'x'; 65_535]].concat(), Vec::new()]
        }
        _ => vec![[HEAD.replace("65536", "10485760").as_bytes(), &vec![b'x'; 1 << 20]].concat()],
    }
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

struct Attacker {
    stream: Option<TcpStream>,
    /// Pieces that were sent.
    sent: usize,
}

impl Attacker {
    /// Sends the next piece; connects again when the connection was closed. Returns the status of an answer.
    fn step(&mut self, target: &str, pieces: &[Vec<u8>]) -> Option<u16> {
        let status = self.stream.as_mut().and_then(answer);
        if status.is_some() {
            self.stream = None;
        }
        if self.stream.is_none() {
            self.sent = 0;
            self.stream = TcpStream::connect(target).ok();
            if let Some(stream) = &self.stream {
                stream.set_nonblocking(true).unwrap();
            }
        }
        if let (Some(stream), Some(piece)) = (&mut self.stream, pieces.get(self.sent)) {
            // What the other side does not accept now is not sent at all.
            let _ = stream.write(piece);
            self.sent += 1;
        }
        status
    }
}

/// The status with which the handler closed the connection, 0 for none. `None` while the connection is open.
fn answer(stream: &mut TcpStream) -> Option<u16> {
    let mut bytes = [0; 256];
    match stream.read(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Ok(count) => Some(String::from_utf8_lossy(&bytes[..count]).split(' ').nth(1).map_or(0, |s| s.parse().unwrap())),
        Err(_) => Some(0),
    }
}

/// The attackers' process.
#[test]
#[ignore = "run by the other test"]
fn attackers() {
    let attack = env::var(TARGET).expect("the target and the kind of attack");
    let (target, kind) = attack.split_once(' ').unwrap();
    let pieces = pieces(kind);
    let mut attackers: Vec<Attacker> = (0..ATTACKERS).map(|_| Attacker { stream: None, sent: 0 }).collect();
    let mut answers: BTreeMap<u16, u32> = BTreeMap::new();
    let start = Instant::now();
    for second in 1.. {
        for attacker in &mut attackers {
            attacker.step(target, &pieces).into_iter().for_each(|status| *answers.entry(status).or_default() += 1);
        }
        if start.elapsed() >= ATTACK {
            break;
        }
        thread::sleep(Duration::from_secs(second).saturating_sub(start.elapsed()));
    }
    println!("answers {answers:?}");
}

/// Kibibytes of resident memory that are no files.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// The library's threads; the emulator has its own.
fn threads() -> Vec<String> {
    let names = fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
        // A thread may end while we look.
        fs::read_to_string(task.ok()?.path().join("comm")).ok()
    });
    names.map(|name| name.trim().to_owned()).filter(|name| name.starts_with("b24-") && name != "b24-emulator").collect()
}

struct Target {
    portal: Portal,
    client: Client,
    address: String,
}

impl Target {
    fn new() -> Target {
        let portal = Portal::start();
        let application = portal.emulator.application();
        let client = portal.client_with(&[
            ("source", "handler"),
            // Collected lines would count as memory.
            ("log.level", "error"),
            ("handler.listen", "127.0.0.1:0"),
            ("handler.application_token", &application.application_token),
        ]);
        client.connect(LONG).unwrap();
        let address = stats(&client)["handler_address"].as_str().unwrap().to_owned();
        Target { portal, client, address }
    }

    /// A call as the portal makes it. Returns how long the answer took.
    fn call(&self) -> Duration {
        let application = self.portal.emulator.application();
        let body = json!({"event": "ONOFFLINEEVENT", "ts": unix(), "auth": {
            "domain": self.portal.emulator.portal_url().replace("http://", ""), "member_id": application.member_id,
            "application_token": application.application_token}});
        let body = body.to_string();
        let start = Instant::now();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "POST /b24 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .unwrap_or_else(|error| panic!("the connection of the portal was closed: {error}"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
        start.elapsed()
    }
}

#[test]
fn the_portal_is_answered_during_every_attack() {
    let target = Target::new();
    target.call();
    let (before, requests) = (memory(), target.portal.emulator.counters().requests);
    for kind in [
        "one byte a second",
        "chunks of one byte a second",
        "all of a long body but the last byte",
        "the first of ten megabytes",
        "forged installations",
    ] {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["attackers", "--exact", "--ignored", "--nocapture"])
            .env(TARGET, format!("{} {kind}", target.address));
        let attack = Program::start(&mut command, "nothing, it is this program");
        let start = Instant::now();
        let (mut times, mut max_memory) = (Vec::new(), 0);
        let mut max_threads = Vec::new();
        while start.elapsed() < ATTACK {
            times.push(target.call());
            max_memory = max_memory.max(memory().saturating_sub(before));
            max_threads = max_threads.max(threads());
            thread::sleep(Duration::from_millis(5));
        }
        let took = start.elapsed();
        let output = attack.finish();
        let answers = output.lines().find_map(|line| line.strip_prefix("answers ")).unwrap_or_default();
        println!("{ATTACKERS} attackers, {kind}:");
        times.sort_unstable();
        let [usual, slowest] = [times[times.len() / 2], times[times.len() - 1]].map(|time| time.as_secs_f64() * 1e3);
        println!("  {} calls of the portal, answered in {usual:.1} ms, the slowest in {slowest:.1} ms", times.len());
        println!("  memory {max_memory} KiB more than before, threads {max_threads:?}, attackers' answers {answers}");
        let slow: Duration = times.iter().filter(|time| **time > SLOW).sum();
        assert!(slow < took / 2, "{kind}: {slow:?} of {took:?}");
        assert!(max_memory < MAX_MEMORY_KIB, "{kind}: {max_memory} KiB");
        assert_eq!(max_threads, ["b24-handler"], "{kind}");
        let status = match kind {
            "the first of ten megabytes" => "413: ",
            "forged installations" => "403: ",
            _ => "408: ",
        };
        assert!(answers.contains(status), "{kind}: {answers}");
    }
    assert_eq!(target.portal.emulator.counters().requests, requests);
    let start = Instant::now();
    target.client.close();
    target.client.join();
    println!("closed in {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    assert!(start.elapsed() < MAX_CLOSE_TIME);
    assert_eq!(threads(), [""; 0]);
    std::net::TcpListener::bind(&target.address).expect("the port is free");
}
