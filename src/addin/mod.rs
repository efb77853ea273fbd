//! Door 2: the external component of 1C:Enterprise (Native API, protocol.md §5).
//!
//! | room | what it holds |
//! |---|---|
//! | [`class`] | the one table of the class `B24Events`: names in both languages, parameters, defaults, functions |
//! | `exports` | the five functions that the platform looks up in the library |
//! | `object` | the C++ object: four vtables, every entry point, panics stopped |
//! | `abi` | layouts, asserted when compiling |
//! | `variant`, `text` | values and UTF-16 |
//! | `platform` | what the platform gives us: memory, error messages, external events, the language |
//! | `component` | one object's life and the dispatch of calls to the table |
//! | `methods`, `session`, `batches` | what the functions of the table do, and what they work on |
//! | `notifications` | the thread behind `StartNotifications` |
//! | `fault`, `russian` | what goes wrong, in both languages |
//!
//! Calls come from any thread, several at once. A call that waits holds no lock, so it delays nobody else.

#![allow(unsafe_code)]
#![warn(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod abi;
mod batches;
mod call_gate;
pub mod class;
mod component;
mod exports;
mod fault;
mod methods;
mod notifications;
mod object;
mod platform;
mod russian;
mod session;
mod text;
mod variant;
