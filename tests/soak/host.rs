//! A host in a process of its own: this test executable, started again. It writes down what it does, a line for each
//! step, and what it has written outlives it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use b24_emulator::Tokens;
use b24events::client::{Client, Hooks};
use b24events::clock::{Clock, SystemClock, Timeout};
use b24events::delivery::Batch;
use b24events::error::{Error, Status};

use super::record::Line;
use super::support::{Victim, config_of, deals};

const SETTINGS: &str = "B24_TEST_SOAK_HOST";

/// The other process.
#[test]
#[ignore = "run by the other tests"]
fn host_process() {
    let settings = std::env::var(SETTINGS).expect("Host::start sets it");
    let keys: Vec<(String, String)> = serde_json::from_str(&settings).unwrap();
    let keys: Vec<(&str, String)> = keys.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    // The harness has begun a line.
    println!();
    let (sender, tokens) = channel();
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
        // The test is over, or was ended.
        std::process::exit(1);
    });
    let client = loop {
        match Client::new(&config_of(&keys), Hooks::default()) {
            Ok(client) => break client,
            // The disk is full.
            Err(error) => say(&format!("failed {}", error.status().name())),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut open = Vec::new();
    loop {
        if let Err(error) = work(&client, &mut open) {
            on_error(&client, &error, &tokens);
        }
    }
}

/// A batch, and its records by their `MESSAGE_ID`.
type Open = (Batch, BTreeMap<String, u32>);

fn work(client: &Client, open: &mut Vec<Open>) -> Result<(), Error> {
    if !client.is_listening() {
        client.connect(Timeout::from_millis(2000))?;
    }
    if let Some(mut batch) = client.next(Timeout::from_millis(500))? {
        let records = deals(&batch.detach_json()).into_iter().map(|(number, id)| (id, number)).collect();
        note("got", &records);
        // Once in a while the host changes its mind, and gets them again.
        if SystemClock.random() % 30 == 0 {
            batch.redeliver();
        } else {
            open.push((batch, records));
        }
    }
    // What could not be acknowledged before comes first.
    while let Some((batch, records)) = open.first_mut() {
        acknowledge(batch, records)?;
        open.remove(0);
    }
    Ok(())
}

/// All records at once, or some and then the others.
fn acknowledge(batch: &Batch, records: &mut BTreeMap<String, u32>) -> Result<(), Error> {
    if SystemClock.random() % 4 == 0 && records.len() > 1 {
        let some: BTreeMap<String, u32> = records.iter().take(1).map(|(id, number)| (id.clone(), *number)).collect();
        note("asked", &some);
        batch.acknowledge_records(&some.keys().map(String::as_str).collect::<Vec<_>>())?;
        note("done", &some);
        records.retain(|id, _| !some.contains_key(id));
    }
    note("asked", records);
    batch.acknowledge()?;
    note("done", records);
    Ok(())
}

/// Tries again, as the programs of users do.
fn on_error(client: &Client, error: &Error, tokens: &Receiver<String>) {
    // A token lives shorter here than a busy machine may take to use it.
    if error.status() != Status::Auth || error.is_transient() || error.code() == "expired_token" {
        say(&format!("failed {}", error.status().name()));
        // The pause that a program makes when it can do nothing else.
        return std::thread::sleep(Duration::from_millis(10));
    }
    say("tokens");
    let line = tokens.recv().expect("the test answers");
    if let Some((access, refresh)) = line.split_once(' ') {
        if let Err(error) = client.set_tokens(access, refresh, 0) {
            say(&format!("failed {}", error.status().name()));
        }
    }
}

fn note(word: &str, records: &BTreeMap<String, u32>) {
    let numbers: Vec<String> = records.values().map(u32::to_string).collect();
    say(&format!("{word} {}", numbers.join(" ")));
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // In one piece, unless a kill cuts it; then its end is missing.
    out.write_all(format!("{text} .\n").as_bytes()).and_then(|()| out.flush()).expect("the test listens");
}

/// A running host.
pub struct Host {
    process: Victim,
    input: ChildStdin,
    pub lines: Receiver<Line>,
}

impl Host {
    pub fn start(keys: &[(&str, String)]) -> Host {
        // A file that grows too large is an error for this process, not its end; see `Host::fill_disk`.
        let mut process = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["host::host_process", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(SETTINGS, serde_json::to_string(keys).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok).filter_map(|line| Line::parse(&line)) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = process.stdin.take().unwrap();
        Host { process: Victim::new(process), input, lines }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn give(&mut self, tokens: &Tokens) {
        let line = format!("{} {}\n", tokens.access_token, tokens.refresh_token);
        // It may be killed before it reads this.
        let _ = self.input.write_all(line.as_bytes());
    }

    /// From now on every file is full, or no longer so.
    pub fn fill_disk(&self, full: bool) {
        let limit = if full { "--fsize=1:" } else { "--fsize=unlimited:" };
        let status = Command::new("prlimit").args(["--pid", &self.id().to_string(), limit]).status();
        assert!(status.expect("prlimit, of util-linux").success());
    }

    /// Kills it and returns what it has written since it was last read.
    pub fn kill(mut self) -> Vec<Line> {
        self.process.kill();
        // The reading thread ends with the pipe, and with it the channel.
        std::mem::replace(&mut self.lines, channel().1).iter().collect()
    }
}
