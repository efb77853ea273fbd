//! The REST side of the portal.

pub mod call;
pub mod http;
pub mod offline_events;
pub mod php;
pub mod refusal;
pub mod tokens;
pub mod watched;

pub use call::{Portal, Repeat, Surroundings};
