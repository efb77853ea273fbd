//! What an idle client asks of the operating system: only its pings. Counted by `strace`.
//!
//! `B24_IDLE_SECONDS` sets how long to count; the project's own check takes 60.

use std::process::{Command, Stdio};
use std::time::Duration;

use b24events::client::{Client, Hooks};
use b24events::config::Config;

use super::support::{Folder, LONG, Portal, until};

#[test]
#[ignore = "takes a minute and needs strace; .ci/run runs it"]
fn an_idle_client_makes_no_system_call_but_for_pings() {
    let seconds = std::env::var("B24_IDLE_SECONDS").unwrap_or("60".into());
    let portal = Portal::start();
    let mut client = Command::new(std::env::current_exe().unwrap());
    client.args(["--exact", "idle::the_client", "--ignored", "--nocapture", "--test-threads=1"]);
    portal.describe_to(&mut client);
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    until("the WebSocket", || portal.emulator.counters().websockets_open == 1);
    // The check of the queue after connecting is over then; nothing shows it from outside.
    std::thread::sleep(Duration::from_secs(2));
    let folder = Folder::new();
    let report = folder.path().join("strace");
    let pid = client.id().to_string();
    // `timeout` ends strace and not the client; the report tells whether all went well.
    Command::new("timeout")
        .args(["--signal=INT", &seconds, "strace", "-qq", "-c", "-f", "-p", &pid, "-o"])
        .arg(&report)
        .status()
        .expect("timeout, of the GNU core utilities");
    // The client waits for the end of its input.
    drop(client.stdin.take());
    assert!(client.wait().unwrap().success());
    let report = std::fs::read_to_string(report).expect("strace is installed and may attach");
    let calls: u64 = report
        .lines()
        .find(|line| line.ends_with("total"))
        .and_then(|line| line.split_whitespace().nth(3))
        .map_or(0, |number| number.parse().unwrap());
    println!("{calls} system calls in {seconds} s of idleness\n{report}");
    // A ping of the server each 40 s: read it, answer it, set the time limits of both.
    assert!(calls <= 30, "{report}");
}

/// The other process.
#[test]
#[ignore = "run by an_idle_client_makes_no_system_call_but_for_pings"]
fn the_client() {
    let mut config = Config::new();
    config.set("portal.url", &std::env::var("B24_PORTAL_URL").unwrap()).unwrap();
    config.set("auth.access_token", &std::env::var("B24_ACCESS_TOKEN").unwrap()).unwrap();
    let client = Client::new(&config, Hooks::default()).unwrap();
    client.connect(LONG).unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
    assert!(client.is_connected());
}
