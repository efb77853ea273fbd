//! The client against the emulator, end to end.

mod bad_input;
mod delivery;
mod diagnosis;
mod handler;
mod objects;
mod odd_answers;
mod orphans;
mod push;
mod recovery;
mod rest;
mod secrets;
mod shutdown;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod websocket;
