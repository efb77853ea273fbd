//! A host in a process of its own: this test executable, started again.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use b24events::client::{Client, Hooks};
use b24events::clock::Timeout;

use super::support::{Victim, config_of, numbers};

const SETTINGS: &str = "B24_TEST_HOST";

/// The other process: fetches records until it is killed and prints each step: `got N` before anything else happens to
/// a record, `done N` when its acknowledgement has returned.
#[test]
#[ignore = "run by the other tests"]
fn host_process() {
    let settings = std::env::var(SETTINGS).expect("the settings of the host");
    let keys: Vec<(String, String)> = serde_json::from_str(&settings).unwrap();
    let keys: Vec<(&str, String)> = keys.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let client = Client::new(&config_of(&keys), Hooks::default()).unwrap();
    let print = |word: &str, numbers: &[u32]| {
        let lines: String = numbers.iter().map(|number| format!("{word} {number}\n")).collect();
        let mut out = std::io::stdout().lock();
        out.write_all(lines.as_bytes()).unwrap();
        out.flush().unwrap();
    };
    // The test harness has begun a line.
    println!();
    client.connect(Timeout::Never).unwrap();
    print("connected", &[0]);
    let mut open: Vec<(b24events::delivery::Batch, Vec<u32>)> = Vec::new();
    loop {
        match client.next(Timeout::from_millis(1000)) {
            Ok(Some(mut batch)) => {
                let numbers = numbers(&mut batch);
                print("got", &numbers);
                open.push((batch, numbers));
            }
            Ok(None) => {}
            // In some tests the portal fails: the host tries again, as the programs of users do.
            Err(_) => drop(client.recover()),
        }
        open.retain(|(batch, numbers)| {
            let failed = batch.acknowledge().is_err();
            if !failed {
                print("done", numbers);
            }
            failed
        });
    }
}

/// A running host and the lines it prints.
pub struct Host {
    process: Victim,
    pub lines: Receiver<(String, u32)>,
}

impl Host {
    pub fn start(keys: &[(&str, String)]) -> Host {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["host::host_process", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(SETTINGS, serde_json::to_string(keys).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            // The harness prints lines of its own; they have other shapes.
            for line in out.lines().map_while(Result::ok) {
                if let Some((word, number)) = line.split_once(' ') {
                    if let (true, Ok(number)) = (["connected", "got", "done"].contains(&word), number.parse()) {
                        if sender.send((word.to_owned(), number)).is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Host { process: Victim::new(process), lines }
    }

    /// Kills it and returns what it has printed.
    pub fn kill(mut self) -> Vec<(String, u32)> {
        self.process.kill();
        // The reading thread ends with the pipe, and with it the channel.
        std::mem::replace(&mut self.lines, channel().1).iter().collect()
    }
}
