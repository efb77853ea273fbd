//! Door 1: the C ABI. What a C programmer reads is `include/b24events.h`, which is generated from the comments here.
//!
//! Handles are numbers in the shape of pointers, looked up in a registry (`handles`): a NULL, freed or made-up handle
//! is found out without touching memory. Every function runs inside `boundary`, which turns errors into statuses and
//! stops panics.

#![allow(unsafe_code)]
#![warn(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
// The comments become the header's; the contract is the same for all and stands here: every pointer is NULL or, as the
// header says, a text that ends with NUL or a place that can be written, good for the duration of the call.
#![allow(clippy::missing_safety_doc)]

mod batch;
mod boundary;
mod client;
mod config;
mod handler;
mod handles;
mod library;
pub(crate) mod pin;
mod status;
mod text;
mod wait_handle;

pub use batch::*;
pub use client::*;
pub use config::*;
pub use handler::*;
pub use library::*;
pub use status::*;
