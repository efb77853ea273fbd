//! A host in Python, which uses the shared library through ctypes; see `tests/python`.

mod support;

use std::env;
use std::path::Path;
use std::process::Command;

use support::{Portal, run, shared_library};

const NEEDS: &str = "Python 3.9 or newer, or its name in PYTHON";

/// A program of `tests/python` that finds the library.
fn python(program: &str) -> Command {
    let usual = if cfg!(windows) { "python" } else { "python3" };
    let mut command = Command::new(env::var("PYTHON").unwrap_or_else(|_| usual.to_owned()));
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(program));
    command.env("B24EVENTS_LIBRARY", shared_library()).env("PYTHONUTF8", "1");
    command
}

#[test]
fn quickstart() {
    support::quickstart(&mut python("quickstart.py"), NEEDS);
}

/// What a program prints that cannot begin.
fn complaint(command: &mut Command) -> String {
    let output = command.output().expect(NEEDS);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_is_missing_is_named() {
    let mut quickstart = python("quickstart.py");
    quickstart.env_remove("B24_PORTAL_URL");
    assert_eq!(complaint(&mut quickstart).trim_end(), "B24_PORTAL_URL is not set");
    quickstart.env("B24EVENTS_LIBRARY", "/nowhere/libb24events.so");
    let text = complaint(&mut quickstart);
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("ImportError: cannot load /nowhere/libb24events.so ("), "{text}");
    assert!(last.ends_with("; set B24EVENTS_LIBRARY to the path of the library"), "{text}");
}

#[test]
fn unittest() {
    let portal = Portal::start();
    let mut tests = python("test_b24events.py");
    portal.describe_to(&mut tests);
    run(&mut tests, NEEDS);
}
