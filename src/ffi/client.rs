//! `b24_client`: its life.

use std::ffi::{CString, c_char, c_void};

use super::config::{CONFIGS, b24_config};
use super::enums::b24_status;
use super::handles::Registry;
use super::wait_handle::WaitHandle;
use super::{boundary, text};
use crate::client::Client;
use crate::clock::Timeout;
use crate::error::Status;
use crate::lock;

/// A client: one application on one portal. Any thread may call any function, and several threads may use the same
/// client at once.
#[allow(non_camel_case_types)]
pub struct b24_client {
    _private: (),
}

pub(super) struct ClientHandle {
    pub(super) client: Client,
    pub(super) connector_id: CString,
    wait_handle: WaitHandle,
}

pub(super) static CLIENTS: Registry<b24_client, ClientHandle> = Registry::new("b24_client");

/// Creates a client. Checks the configuration, but does not use the network. Does not block.
///
/// @param config The configuration. It is copied, so later changes do not affect the client.
/// @param out Receives the handle. Free it with b24_client_free.
/// @return B24_OK; B24_CONFIG if a required key is missing or keys contradict each other; B24_STATE if `state.dir`
/// cannot be used; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_new(config: *const b24_config, out: *mut *mut b24_client) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(out, std::ptr::null_mut())? };
        let config = CONFIGS.get(config)?;
        // Not under the lock: other clients of the application may report tokens to their hosts meanwhile.
        let (keys, hooks) = {
            let state = lock(&config);
            (state.config.clone(), state.hooks.clone())
        };
        let client = Client::new(&keys, hooks)?;
        let handle = CLIENTS.insert(ClientHandle {
            connector_id: text::owned(client.connector_id()),
            client,
            wait_handle: WaitHandle::default(),
        });
        // SAFETY: checked by `prepare`.
        unsafe { out.write(handle) };
        Ok(Status::Ok)
    })
}

/// Starts listening for changes and waits until the client is connected. From then on the library listens on a thread
/// of its own and reconnects when the connection breaks; b24_client_wait and b24_client_next report the changes.
///
/// The key `source` decides what is started: `push` subscribes to the portal's push server, `handler` opens the port
/// `handler.listen` for calls of the portal, `both` does both. With `both`, the port stays open even if the push
/// server cannot be reached, and an application without tokens subscribes as soon as its installation brings them.
///
/// One request (`batch` of `app.info`, `profile` and `scope`) first finds out whether events can come at all: whether
/// the application is installed and paid for, belongs to an administrator, and has the scope `pull`. With `timeout_ms`
/// 0, or while the portal cannot answer, there is no such check.
///
/// If the time is over before the client is connected, the library keeps trying. Call the function again to keep
/// waiting. If the client is already connected, the function returns at once. Blocks.
///
/// @param client The client.
/// @param timeout_ms How long to wait, in milliseconds. 0: do not wait. -1: no limit.
/// @return B24_OK if the client is connected. If the time is over: B24_TIMEOUT, or the error of the last attempt
/// (B24_NETWORK, B24_TLS, B24_PROTOCOL or B24_RATE_LIMIT). If somebody has to act before the client can connect:
/// B24_AUTH, B24_ACCESS_DENIED, B24_WRONG_AUTH_TYPE, B24_LICENSE or B24_PORTAL; call the function again afterwards.
/// B24_CONFIG if the port cannot be opened; B24_STATE if no thread can be started; B24_CLOSED; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn b24_client_connect(client: *mut b24_client, timeout_ms: i32) -> b24_status {
    boundary::status(|| {
        CLIENTS.get(client)?.client.connect(Timeout::from_millis(timeout_ms))?;
        Ok(Status::Ok)
    })
}

/// Returns counters and the state of the client as a JSON object: requests, messages, signals, malformed, fetched,
/// acknowledged, failed, renewals, failures, handler_calls, handler_refused, handler_address, subscribed, closed,
/// last_error and more. It holds no secrets. Works on a closed client too. Does not block.
///
/// `operating` tells for each REST method what the portal counts towards the method's run time limit:
/// `operating` (seconds used up), `operating_reset_at` (when the oldest minute no longer counts, Unix time) and
/// `blocked` (the limit was reached, and the client does not call the method for now).
///
/// @param client The client.
/// @param json Receives the text. Free it with b24_string_free.
/// @return B24_OK; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_stats(client: *const b24_client, json: *mut *mut c_char) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(json, std::ptr::null_mut())? };
        let stats = CLIENTS.get(client)?.client.stats();
        // SAFETY: checked by `prepare`.
        unsafe { text::give(json, stats) };
        Ok(Status::Ok)
    })
}

/// Returns a file descriptor for poll, epoll or select (Linux). It is readable while b24_client_wait would return at
/// once: a notification is pending, somebody has to act, or the client is closed. Do not read, write or close it.
/// b24_client_free closes it. Does not block.
///
/// @param client The client.
/// @return The descriptor. -1 on other systems, and if it cannot be created (b24_last_error_message says why).
#[unsafe(no_mangle)]
pub extern "C" fn b24_client_fd(client: *const b24_client) -> libc::intptr_t {
    boundary::value(-1, || {
        let handle = CLIENTS.get(client)?;
        handle.wait_handle.descriptor(&handle.client)
    })
}

/// Returns an event for WaitForSingleObject, WaitForMultipleObjects and the like (Windows). It is set while
/// b24_client_wait would return at once: a notification is pending, somebody has to act, or the client is closed. Do
/// not set, reset or close it. b24_client_free closes it. Does not block.
///
/// @param client The client.
/// @return The HANDLE of a manual-reset event. NULL on other systems, and if it cannot be created
/// (b24_last_error_message says why).
#[unsafe(no_mangle)]
pub extern "C" fn b24_client_wait_handle(client: *const b24_client) -> *mut c_void {
    boundary::value(std::ptr::null_mut(), || {
        let handle = CLIENTS.get(client)?;
        handle.wait_handle.event(&handle.client)
    })
}

/// Closes a client. Requests are interrupted, and every blocked call returns B24_CLOSED, as does every later call that
/// waits or needs the portal. Records that are not acknowledged stay reserved in the portal. Any thread may call this
/// function, and so may a log callback. Closing again does nothing. Does not block.
///
/// @param client The client.
/// @return B24_OK; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn b24_client_close(client: *mut b24_client) -> b24_status {
    boundary::status(|| {
        CLIENTS.get(client)?.client.close();
        Ok(Status::Ok)
    })
}

/// Closes and frees a client. Batches remain valid, but their records can no longer be acknowledged. Do not call it
/// from a callback of this client.
///
/// Blocks until the client's threads have ended. That takes a moment; it takes longer while a thread resolves a name
/// or opens a connection, and while tokens are renewed, because the new tokens must not get lost (20 s at most). On
/// Windows it takes up to a second if a peer no longer responds.
///
/// @param client The client. NULL and freed handles are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn b24_client_free(client: *mut b24_client) {
    boundary::value((), || {
        if let Some(handle) = CLIENTS.remove(client) {
            // Calls that are blocked in other threads hold the client a little longer. Do not wait for them.
            handle.client.close();
            handle.client.join();
        }
        Ok(())
    });
}
