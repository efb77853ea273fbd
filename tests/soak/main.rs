//! A long life in a few minutes or hours: records through every fault and through kills of their host, and the day of a
//! push server that does not stay up.
//!
//! `cargo test` runs a small part of it. `.ci/deep soak` runs the whole, which `scale` describes.
#![cfg(unix)]

mod day;
mod faults;
mod footprint;
mod host;
mod killed;
mod lane;
mod long_lived;
mod record;
mod scale;
mod soak;
#[path = "../support/mod.rs"]
mod support;
