//! Network: HTTP requests, raw connections for WebSockets, TLS and proxies. All of it can be interrupted.

pub mod connection;
mod explain;
pub mod http;
pub mod observed;
pub mod probe;
mod proxy;
mod proxy_timeout;
mod resolver;
mod tls;
