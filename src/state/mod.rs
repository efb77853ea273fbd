//! What survives a process: tokens, and the batches that are not acknowledged yet.

mod ancestors;
mod document;
pub mod family;
mod pending;
mod private_file;
mod sharing;
pub mod storage;
pub mod store;
mod strangers;
pub mod tokens;
pub mod tokens_file;

pub use document::PortalName;

pub use private_file::PrivateFile;

#[cfg(test)]
pub(crate) use private_file::tests::Folder;
