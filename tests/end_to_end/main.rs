//! The client against the emulator, end to end.

mod bad_input;
mod closing;
mod delivery;
mod handler;
mod push;
mod recovery;
mod rest;
mod secrets;
mod setting;
mod tokens;
mod websocket;
