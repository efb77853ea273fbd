//! The handler's port under attack: whoever holds it up or fills it keeps nobody else out, and costs little.
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

use b24_emulator::{Emulator, Options};
use b24events::client::{Client, Hooks};
use b24events::clock::Timeout;
use b24events::config::Config;
use serde_json::{Value, json};
use support::Program;

const ATTACKERS: usize = 1000;
/// How long each attack goes on.
const ATTACK: Duration = Duration::from_secs(5);
/// What is promised to the portal.
const PROMISED: Duration = Duration::from_secs(1);
/// 256 connections with the longest body each, and what reading them takes.
const MOST_MEMORY_KIB: u64 = 24 * 1024;
/// Names the address to attack, and the way.
const TARGET: &str = "B24_ATTACK_TARGET";

const HEAD: &str = "POST /b24 HTTP/1.1\r\nHost: handler\r\nContent-Length: 65536\r\n\r\n";

/// How an attacker goes on. Each sends what it has to say in pieces, one a second.
fn pieces(way: &str) -> Vec<Vec<u8>> {
    let bytes = |text: String| text.into_bytes().chunks(1).map(<[u8]>::to_vec).collect();
    match way {
        "one byte a second" => bytes(format!("{HEAD}{}", "x".repeat(100))),
        "chunks of one byte a second" => {
            let head = HEAD.replace("Content-Length: 65536", "Transfer-Encoding: chunked");
            let chunks = std::iter::repeat_n(b"1\r\nx\r\n".to_vec(), 100);
            std::iter::once(head.into_bytes()).chain(chunks).collect()
        }
        "all of a long body but the last byte" => {
            vec![[HEAD.as_bytes(), &vec![b'x'; 65_535]].concat(), Vec::new()]
        }
        _ => vec![[HEAD.replace("65536", "10485760").as_bytes(), &vec![b'x'; 1 << 20]].concat()],
    }
}

struct Attacker {
    stream: Option<TcpStream>,
    /// Pieces that were sent.
    sent: usize,
}

impl Attacker {
    /// Sends the next piece; whoever was thrown out comes again at once. Returns the status of an answer.
    fn go_on(&mut self, target: &str, pieces: &[Vec<u8>]) -> Option<u16> {
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
            // What the other side does not take now is not sent at all: an attacker is not polite.
            let _ = stream.write(piece);
            self.sent += 1;
        }
        status
    }
}

/// What the handler has said before it hung up; 0: nothing. `None` as long as it holds the connection.
fn answer(stream: &mut TcpStream) -> Option<u16> {
    let mut bytes = [0; 256];
    match stream.read(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Ok(count) => Some(String::from_utf8_lossy(&bytes[..count]).split(' ').nth(1).map_or(0, |s| s.parse().unwrap())),
        Err(_) => Some(0),
    }
}

/// Not a test of its own: the attackers' process.
#[test]
fn attackers() {
    let Some((target, way)) = env::var(TARGET).ok().and_then(|text| {
        let (target, way) = text.split_once(' ')?;
        Some((target.to_owned(), way.to_owned()))
    }) else {
        return;
    };
    let pieces = pieces(&way);
    let mut attackers: Vec<Attacker> = (0..ATTACKERS).map(|_| Attacker { stream: None, sent: 0 }).collect();
    let mut answers: BTreeMap<u16, u32> = BTreeMap::new();
    let start = Instant::now();
    for second in 1.. {
        for attacker in &mut attackers {
            attacker.go_on(&target, &pieces).into_iter().for_each(|status| *answers.entry(status).or_default() += 1);
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
    emulator: Emulator,
    client: Client,
    address: String,
}

impl Target {
    fn new() -> Target {
        let emulator = Emulator::start(Options::default()).unwrap();
        let application = emulator.application();
        let mut config = Config::new();
        for (key, value) in [
            ("portal.url", emulator.portal_url().as_str()),
            ("auth.access_token", &emulator.issue_tokens(b24_emulator::ADMINISTRATOR).access_token),
            ("source", "handler"),
            ("handler.listen", "127.0.0.1:0"),
            ("handler.application_token", &application.application_token),
        ] {
            config.set(key, value).unwrap();
        }
        let client = Client::new(&config, Hooks::default()).unwrap();
        client.connect(Timeout::Never).unwrap();
        let stats: Value = serde_json::from_str(&client.stats()).unwrap();
        let address = stats["handler_address"].as_str().unwrap().to_owned();
        Target { emulator, client, address }
    }

    /// A call as the portal makes it. Returns how long the answer took.
    fn call(&self) -> Duration {
        let application = self.emulator.application();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let body = json!({"event": "ONOFFLINEEVENT", "ts": now, "auth": {
            "domain": self.emulator.portal_url().replace("http://", ""), "member_id": application.member_id,
            "application_token": application.application_token}});
        let body = body.to_string();
        let start = Instant::now();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "POST /b24 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("the portal was thrown out: {error}"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
        start.elapsed()
    }
}

#[test]
fn the_portal_is_answered_during_every_attack() {
    let target = Target::new();
    target.call();
    let before = memory();
    for way in [
        "one byte a second",
        "chunks of one byte a second",
        "all of a long body but the last byte",
        "the first of ten megabytes",
    ] {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["attackers", "--exact", "--nocapture"]).env(TARGET, format!("{} {way}", target.address));
        let attack = Program::start(&mut command, "nothing, it is this program");
        let start = Instant::now();
        let (mut slowest, mut calls, mut most_memory) = (Duration::ZERO, 0, 0);
        let mut most_threads = Vec::new();
        while start.elapsed() < ATTACK {
            slowest = slowest.max(target.call());
            calls += 1;
            most_memory = most_memory.max(memory().saturating_sub(before));
            most_threads = most_threads.max(threads());
            thread::sleep(Duration::from_millis(5));
        }
        let output = attack.finish();
        let answers = output.lines().find_map(|line| line.strip_prefix("answers ")).unwrap_or_default();
        println!("{ATTACKERS} attackers, {way}:");
        println!("  {calls} calls of the portal, the slowest answered in {:.1} ms", slowest.as_secs_f64() * 1e3);
        println!("  memory {most_memory} KiB more than before, threads {most_threads:?}, attackers' answers {answers}");
        assert!(slowest < PROMISED && calls > 10, "{way}: {slowest:?}");
        assert!(most_memory < MOST_MEMORY_KIB, "{way}: {most_memory} KiB");
        assert_eq!(most_threads, ["b24-handler"], "{way}");
        let status = if way.starts_with("the first") { "413: " } else { "408: " };
        assert!(answers.contains(status), "{way}: {answers}");
    }
    let start = Instant::now();
    target.client.close();
    target.client.join();
    println!("closed in {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    assert!(start.elapsed() < Duration::from_millis(100));
    assert_eq!(threads(), [""; 0]);
    std::net::TcpListener::bind(&target.address).expect("the port is free");
}
