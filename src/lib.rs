//! b24events: Bitrix24's *offline events* in real time for 1C:Enterprise and any host that speaks C.
//!
//! One library with three doors: the C ABI ([`ffi`]), the 1C Native API, and [`client::Client`] for Rust.
//! Dependencies point one way:
//!
//! `ffi` → [`client`] → [`handler`] → [`delivery`], [`push`] → [`portal`] → [`config`], [`error`]
//!
//! An event travels: portal → push server → [`push::listener`] → [`notify::doorbell`] → [`client::Client::next`] on the
//! host's thread → [`delivery`] reserves with `event.offline.get` → batch → host → acknowledged with
//! `event.offline.clear`. The signal is only a doorbell; the queue is the truth.

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
pub mod push;
pub mod retry;
pub mod secret;
pub mod state;
pub mod stats;
pub mod threads;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a panic of another holder does not spread, since nothing in this crate leaves a half-made state under a lock.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
