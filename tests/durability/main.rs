//! Nothing is lost and nothing confirmed comes again, whatever dies when. Counts are printed.

mod consumers;
mod drain;
mod host;
mod kill;
mod model;
#[path = "../support/mod.rs"]
mod support;
