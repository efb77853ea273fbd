//! Processes that share the tokens of one application and are killed at random: no pair is ever used twice.
//!
//! A process that is killed between the authorization server's answer and its storing takes that one pair with it. The
//! next process then says so, and the administrator (this test) authorizes anew; these are counted apart.

mod by_host;
mod by_library;
#[path = "../support/mod.rs"]
mod support;
mod worker;

/// How many processes a test kills.
fn kills() -> u32 {
    std::env::var("B24_TOKEN_KILLS").map_or(60, |number| number.parse().expect("B24_TOKEN_KILLS is a number"))
}
