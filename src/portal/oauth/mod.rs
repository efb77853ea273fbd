//! The application's tokens: where they come from, who shares them, when they are renewed (docs/protocol.md §2.3).

mod family;
mod files;
mod keeper;
mod member;
mod registry;
mod server;
mod tokens;
mod turn;

pub use keeper::{Keeper, TokensSink};
pub use member::TokenKeeper;
pub use server::{AuthServer, TokenServer};
pub use tokens::{Tokens, TokensSetup};
