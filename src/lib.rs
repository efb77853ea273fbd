//! b24events: Bitrix24's *offline events* in real time, for 1C:Enterprise and for every program that can call C.
//!
//! One library with three doors: the C ABI ([`ffi`]), the 1C Native API ([`addin`]), and [`client::Client`] for Rust.
//! Imports point one way:
//!
//! [`ffi`], [`addin`] → [`client`] → [`delivery`], [`push`], [`handler`] → [`notify`], [`portal`] → [`state`], [`net`] →
//! what stands on its own, such as [`config`] and [`error`]
//!
//! How an event travels: portal → push server → [`push::listener`] → [`notify::doorbell`] → [`client::Client::next`] on
//! the host's thread → [`delivery`] reserves records with `event.offline.get` → batch → host → the batch is acknowledged
//! with `event.offline.clear`. A signal only means that it is time to fetch; the portal's queue has the records.
//!
//! `docs/ARCHITECTURE.md` describes the rooms, threads and locks, and has the glossary.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod addin;
pub mod calendar;
pub mod cancel;
pub mod client;
pub mod clock;
pub mod config;
pub mod context;
pub mod delivery;
pub mod error;
pub mod ffi;
pub mod handler;
pub mod log;
pub mod net;
pub mod notify;
pub mod portal;
pub mod process;
pub mod push;
pub mod retry;
pub mod secret;
pub mod state;
pub mod stats;
pub mod threads;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. A panic of another holder does not matter, because nothing in this crate leaves an inconsistent value
/// behind a lock.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
