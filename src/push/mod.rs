//! Listens to the push server, which signals that a queue has grown.

pub mod config;
pub mod envelope;
mod listen_loop;
pub mod listener;
pub mod long_polling;
pub mod machine;
pub mod message;
mod poll_observer;
pub mod recent;
pub mod renewal;
pub mod schedule;
mod status;
pub mod transport;
pub mod websocket;
