//! `b24-emulator demo` as a person runs it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_b24-emulator")).arg("demo").args(arguments).output().unwrap()
}

/// What a demo prints that ends well.
fn printed(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = demo(arguments);
    let stdout = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{status}\n{stdout}\n{}", String::from_utf8_lossy(&stderr));
    stdout
}

/// The number behind a name in the summary.
fn number(printed: &str, name: &str) -> u64 {
    let line = printed.lines().rev().find_map(|line| line.trim().strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_else(|| panic!("{name} in {printed}"))
}

#[test]
fn every_change_arrives() {
    for arguments in [&[][..], &["--on-premise"]] {
        check_every_change(&printed(arguments));
    }
}

fn check_every_change(printed: &str) {
    assert_eq!(number(printed, "events made"), 10);
    assert_eq!(number(printed, "records received"), 8);
    assert_eq!(number(printed, "records acknowledged"), 8);
    assert_eq!(number(printed, "left in the queue"), 0);
    for field in ["ID", "TIMESTAMP_X", "EVENT_NAME", "EVENT_DATA", "EVENT_ADDITIONAL", "MESSAGE_ID"] {
        let shown = printed.lines().filter(|line| line.split_whitespace().any(|word| word == field)).count();
        assert_eq!(shown, 8, "{field} in {printed}");
    }
    assert_eq!(printed.matches("by the library").count(), 1, "{printed}");
    assert_eq!(printed.matches("by the portal").count(), 5, "{printed}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_idle_client_is_small() {
    let printed = printed(&["--events", "0"]);
    let line = printed.lines().find_map(|line| line.trim().strip_prefix("resident memory"));
    let mebibytes: f64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap();
    let max = if cfg!(debug_assertions) { 12.0 } else { 3.0 };
    assert!(mebibytes > 0.0 && mebibytes < max, "{printed}");
}

#[test]
fn a_burst_of_several_batches_arrives_too() {
    let printed = printed(&["--events", "230"]);
    assert_eq!(number(&printed, "events made"), 237);
    assert_eq!(number(&printed, "records acknowledged"), 235);
    assert_eq!(number(&printed, "left in the queue"), 0);
}

#[test]
fn a_library_that_is_none_fails_with_its_name() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_b24-emulator"));
    let output = demo.arg("demo").env("B24EVENTS_LIBRARY", "/nowhere/libb24events.so").output().unwrap();
    assert!(!output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("/nowhere/libb24events.so"), "{stderr}");
}

#[test]
fn every_change_arrives_when_the_portal_calls() {
    for way in ["--handler", "--both"] {
        let printed = printed(&[way, "--events", "120"]);
        assert_eq!(number(&printed, "events made"), 127, "{printed}");
        assert_eq!(number(&printed, "records received"), 125, "{printed}");
        assert_eq!(number(&printed, "records acknowledged"), 125, "{printed}");
        assert_eq!(number(&printed, "left in the queue"), 0, "{printed}");
    }
    let printed = printed(&["--handler"]);
    // The portal calls once a second at most; what falls in between the library finds when it looks again.
    assert!(printed.contains("by the library") && printed.contains("by the portal"), "{printed}");
    assert!(!printed.contains("announces"), "nobody has listened to the push server: {printed}");
}

#[test]
fn help_is_printed_behind_every_command() {
    for arguments in [&["help"][..], &["--help"], &["-h"], &["demo", "--help"], &["serve", "--quiet", "-h"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_b24-emulator")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.contains("options of demo:") && stdout.contains("options of serve:"), "{arguments:?}: {stdout}");
    }
}

/// `serve` prints a line that sets the variables which the examples read.
#[test]
fn the_examples_get_their_variables() {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_b24-emulator"))
        .args(["serve", "--quiet"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<_> = BufReader::new(serve.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.starts_with("Ctrl-C"))
        .collect();
    serve.kill().unwrap();
    serve.wait().unwrap();
    let value = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap();
    let variables = [
        ("PORTAL_URL", "portal "),
        ("ACCESS_TOKEN", "access_token "),
        ("REFRESH_TOKEN", "refresh_token "),
        ("CLIENT_ID", "client_id "),
        ("CLIENT_SECRET", "client_secret "),
        ("AUTH_SERVER", "auth_server "),
    ];
    let expected = variables.map(|(name, line)| format!(" B24_{name}='{}'", value(line))).concat();
    assert!(lines.contains(&format!("export{expected}")), "{lines:#?}");
}
