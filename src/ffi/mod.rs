//! Door 1: the C ABI. What a C programmer reads is `include/b24events.h`, which `build.rs` generates from the comments
//! here: each file is one group of functions in the header.
//!
//! Handles are numbers in the shape of pointers, looked up in a registry (`handles`): a NULL, freed or made-up handle
//! is detected without touching memory. Every function runs inside `boundary`, which turns errors into statuses and
//! stops panics.

#![allow(unsafe_code)]
#![warn(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
// The comments become the header's. The contract is the same for all functions: every pointer is NULL or, as the header
// says, a text that ends with NUL or memory that can be written, valid for the duration of the call.
#![allow(clippy::missing_safety_doc)]

mod batch;
mod boundary;
mod client;
mod config;
mod diagnosis;
mod enums;
mod events;
mod handler;
mod handles;
mod hint;
mod library;
pub(crate) mod pin;
mod records;
mod rest;
mod state;
mod text;
mod wait_handle;

pub use batch::*;
pub use client::*;
pub use config::*;
pub use diagnosis::*;
pub use enums::*;
pub use events::*;
pub use handler::*;
pub use library::*;
pub use records::*;
pub use rest::*;
pub use state::*;
