//! The network and the push server at their worst.

mod calm;
mod cut;
mod faults;
mod flapping;
mod idle;
mod many_clients;
mod outages;
mod proxied;
mod proxy;
mod rings;
mod scripted;
#[path = "../support/mod.rs"]
mod support;
mod through_proxy;
mod tls;
