//! What `packaging/build.sh bundle` has made, taken apart and used as those would who download it: checked file by file, linked
//! into C programs, loaded by hosts of 1C's components, on Linux, under wine and under qemu.
//!
//! As root on Debian 12 (`.ci/run` has the list of packages):
//!
//! ```sh
//! packaging/build.sh bundle
//! tests/bundle/wine32.sh make target/wine32
//! B24_WINE32=$PWD/target/wine32 cargo test --test bundle -- --ignored
//! ```
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod arm64;
mod contents;
mod dist;
mod hosts;
mod libraries;
mod linux;
#[path = "../support/mod.rs"]
mod support;
mod windows;
