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

/// Creates a client. Checks the configuration and reads `state.dir` and `auth.tokens_file`, but does not use the
/// network.
///
/// Only the key `portal.url` is required. A client can be created without tokens: b24_client_authorize,
/// b24_client_restore, b24_client_set_tokens or the application's installation bring them. To renew tokens, the client
/// needs `auth.client_id` and `auth.client_secret`; they are required if `auth.refresh_token` is set.
///
/// @param config The configuration. It is copied, so later changes do not affect the client.
/// @param out Receives the handle. Free it with b24_client_free.
/// @return B24_OK; B24_CONFIG if a required key is missing, or a value cannot be used; B24_STATE if `state.dir` or
/// `auth.tokens_file` cannot be used, or if another client uses the same `state.dir`, until it is freed or its process
/// ends; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
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

/// Starts listening for changes and waits until the client is connected. From then on the library listens on its own
/// thread and reconnects when the connection breaks; b24_client_wait and b24_client_next report the changes.
///
/// The key `source` decides what is started: `push` subscribes to the portal's push server, `handler` opens the port
/// `handler.listen` for calls of the portal, `both` does both. With `handler`, the client is connected as soon as the
/// port is open. With `both`, the port stays open even if the push server cannot be reached; an application that has no
/// tokens yet counts as connected, and subscribes as soon as its installation brings them.
///
/// One request (`batch` of `app.info`, `profile` and `scope`) first finds out whether events can come at all: whether
/// the application is installed and paid for, belongs to an administrator, and has the scope `pull`. With `timeout_ms`
/// 0, or while the portal cannot answer, there is no such check.
///
/// If the timeout expires first, the library keeps trying. You need not call this function again: b24_client_wait and
/// b24_client_next already work, and return as soon as there is something to report. Call it again if you want to wait
/// for the connection. If the client is already connected, it returns at once. Blocks.
///
/// @param client The client.
/// @param timeout_ms How long to wait, in milliseconds. 0: do not wait. Negative: no limit.
/// @return B24_OK if the client is connected. B24_TIMEOUT if the timeout expired and no attempt has failed yet. A REST
/// error (B24_CONFIG if no token is set) tells why the client is not connected. If it is transient, the timeout expired
/// and the library keeps trying. If not, someone must intervene; call this function again afterwards. B24_CONFIG also
/// if the port cannot be opened, or if the push server does not support `push.transport`; B24_STATE also if no thread
/// can be started; B24_CLOSED; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn b24_client_connect(client: *mut b24_client, timeout_ms: i32) -> b24_status {
    boundary::status(|| {
        CLIENTS.get(client)?.client.connect(Timeout::from_millis(timeout_ms))?;
        Ok(Status::Ok)
    })
}

/// Returns counters and the state of the client as a JSON object. It holds no secrets. Works on a closed client too.
/// Does not block. Counters start at 0 with each client; later versions may add members.
///
/// - "requests": REST requests sent, including repeats
/// - "renewals": renewals of the tokens
/// - "configurations": requests for the push server's configuration
/// - "websockets": WebSocket connections opened
/// - "polls": long polls answered
/// - "failures": how often the push connection failed or broke
/// - "messages": messages from the push server, for any module
/// - "signals": messages that announced records for this client's queue
/// - "malformed": messages that could not be read
/// - "handler_calls": calls of the portal that were accepted
/// - "handler_refused": calls that were refused, for any reason
/// - "fetched": records handed out, redelivered ones included
/// - "acknowledged": records acknowledged
/// - "failed": records marked as failed
/// - "subscribed": true if the client is connected now
/// - "closed": true if the client was closed or the application was uninstalled
/// - "handler_address": where the library accepts calls of the portal, such as "127.0.0.1:8080"; null if it does not
/// - "operating": for each REST method what the portal counts towards the method's run time limit: "operating" (seconds
///   used up), "operating_reset_at" (when the oldest minute no longer counts, Unix time) and "blocked" (the limit was
///   reached, and the client does not call the method for now)
/// - "last_error": why the client is not connected; null if it is connected or has not been connected yet
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

/// Returns a file descriptor for poll, epoll or select (Linux), so that an event loop can wait for the client and for
/// other things at once. It is readable while b24_client_wait would return at once: a notification is pending, someone
/// must intervene, or the client is closed. At rest it is not readable.
///
/// After every connection it becomes readable once, so records that were queued before need no call of their own.
///
/// While it is readable, call b24_client_next with timeout 0. B24_TIMEOUT is then an ordinary result: the queue was
/// empty, or another thread was faster. After a batch that was full the descriptor stays readable, because the queue
/// probably holds more. After an error it stays readable as well, although the library pauses (for 1 s at first, for 30 s
/// at most; longer if the portal is closed), and until then b24_client_next with timeout 0 returns the same error again
/// and sends nothing. So do not watch the descriptor for a second or two after an error,
/// and log a text only when it differs from the one before.
///
/// Watch it for POLLIN only; POLLERR and POLLHUP do not occur. Watch it level-triggered: with EPOLLET, a batch that was
/// full or an error would not wake you again.
///
/// You may ask for the descriptor before b24_client_connect, but whether it is readable means nothing until then. It is
/// always the same one. Do not read, write or close it; b24_client_free closes it. Does not block.
///
/// @param client The client.
/// @return The descriptor. -1 on other systems, if the handle is not valid, and if the descriptor cannot be created
/// (b24_last_error_message says why).
#[unsafe(no_mangle)]
pub extern "C" fn b24_client_fd(client: *const b24_client) -> libc::intptr_t {
    boundary::value(-1, || {
        let handle = CLIENTS.get(client)?;
        handle.wait_handle.descriptor(&handle.client)
    })
}

/// Returns an event for WaitForSingleObject, WaitForMultipleObjects and the like (Windows). It is set whenever the
/// descriptor of b24_client_fd would be readable; use it as described there. Do not set, reset or close it;
/// b24_client_free closes it. Does not block.
///
/// @param client The client.
/// @return The HANDLE of a manual-reset event. NULL on other systems, if the handle is not valid, and if the event
/// cannot be created (b24_last_error_message says why).
#[unsafe(no_mangle)]
pub extern "C" fn b24_client_wait_handle(client: *const b24_client) -> *mut c_void {
    boundary::value(std::ptr::null_mut(), || {
        let handle = CLIENTS.get(client)?;
        handle.wait_handle.event(&handle.client)
    })
}

/// Closes a client. Requests are interrupted, and every blocked call returns B24_CLOSED, as does every later call that
/// waits or needs the portal, b24_batch_ack included. Any thread may call this function, and so may a log callback.
/// Closing again has no effect. Does not block.
///
/// Only a renewal of tokens is not interrupted, because its answer must not be lost: a call that renews them may return
/// up to 20 s later.
///
/// Records that are not acknowledged stay reserved in the portal and are delivered again, as b24_batch_free describes.
/// So to stop without processing records twice, acknowledge the last batch before you close the client. If closing
/// interrupts a fetch, its records are delivered again, too, but only as `recover.orphans` says.
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

/// Closes and frees a client. Its batches can still be read, and have to be freed, but their records can no longer be
/// acknowledged. Do not call this function from a callback of this client.
///
/// Blocks until the client's threads have ended. That takes a moment; it takes longer while a thread resolves a name or
/// opens a connection, and while tokens are renewed, because the new tokens must not get lost (20 s at most). On
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
