//! The Push&Pull side: learning that a queue grew.

pub mod backoff;
pub mod channel;
pub mod connection;
pub mod doorbell;
pub mod envelope;
pub mod lifetime;
pub mod listener;
mod listening;
pub mod long_polling;
pub mod message;
pub mod recent;
pub mod times;
pub mod transport;
pub mod websocket;
