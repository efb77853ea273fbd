//! The portal's REST interface: calls, retries, refusals, request limits, offline events.

pub mod answer;
pub mod batch_call;
pub mod binding_changes;
pub mod call;
pub mod installation;
pub mod limiter;
pub mod oauth;
mod object_methods;
mod objects;
pub mod offline_events;
mod operating;
mod params;
pub mod php;
mod records;
pub mod refusal;
mod reserving;
mod self_check;
pub mod survey;

pub use call::{Portal, Repeat};
pub use reserving::Turn;
