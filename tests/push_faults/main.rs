//! The network and the push server at their worst.

mod cut;
mod faults;
mod idle;
mod many_clients;
mod outages;
mod proxied;
mod proxy;
#[path = "../support/mod.rs"]
mod support;
mod through_proxy;
mod tls;
