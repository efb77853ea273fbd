//! The application's tokens: where they come from, who shares them, when they are renewed (docs/protocol.md §2.3).

mod family;
mod server;
pub mod tokens;

pub use family::TokensSink;
pub use tokens::Tokens;
