//! `auth.renew=host`: the hosts keep the pair in a database of their own and renew under its lock. The library must never
//! renew by itself, and must never go back to a pair that is older than the one it was given.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use b24_emulator::{ADMINISTRATOR, Emulator};
use b24events::client::Client;
use b24events::clock::{Clock, SystemClock};
use b24events::config::Config;
use fs4::FileExt;
use serde_json::{Value, json};

use super::worker::{Folder, Worker, keys, outcome, portal, say};

const WORKERS: usize = 5;

/// What a host does in its process.
pub fn work(client: &Client, database: &Path, config: &Config) {
    let server = config.get("auth.server").unwrap();
    let mut known = pair(database);
    set(client, &known);
    loop {
        match client.call("profile", "") {
            Ok(_) => say("called"),
            Err(error) if error.code() == "expired_token" => {
                let lock = File::create(database.with_extension("lock")).unwrap();
                FileExt::lock(&lock).unwrap();
                let stored = pair(database);
                if stored["access_token"] == known["access_token"] {
                    match renewed(&server, &stored) {
                        Some(pair) => store(database, &pair),
                        // Killed after the answer and before it was stored: the hosts' own loss.
                        None => return say("lost by the host"),
                    }
                }
                known = pair(database);
                drop(lock);
                set(client, &known);
            }
            Err(error) if error.is_transient() => {}
            Err(error) => return say(&outcome(&error)),
        }
    }
}

fn set(client: &Client, pair: &Value) {
    let text = |name: &str| pair[name].as_str().unwrap();
    client.set_tokens(text("access_token"), text("refresh_token"), pair["expires"].as_u64().unwrap()).unwrap();
}

fn pair(database: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(database).unwrap()).unwrap()
}

fn store(database: &Path, pair: &Value) {
    let new = database.with_extension("new");
    fs::write(&new, pair.to_string()).unwrap();
    fs::rename(new, database).unwrap();
}

fn renewed(server: &str, pair: &Value) -> Option<Value> {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", pair["client_id"].as_str().unwrap()),
        ("client_secret", pair["client_secret"].as_str().unwrap()),
        ("refresh_token", pair["refresh_token"].as_str().unwrap()),
    ];
    let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
    let text =
        agent.post(format!("{server}/oauth/token/")).send_form(form).unwrap().body_mut().read_to_string().unwrap();
    let mut answer: Value = serde_json::from_str(&text).unwrap();
    answer["access_token"].as_str()?;
    for name in ["client_id", "client_secret"] {
        answer[name] = pair[name].clone();
    }
    Some(answer)
}

fn authorize(emulator: &Emulator, database: &Path) {
    let (application, tokens) = (emulator.application(), emulator.issue_tokens(ADMINISTRATOR));
    let pair = json!({
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "expires": tokens.expires,
        "client_id": application.client_id,
        "client_secret": application.client_secret,
    });
    store(database, &pair);
}

#[test]
fn hosts_that_renew_themselves_never_lose_the_newest_pair() {
    let emulator = portal();
    let folder = Folder::new("host-tokens");
    let database = folder.file("database.json");
    authorize(&emulator, Path::new(&database));
    let mut keys = keys(&emulator);
    keys.push(("auth.renew".into(), "host".into()));
    keys.push(("test.database".into(), database.clone()));
    let start = |index: usize| {
        let mut keys = keys.clone();
        keys.push(("state.dir".into(), folder.file(&format!("state {index}"))));
        Worker::start(&keys)
    };
    let mut workers: Vec<Option<Worker>> = (0..WORKERS).map(|index| Some(start(index))).collect();
    let (kills, mut lost) = (super::kills(), 0);
    for _ in 0..kills {
        let index = SystemClock.random() as usize % WORKERS;
        let worker = workers[index].take().expect("each place has its worker");
        let said = worker.listen();
        std::thread::sleep(Duration::from_millis(SystemClock.random() % 40));
        if let Some(trouble) = worker.kill().or((said != "called").then_some(said)) {
            assert_eq!(trouble, "lost by the host");
            lost += 1;
            workers.iter_mut().for_each(|worker| *worker = None);
            authorize(&emulator, Path::new(&database));
        }
        // Their folders are free now that they have ended.
        for (index, worker) in workers.iter_mut().enumerate() {
            worker.get_or_insert_with(|| start(index));
        }
    }
    let counters = emulator.counters();
    println!(
        "{WORKERS} hosts killed {kills} times: {} renewals by them, {lost} answers lost by them, {} dead pairs",
        counters.renewals,
        counters.dead_authorizations - lost
    );
    assert_eq!(counters.dead_authorizations, lost);
    assert!(counters.renewals > 0);
}
