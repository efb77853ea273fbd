//! Network: HTTP requests, raw connections for WebSockets, TLS and proxies. All of it can be interrupted.

pub mod connection;
pub mod http;
pub mod observed;
mod resolver;
mod tls;
