//! What wakes a host: the doorbell, which rings when the queue may have grown.

pub mod doorbell;

pub use doorbell::{Doorbell, Notification, Readiness};
