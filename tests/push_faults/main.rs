//! The network and the push server at their worst.

mod crowd;
mod cut;
mod faults;
mod idle;
mod proxy;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "../end_to_end/setting.rs"]
mod setting;
mod storm;
#[path = "../support/mod.rs"]
mod support;
mod through_proxy;
mod tls;
mod trials;
