//! The Push&Pull side: learning that a queue grew.

pub mod backoff;
pub mod channel;
pub mod connection;
pub mod doorbell;
pub mod envelope;
pub mod listener;
pub mod long_polling;
pub mod message;
