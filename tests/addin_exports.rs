//! What the library shows to the loader: the C ABI and the five functions of the Native API, and nothing else of ours.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeSet;
use std::process::Command;

use support::{NATIVE_API, run, shared_library};

#[test]
fn only_the_two_doors_are_exported() {
    let listed = run(
        Command::new("nm").args(["--dynamic", "--defined-only", "--format=posix"]).arg(shared_library()),
        "nm (Debian: binutils)",
    );
    let exported: BTreeSet<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let strange: Vec<_> =
        exported.iter().filter(|name| !NATIVE_API.contains(name) && !name.starts_with("b24_")).collect();
    assert!(strange.is_empty(), "exported, but part of neither door: {strange:?}");
    assert!(exported.contains("b24_version"));
    for name in NATIVE_API {
        assert!(exported.contains(name), "{name} is missing");
    }
}

/// Threads of the host keep values of the Rust runtime until they end; unmapping the library before would let them end
/// in the void, on systems older than glibc 2.18 at least. See `build.rs`.
#[test]
fn the_library_stays_mapped_once_it_was_loaded() {
    let listed =
        run(Command::new("readelf").args(["--dynamic", "--wide"]).arg(shared_library()), "readelf (Debian: binutils)");
    assert!(listed.contains("NODELETE"), "{listed}");
}
