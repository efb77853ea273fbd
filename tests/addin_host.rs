//! The 1C add-in under a C++ host of our own: `tests/c/addin_host.cpp` on `tests/c/native_api.hpp`.
//!
//! `B24_ADDIN_CYCLES` sets how often the host loads, uses and unloads the library; with `B24_VALGRIND=1` it runs under
//! valgrind, which must find no invalid access and no definite leak.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod support;

use std::env;
use std::path::Path;
use std::process::Command;

use support::{Folder, Portal, run, shared_library};

/// The compiler that the variable names, else the usual one.
fn compiler(variable: &str, usual: &str) -> Command {
    let mut command = Command::new(env::var(variable).unwrap_or_else(|_| usual.to_owned()));
    command.args(["-Wall", "-Wextra", "-Werror", "-g", "-O1"]);
    command
}

#[test]
fn the_host_passes_and_leaves_nothing_behind() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c");
    let folder = Folder::new();
    let program = folder.path().join("addin_host");
    let system = folder.path().join("system.o");
    run(
        compiler("CC", "cc")
            .args(["-std=c99", "-pedantic", "-c", "-o"])
            .arg(&system)
            .arg(sources.join("system_linux.c")),
        "a C compiler (Debian: gcc), or its name in CC",
    );
    run(
        compiler("CXX", "c++")
            .args(["-std=c++17", "-pthread", "-o"])
            .arg(&program)
            .arg(sources.join("addin_host.cpp"))
            .arg(&system)
            .arg("-ldl"),
        "a C++ compiler (Debian: g++), or its name in CXX",
    );

    let portal = Portal::start();
    let valgrind = env::var_os("B24_VALGRIND").is_some_and(|value| value == "1");
    let mut host = if valgrind {
        let mut command = Command::new("valgrind");
        command
            .args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite"])
            .args(["--errors-for-leak-kinds=definite", "--num-callers=40"])
            .arg(&program);
        command
    } else {
        Command::new(&program)
    };
    host.arg(shared_library()).arg(env::var("B24_ADDIN_CYCLES").unwrap_or_else(|_| "1000".to_owned()));
    if valgrind {
        host.arg("--no-rss");
    }
    portal.describe_to(&mut host);
    let output = run(&mut host, "valgrind (Debian: valgrind), when B24_VALGRIND=1");
    print!("{output}");
    assert!(output.ends_with("all parts passed\n"), "{output}");
}
