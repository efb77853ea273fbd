//! What wakes a host: the doorbell that rings when a queue may have grown.

pub mod doorbell;

pub use doorbell::{Doorbell, Notification, Readiness};
