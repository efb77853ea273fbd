//! Network: HTTP requests, raw connections for WebSockets, TLS and proxies. Everything can be interrupted at any moment.

pub mod connection;
pub mod http;
pub mod observed;
mod resolver;
mod tls;
