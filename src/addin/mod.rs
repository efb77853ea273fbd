//! Door 2: the external component of 1C:Enterprise (Native API, docs/protocol.md §5).
//!
//! | file | what it holds |
//! |---|---|
//! | [`class`] | the class `B24Events`, as tables: names in both languages, parameters, defaults |
//! | `exports` | the five functions that the platform looks up in the library |
//! | `object` | the C++ object: four vtables, every entry point, panics stopped |
//! | `abi` | layouts, asserted at compile time |
//! | `value`, `variant`, `text`, `json` | values, how they are read and written, UTF-16, JSON for 1C |
//! | `platform`, `memory` | what the platform provides: error messages, external events, the language, memory |
//! | `component` | one object and its life |
//! | `methods`, `arguments` | what the methods and properties of the class do |
//! | `session`, `restoration`, `batches`, `call_gate` | what they work on: the client, its state, open batches and calls |
//! | `notifications` | the thread behind `EnableNotifications` |
//! | `error`, `english`, `russian` | what goes wrong, in both languages |
//!
//! Calls come from any thread, several at once. A call that waits holds no lock, so it delays no other call.

#![allow(unsafe_code)]
#![warn(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod abi;
mod arguments;
mod batches;
mod call_gate;
pub mod class;
mod component;
mod english;
mod error;
mod exports;
mod json;
mod memory;
mod methods;
mod notifications;
mod object;
mod platform;
mod restoration;
mod russian;
mod session;
mod text;
mod value;
mod variant;
