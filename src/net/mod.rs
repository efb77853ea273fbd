//! Network: HTTP requests, raw connections for WebSockets, TLS, proxies, and an end to each of them at any moment.

pub mod connection;
pub mod http;
pub mod observed;
mod resolver;
mod tls;
