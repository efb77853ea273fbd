//! The REST side of the portal.

pub mod answer;
pub mod authorization;
pub mod batch_call;
pub mod call;
pub mod http;
pub mod installation;
pub mod kept_tokens;
pub mod limiter;
pub mod line;
pub mod offline_events;
mod params;
pub mod php;
pub mod refusal;
mod tls;
mod token_chain;
pub mod tokens;
pub mod watched;

pub use call::{Portal, Repeat, Surroundings};
