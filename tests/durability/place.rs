//! A portal and folders for the clients' state.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use b24_emulator::{ADMINISTRATOR, Control, Emulator, Options};
use b24events::config::Config;
use serde_json::{Value, json};

/// A folder that is removed when dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Folder(std::env::temp_dir().join(format!("b24events-durability-{}-{number}", std::process::id())))
    }

    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A portal that counts no limits.
pub fn portal() -> Emulator {
    Emulator::start(Options::default()).unwrap()
}

/// Keys and values of a client for this connector.
pub fn keys(emulator: &Emulator, connector: &str) -> Vec<(&'static str, String)> {
    let tokens = emulator.issue_tokens(ADMINISTRATOR);
    vec![
        ("portal.url", emulator.portal_url()),
        ("auth.access_token", tokens.access_token),
        ("connector.id", connector.into()),
        ("rate.per_second", "0".into()),
    ]
}

pub fn config(keys: &[(&str, String)]) -> Config {
    let mut config = Config::new();
    keys.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    config
}

/// Makes a deal with this number, which becomes one record in every bound queue.
pub fn make(emulator: &Emulator, number: u32) {
    emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": number.to_string()}}), "");
}

pub fn control(emulator: &Emulator, item: Value) {
    emulator.control(serde_json::from_value::<Control>(item).unwrap());
}

/// The deals of a batch: number and `MESSAGE_ID`.
pub fn deals(json: &str) -> Vec<(u32, String)> {
    let records = b24events::portal::offline_events::read_records(json).unwrap();
    let number = |data: &str| {
        let data: Value = serde_json::from_str(data).unwrap();
        data["FIELDS"]["ID"].as_str().unwrap().parse().unwrap()
    };
    records.into_iter().map(|record| (number(record.event_data.get()), record.message_id)).collect()
}
