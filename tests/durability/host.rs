//! A host in a process of its own: this test executable, started again.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use b24events::client::{Client, Hooks};
use b24events::clock::Timeout;

use super::place;

const SETTINGS: &str = "B24_TEST_HOST";

/// Does nothing in a usual run. In a host process it takes records until there are no more, telling of each step:
/// `got N` before anything else happens to a record, `done N` when its acknowledgement has returned.
#[test]
fn host_process() {
    let Ok(settings) = std::env::var(SETTINGS) else { return };
    let keys: Vec<(String, String)> = serde_json::from_str(&settings).unwrap();
    let keys: Vec<(&str, String)> = keys.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let client = Client::new(&place::config(&keys), Hooks::default()).unwrap();
    let tell = |word: &str, numbers: &[u32]| {
        let lines: String = numbers.iter().map(|number| format!("{word} {number}\n")).collect();
        let mut out = std::io::stdout().lock();
        out.write_all(lines.as_bytes()).unwrap();
        out.flush().unwrap();
    };
    // Trouble of the portal is what some tests are about: the host tries again, as its users' programs do.
    client.connect(Timeout::Never).unwrap();
    tell("connected", &[0]);
    let mut open: Vec<(b24events::delivery::Batch, Vec<u32>)> = Vec::new();
    loop {
        match client.next(Timeout::from_millis(1000)) {
            Ok(Some(mut batch)) => {
                let numbers: Vec<u32> =
                    place::deals(&batch.detach_json()).into_iter().map(|(number, _)| number).collect();
                tell("got", &numbers);
                open.push((batch, numbers));
            }
            Ok(None) => {}
            Err(_) => drop(client.recover()),
        }
        open.retain(|(batch, numbers)| {
            let failed = batch.acknowledge().is_err();
            if !failed {
                tell("done", numbers);
            }
            failed
        });
    }
}

/// A started host, and what it tells.
pub struct Host {
    process: Child,
    pub lines: Receiver<(String, u32)>,
}

impl Drop for Host {
    fn drop(&mut self) {
        // A test that fails leaves no process behind. One that was killed already is no error.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Host {
    pub fn start(keys: &[(&str, String)]) -> Host {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["host::host_process", "--exact", "--nocapture", "--test-threads=1"])
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
        Host { process, lines }
    }

    /// Ends it as a power cut does, and gives what it told up to then.
    pub fn kill(mut self) -> Vec<(String, u32)> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        // The reading thread ends with the pipe, and with it the channel.
        std::mem::replace(&mut self.lines, channel().1).iter().collect()
    }
}
