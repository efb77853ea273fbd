//! A worker in a process of its own: this test executable, started again.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use b24_emulator::{ADMINISTRATOR, Emulator, Options};
use b24events::client::{Client, Hooks};
use b24events::config::Config;
use b24events::error::Error;
use b24events::log::Level;

use crate::support::{Victim, options};

const SETTINGS: &str = "B24_TEST_WORKER";

/// The worker: calls the portal without end.
#[test]
#[ignore = "run by the other tests"]
fn worker_process() {
    let settings = std::env::var(SETTINGS).expect("Worker::start sets it");
    let settings: Vec<(String, String)> = serde_json::from_str(&settings).unwrap();
    let (paths, keys): (Vec<_>, Vec<_>) = settings.into_iter().partition(|(key, _)| key.starts_with("test."));
    let mut config = Config::new();
    keys.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    let hooks = Hooks {
        log: Some(std::sync::Arc::new(|level, text: &str| {
            if level == Level::Error {
                eprintln!("{text}");
            }
        })),
        ..Hooks::default()
    };
    let client = match Client::new(&config, hooks) {
        Ok(client) => client,
        Err(error) => return say(&format!("failed {error}")),
    };
    match paths.first() {
        Some((_, database)) => super::by_host::work(&client, Path::new(database), &config),
        None => work(&client),
    }
}

fn work(client: &Client) {
    loop {
        match client.call("profile", "") {
            Ok(_) => say("called"),
            // A token lives shorter here than a busy machine may take to use it.
            Err(error) if error.is_transient() || error.code() == "expired_token" => {}
            Err(error) => return say(&outcome(&error)),
        }
    }
}

/// What a call that nobody but an administrator can help has come to.
pub fn outcome(error: &Error) -> String {
    let lost = error.code() == "invalid_grant" && error.to_string().contains("never arrived");
    format!("{} {error}", if lost { "lost" } else { "failed" })
}

pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "worker: {line}").and_then(|()| out.flush()).expect("the test listens");
}

/// A started worker.
pub struct Worker {
    process: Victim,
    said: Receiver<String>,
}

impl Worker {
    pub fn start(keys: &[(String, String)]) -> Worker {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["worker::worker_process", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(SETTINGS, serde_json::to_string(keys).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, said) = channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            let lines = out.lines().map_while(Result::ok);
            for line in lines.filter_map(|line| line.split_once("worker: ").map(|(_, said)| said.to_owned())) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Worker { process: Victim::new(process), said }
    }

    /// The next thing it says.
    pub fn listen(&self) -> String {
        self.said.recv_timeout(Duration::from_secs(60)).expect("a worker says something within a minute")
    }

    /// Ends it as a power cut does. Returns what it has said that calls cannot help, if anything.
    pub fn kill(mut self) -> Option<String> {
        self.process.kill();
        std::mem::replace(&mut self.said, channel().1).iter().find(|said| said != "called")
    }
}

/// A portal whose tokens live so short that kills hit renewals.
pub fn portal() -> Emulator {
    Emulator::start(Options { token_ttl: Duration::from_millis(60), ..options() }).unwrap()
}

/// Keys of a worker with a new pair of tokens.
pub fn keys(emulator: &Emulator) -> Vec<(String, String)> {
    let (application, tokens) = (emulator.application(), emulator.issue_tokens(ADMINISTRATOR));
    let pairs = [
        ("portal.url", emulator.portal_url()),
        ("auth.server", emulator.auth_server_url()),
        ("auth.client_id", application.client_id),
        ("auth.client_secret", application.client_secret),
        ("auth.access_token", tokens.access_token),
        ("auth.refresh_token", tokens.refresh_token),
        ("rate.per_second", "0".into()),
    ];
    pairs.map(|(key, value)| (key.to_owned(), value)).to_vec()
}

/// The same keys with a new authorization.
pub fn authorized_anew(keys: &[(String, String)], emulator: &Emulator) -> Vec<(String, String)> {
    let tokens = emulator.issue_tokens(ADMINISTRATOR);
    let mut keys = keys.to_vec();
    for (key, value) in &mut keys {
        match key.as_str() {
            "auth.access_token" => value.clone_from(&tokens.access_token),
            "auth.refresh_token" => value.clone_from(&tokens.refresh_token),
            _ => {}
        }
    }
    keys
}

/// A folder that is removed when dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let folder = Folder(std::env::temp_dir().join(format!("b24events-{name}-{}", std::process::id())));
        std::fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
