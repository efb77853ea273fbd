//! What survives a process: tokens, and the batches that are not acknowledged yet.

pub mod private_file;
pub mod store;
pub mod stored_tokens;
pub mod tokens;
