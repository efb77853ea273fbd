//! The application's tokens: where they come from, who shares them, when they are renewed (docs/protocol.md §2.3).

mod family;
mod keeper;
mod registry;
mod server;
mod tokens;
mod turn;

pub use family::TokenKeeper;
pub use keeper::{Keeper, TokensSink};
pub use server::{AuthServer, TokenServer};
pub use tokens::{Tokens, TokensSetup};
