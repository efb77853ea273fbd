//! Clients and `fork()`: a child cannot use what its parent has made, does it no harm, and can make its own.
//!
//! With `B24_VALGRIND=1` the host in C runs under valgrind, its children too.
#![cfg(target_os = "linux")]

mod support;

use std::env;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use b24events::ffi::B24_ABI_VERSION;
use support::{Folder, Portal, run, shared_library};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| value == "1")
}

/// Compiles `tests/c/fork.c` in this folder.
fn compile(folder: &Folder) -> PathBuf {
    let program = folder.path().join("fork");
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut words = compiler.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("cc"));
    command.args(words).args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-g", "-pthread", "-o"]).arg(&program);
    command.arg("-I").arg(root().join("include"));
    command.args(["fork.c", "portal.c", "system_linux.c"].map(|source| root().join("tests/c").join(source)));
    for name in ["libb24events.so", &format!("libb24events.so.{B24_ABI_VERSION}")] {
        symlink(shared_library(), folder.path().join(name)).unwrap();
    }
    command.arg("-L").arg(folder.path()).arg("-lb24events").arg(format!("-Wl,-rpath,{}", folder.path().display()));
    run(&mut command, "a C compiler (Debian: gcc), or its name in CC");
    program
}

#[test]
fn a_forked_child_of_a_host_in_c_leaves_its_parent_alone() {
    let (folder, state) = (Folder::new(), Folder::new());
    let program = compile(&folder);
    let (mut host, forks) = if is_set("B24_VALGRIND") {
        let mut valgrind = Command::new("valgrind");
        // What the parent's threads owned is lost in a child, which has no such threads: it is left alone on purpose.
        valgrind.args(["--quiet", "--error-exitcode=99", "--trace-children=yes", "--leak-check=no"]);
        valgrind.arg(program);
        (valgrind, 10_u32)
    } else {
        (Command::new(program), 200_u32)
    };
    let portal = Portal::start();
    portal.describe_to(host.arg(forks.to_string()).env("B24_STATE_DIR", state.path()));
    let output = run(&mut host, "valgrind (Debian: valgrind), when B24_VALGRIND=1");
    assert_eq!(output, "all parts passed\n");
    // The parent listens over its first connection; a child that makes a client listens over one of its own.
    let children = u64::from(forks.div_ceil(10));
    assert_eq!(portal.emulator.counters().websockets_accepted, 1 + children);
}

#[test]
fn a_forked_child_of_a_host_in_python_leaves_its_parent_alone() {
    let mut host = Command::new(env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned()));
    host.arg("-B").arg(root().join("tests/python/fork.py"));
    host.env("B24EVENTS_LIBRARY", shared_library()).env("PYTHONUTF8", "1");
    let portal = Portal::start();
    portal.describe_to(&mut host);
    assert_eq!(run(&mut host, "Python 3.9 or newer, or its name in PYTHON"), "all parts passed\n");
    assert_eq!(portal.emulator.counters().websockets_accepted, 3);
}
