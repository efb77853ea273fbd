use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::state::PrivateFile;
use crate::state::storage::Storage;

/// Much less than a restore waits, and more than anything else takes.
const SOON: Duration = Duration::from_secs(10);

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("b24-session-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn session(parameters: &[(&str, &str)]) -> Session {
    let session = Session::default();
    let common = [("portal.url", "http://127.0.0.1:1"), ("auth.access_token", "a token of this test")];
    for (key, value) in common.iter().chain(parameters) {
        session.set_parameter(key, value).unwrap();
    }
    session
}

#[test]
fn a_call_that_restores_the_state_delays_no_other() {
    let folder = Folder::new("restore");
    let file = folder.0.join("tokens.json");
    let first = session(&[]);
    drop(first.client().unwrap());
    let state = first.state();
    first.disconnect();
    assert!(state.contains("a token of this test"));

    // Another process renews the tokens.
    let tokens_file = PrivateFile::new(file.clone()).unwrap();
    let locked = tokens_file.try_lock().unwrap().expect("nobody else has it");
    let second = Arc::new(session(&[("auth.tokens_file", file.to_str().unwrap()), ("auth.client_id", "app")]));
    second.set_state(state.clone());
    let restoring: Vec<_> = (0..2)
        .map(|_| {
            let second = second.clone();
            std::thread::spawn(move || second.client().map(drop).map_err(|error| format!("{error:?}")))
        })
        .collect();
    let start = Instant::now();
    // The session has the client, and so has each call that has entered it.
    while lock(&second.0).client.as_ref().is_none_or(|active| Arc::strong_count(&active.client) < 3) {
        assert!(start.elapsed() < SOON, "no other call gets through");
        std::thread::yield_now();
    }
    assert_ne!(second.statistics(), "{}");
    assert_eq!(second.state(), state, "what is still to be restored");
    second.set_parameter("connector.id", "OneC").unwrap();
    assert!(!second.is_connected());
    second.disconnect();
    for call in restoring {
        assert!(call.join().unwrap().is_err(), "it was interrupted");
    }
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(second.state(), state, "the next client starts from it");

    drop(locked);
    drop(second.client().unwrap());
    assert!(second.state().contains("a token of this test"));
    second.disconnect();
}
