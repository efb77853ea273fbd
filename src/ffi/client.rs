//! `b24_client`.

use std::ffi::{CString, c_char};

use super::batch::{BatchHandle, b24_batch};
use super::config::{CONFIGS, b24_config};
use super::handles::Registry;
use super::status::b24_status;
use super::wait_handle::Descriptor;
use super::{boundary, text};
use crate::client::Client;
use crate::clock::Timeout;
use crate::error::Status;
use crate::lock;

/// A client: one application on one portal. Any function may be called from any thread, several at once.
#[allow(non_camel_case_types)]
pub struct b24_client {
    _private: (),
}

/// A notification: records may have come into the queue. Fetch them; how many there are only the queue knows.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct b24_notification {
    /// Source key of the queue (key `connector.id`), "" for the queue without one. Valid until the client is freed.
    pub connector_id: *const c_char,
    /// Records that the portal announced since the last notification; 0 when it did not say.
    pub count: u64,
    /// 1 when a message of the portal is behind it. 0 when the library looks by itself whether a message was lost: after
    /// connecting, after a gap, and every `push.poll_interval_ms`.
    pub signalled: i32,
    /// For later versions; do not read.
    pub reserved: [i32; 5],
}

pub(super) struct ClientHandle {
    pub(super) client: Client,
    connector_id: CString,
    descriptor: Descriptor,
}

pub(super) static CLIENTS: Registry<b24_client, ClientHandle> = Registry::new("b24_client");

/// Makes a client. Checks the configuration, does not use the network, does not block.
///
/// `config`: copied; later changes do not reach the client. `out`: receives the handle; free it with `b24_client_free`.
///
/// Returns `B24_OK`; `B24_CONFIG` when a required key is missing or keys do not fit together; `B24_INVALID_ARGUMENT`,
/// `B24_INVALID_HANDLE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_new(config: *const b24_config, out: *mut *mut b24_client) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(out, std::ptr::null_mut())? };
        let config = CONFIGS.get(config)?;
        let client = {
            let state = lock(&config);
            Client::new(&state.config, state.hooks.clone())?
        };
        let handle = CLIENTS.insert(ClientHandle {
            connector_id: text::owned(client.connector_id()),
            client,
            descriptor: Descriptor::default(),
        });
        // SAFETY: checked by `prepare`.
        unsafe { out.write(handle) };
        Ok(Status::Ok)
    })
}

/// Subscribes to the portal's push server and returns when the subscription stands. From then on a thread of the library
/// listens, reconnects by itself, and rings for `b24_client_wait`. Calling it again waits again, or returns at once.
/// With the key `source` set to `handler` it opens the port `handler.listen` for the portal's calls instead, with `both` it
/// does both (an error of the push server then leaves the port open); an application that has no tokens yet subscribes when
/// its installation has brought them.
///
/// `timeout_ms`: how long to wait; 0: do not wait, -1: for ever.
///
/// Returns `B24_OK`; `B24_TIMEOUT` or, when there was trouble, `B24_NETWORK`, `B24_TLS`, `B24_PROTOCOL`,
/// `B24_RATE_LIMIT` when the time is over (the library goes on trying); `B24_AUTH`, `B24_ACCESS_DENIED`,
/// `B24_WRONG_AUTH_TYPE`, `B24_LICENSE`, `B24_PORTAL` when a person has to mend something (call it again afterwards);
/// `B24_CONFIG` when the port cannot be opened; `B24_CLOSED`, `B24_STATE`, `B24_INVALID_HANDLE`. Blocks.
#[unsafe(no_mangle)]
pub extern "C" fn b24_client_connect(client: *mut b24_client, timeout_ms: i32) -> b24_status {
    boundary::status(|| {
        CLIENTS.get(client)?.client.connect(Timeout::from_millis(timeout_ms))?;
        Ok(Status::Ok)
    })
}

/// Binds an event (`event.bind`, offline): from now on changes of this kind go into the client's queue, for good, not
/// only while the client lives. Binding again does nothing.
///
/// `event_name`: such as "ONCRMDEALADD"; the portal's method `events` lists all.
///
/// Returns `B24_OK`; `B24_PORTAL` (`ERROR_EVENT_NOT_FOUND`), `B24_ACCESS_DENIED` when the token's user is no
/// administrator, or any other error of a REST call; `B24_CLOSED`, `B24_INVALID_ARGUMENT`, `B24_INVALID_HANDLE`.
/// Blocks, at most for `http.timeout_ms`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_bind_event(client: *mut b24_client, event_name: *const c_char) -> b24_status {
    boundary::status(|| {
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        client.client.bind_event(unsafe { text::borrowed("event_name", event_name)? })?;
        Ok(Status::Ok)
    })
}

/// Unbinds an event (`event.unbind`). What is in the queue stays there. Unbinding again does nothing.
///
/// Parameters, statuses and blocking as `b24_client_bind_event`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_unbind_event(client: *mut b24_client, event_name: *const c_char) -> b24_status {
    boundary::status(|| {
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        client.client.unbind_event(unsafe { text::borrowed("event_name", event_name)? })?;
        Ok(Status::Ok)
    })
}

/// Waits for the next message `event_offline` for the client's connector. Messages that came since the last call are
/// joined into one notification. `b24_client_connect` comes first.
///
/// `timeout_ms`: how long to wait; 0: do not wait, -1: for ever. `out`: receives the notification; may be NULL.
///
/// Returns `B24_OK` with a notification; `B24_TIMEOUT`; `B24_CLOSED` after `b24_client_close`; `B24_STATE` when it is not
/// connected; `B24_AUTH` with the code APPLICATION_UNINSTALLED when the handler was told so, which ends the client; `B24_AUTH`, `B24_ACCESS_DENIED` and the like when the connection cannot go on without a person. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_wait(
    client: *mut b24_client,
    timeout_ms: i32,
    out: *mut b24_notification,
) -> b24_status {
    boundary::status(|| {
        let client = CLIENTS.get(client)?;
        let mut notification =
            b24_notification { connector_id: client.connector_id.as_ptr(), count: 0, signalled: 0, reserved: [0; 5] };
        let rung = client.client.wait(Timeout::from_millis(timeout_ms));
        if let Ok(Some(rung)) = &rung {
            notification.count = rung.count;
            notification.signalled = rung.signalled.into();
        }
        if !out.is_null() {
            // SAFETY: not NULL, and valid by contract.
            unsafe { out.write(notification) };
        }
        Ok(if rung?.is_some() { Status::Ok } else { Status::Timeout })
    })
}

/// Takes records that are in the queue now (`event.offline.get`). Where the portal's plan allows it they stay reserved for
/// this batch until they are acknowledged.
///
/// `limit`: most records, 1 to 1000; 0: what the key `fetch.limit` says. `out`: receives the batch, which may be empty;
/// free it with `b24_batch_free`.
///
/// Returns `B24_OK`, or any error of a REST call: `B24_NETWORK`, `B24_TLS`, `B24_PROTOCOL`, `B24_AUTH`,
/// `B24_ACCESS_DENIED`, `B24_WRONG_AUTH_TYPE`, `B24_LICENSE`, `B24_RATE_LIMIT`, `B24_PORTAL`; `B24_CLOSED`,
/// `B24_INVALID_ARGUMENT`, `B24_INVALID_HANDLE`. Blocks for one request as a rule, for a few when trouble is mended; each takes
/// at most `http.timeout_ms`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_fetch(client: *mut b24_client, limit: u32, out: *mut *mut b24_batch) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(out, std::ptr::null_mut())? };
        let batch = CLIENTS.get(client)?.client.fetch(limit)?;
        // SAFETY: checked by `prepare`.
        unsafe { out.write(BatchHandle::give_out(batch)) };
        Ok(Status::Ok)
    })
}

/// Waits for a notification and fetches: the main loop is this call and `b24_batch_ack`. Returns the next batch that is
/// not empty; while the queue holds more than one batch it does not wait.
///
/// `timeout_ms`: how long to wait for a notification; 0: do not wait, -1: for ever. A fetch under way is not cut short
/// by it, as that could lose records. `out`: receives the batch; free it with `b24_batch_free`.
///
/// Returns `B24_OK` with a batch; `B24_TIMEOUT` without one; else as `b24_client_wait` and `b24_client_fetch`. After an
/// error that may pass by itself the next call fetches again. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_next(
    client: *mut b24_client,
    timeout_ms: i32,
    out: *mut *mut b24_batch,
) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(out, std::ptr::null_mut())? };
        let Some(batch) = CLIENTS.get(client)?.client.next(Timeout::from_millis(timeout_ms))? else {
            return Ok(Status::Timeout);
        };
        // SAFETY: checked by `prepare`.
        unsafe { out.write(BatchHandle::give_out(batch)) };
        Ok(Status::Ok)
    })
}

/// Takes records that were marked as failed (`b24_batch_fail_records`), to try them again.
///
/// Parameters, statuses and blocking as `b24_client_fetch`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_fetch_failed(
    client: *mut b24_client,
    limit: u32,
    out: *mut *mut b24_batch,
) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(out, std::ptr::null_mut())? };
        let batch = CLIENTS.get(client)?.client.fetch_failed(limit)?;
        // SAFETY: checked by `prepare`.
        unsafe { out.write(BatchHandle::give_out(batch)) };
        Ok(Status::Ok)
    })
}

/// Makes the next fetches hand out first what may have been lost: batches that were freed without being acknowledged, and
/// reservations that nobody knows as far as the key `recover.orphans` allows. At the start of a client this happens by
/// itself; a running client looks for unknown reservations from time to time.
///
/// `reservations`: receives how many reservations are due because of it; may be NULL.
///
/// Returns `B24_OK`, or an error as `b24_client_fetch`. Blocks, at most for a few times `http.timeout_ms`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_recover(client: *mut b24_client, reservations: *mut usize) -> b24_status {
    boundary::status(|| {
        let found = CLIENTS.get(client)?.client.recover()?;
        if !reservations.is_null() {
            // SAFETY: not NULL, and valid by contract.
            unsafe { reservations.write(found) };
        }
        Ok(Status::Ok)
    })
}

/// Tells the client's state as JSON: tokens, and what is taken and not acknowledged. A host that sets no `state.dir` keeps
/// it in its own database, after every batch and every new pair of tokens, and gives it to `b24_client_restore` of its
/// next client, on this machine or another. It holds secrets: keep it where you keep passwords.
///
/// `json`: receives the text; free it with `b24_string_free`.
///
/// Returns `B24_OK`, `B24_INVALID_ARGUMENT`, `B24_INVALID_HANDLE`. Works after `b24_client_close` too. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_state(client: *const b24_client, json: *mut *mut c_char) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(json, std::ptr::null_mut())? };
        let state = CLIENTS.get(client)?.client.state();
        // SAFETY: checked by `prepare`.
        unsafe { text::give(json, state) };
        Ok(Status::Ok)
    })
}

/// Goes on from a state that `b24_client_state` told: what it holds as not acknowledged is handed out before anything new.
/// Its tokens are used, unless `auth.access_token` was set to others since. Call it once, before the first fetch.
///
/// Returns `B24_OK`; `B24_STATE` when the text is no state, or is one of another `connector.id`; `B24_INVALID_ARGUMENT`,
/// `B24_INVALID_HANDLE`. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_restore(client: *mut b24_client, json: *const c_char) -> b24_status {
    boundary::status(|| {
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        client.client.restore(unsafe { text::borrowed("json", json)? })?;
        Ok(Status::Ok)
    })
}

/// Calls any REST method of the portal. Token and source key are added, an expired token is renewed, and limits are
/// waited for. After trouble of the network the call is not repeated, as it may have run.
///
/// `method`: such as "crm.deal.get". `params_json`: a JSON object with the parameters, such as "{\"id\":1}"; NULL or ""
/// for none. `result_json`: receives the portal's whole answer, {"result":...,"total":...,"next":...,"time":...}; free it
/// with `b24_string_free`.
///
/// Returns `B24_OK`, or an error as `b24_client_fetch`; `b24_last_error_code` tells the portal's code. Blocks, at most for
/// `http.timeout_ms`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_call(
    client: *mut b24_client,
    method: *const c_char,
    params_json: *const c_char,
    result_json: *mut *mut c_char,
) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(result_json, std::ptr::null_mut())? };
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        let method = unsafe { text::borrowed("method", method)? };
        let params = match params_json.is_null() {
            true => "",
            // SAFETY: by contract.
            false => unsafe { text::borrowed("params_json", params_json)? },
        };
        let answer = client.client.call(method, params)?;
        // SAFETY: checked by `prepare`.
        unsafe { text::give(result_json, answer) };
        Ok(Status::Ok)
    })
}

/// Runs up to 50 calls in one request (the portal's method `batch`). Not repeated after trouble of the network.
///
/// `calls_json`: a JSON object, a name for each call: {"deal":{"method":"crm.deal.get","params":{"id":7}},...}. A later
/// call may use an earlier one's result: `$result[deal][CONTACT_ID]`. `halt`: not 0: stop at the first call that fails.
/// `result_json`: receives {"results":{"deal":{...}},"errors":{"name":{"error":...,"error_description":...}}}; free it with
/// `b24_string_free`.
///
/// Returns as `b24_client_call`; a call that fails inside is no error of this function. Blocks, at most for
/// `http.timeout_ms`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_call_batch(
    client: *mut b24_client,
    calls_json: *const c_char,
    halt: i32,
    result_json: *mut *mut c_char,
) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(result_json, std::ptr::null_mut())? };
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        let answer = client.client.call_batch(unsafe { text::borrowed("calls_json", calls_json)? }, halt != 0)?;
        // SAFETY: checked by `prepare`.
        unsafe { text::give(result_json, answer) };
        Ok(Status::Ok)
    })
}

/// Gets the application's first pair of tokens with an authorization code, stores it (`state.dir`, `b24_config_on_tokens`)
/// and uses it. Needs the keys `auth.client_id`, `auth.client_secret` and `auth.server`.
///
/// `code`: what the portal's authorization page handed to the application; it lives for 30 seconds and works once.
///
/// Returns `B24_OK`; `B24_AUTH` when the code or the application is not accepted; `B24_CONFIG` when keys are missing; or an
/// error as `b24_client_fetch`. Blocks for one request, at most for `http.timeout_ms`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_authorize(client: *mut b24_client, code: *const c_char) -> b24_status {
    boundary::status(|| {
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        client.client.authorize(unsafe { text::borrowed("code", code)? })?;
        Ok(Status::Ok)
    })
}

/// Uses these tokens from now on. For hosts that renew the tokens themselves (`auth.renew=host`), and after the application
/// was authorized anew.
///
/// `access_token`; `refresh_token`: may be NULL or "". `expires`: when the access token expires, in seconds since 1970; 0
/// when not known.
///
/// Returns `B24_OK`; `B24_STATE` when `state.dir` cannot be written; `B24_INVALID_ARGUMENT`, `B24_INVALID_HANDLE`. Does not
/// block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_set_tokens(
    client: *mut b24_client,
    access_token: *const c_char,
    refresh_token: *const c_char,
    expires: u64,
) -> b24_status {
    boundary::status(|| {
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        let access = unsafe { text::borrowed("access_token", access_token)? };
        let refresh = match refresh_token.is_null() {
            true => "",
            // SAFETY: by contract.
            false => unsafe { text::borrowed("refresh_token", refresh_token)? },
        };
        client.client.set_tokens(access, refresh, expires)?;
        Ok(Status::Ok)
    })
}

/// Counters and state of the client as a JSON object: requests, messages, signals, malformed, fetched, acknowledged,
/// failed, renewals, failures, handler_calls, handler_refused, handler_address, subscribed, last_error and more. Holds no secret.
///
/// `json`: receives the text; free it with `b24_string_free`.
///
/// Returns `B24_OK`, `B24_INVALID_ARGUMENT`, `B24_INVALID_HANDLE`. Does not block.
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

/// A file descriptor for `poll`, `epoll` or `select`: readable while `b24_client_wait` with a timeout of 0 would return
/// something else than `B24_TIMEOUT`, and after `b24_client_close`. Only poll it; never read, write or close it. It is
/// closed by `b24_client_free`.
///
/// Returns the descriptor; -1 where there is none: on systems other than Linux, and for a handle that is none. Does not
/// block.
#[unsafe(no_mangle)]
pub extern "C" fn b24_client_fd(client: *const b24_client) -> libc::intptr_t {
    boundary::value(-1, || {
        let handle = CLIENTS.get(client)?;
        handle.descriptor.number(&handle.client)
    })
}

/// Closes a client: every blocked call returns `B24_CLOSED`, requests under way are interrupted, and later calls return
/// `B24_CLOSED`. What is reserved and not acknowledged stays reserved in the portal. May be called from any thread and
/// from callbacks; closing again does nothing.
///
/// Returns `B24_OK` or `B24_INVALID_HANDLE`. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn b24_client_close(client: *mut b24_client) -> b24_status {
    boundary::status(|| {
        CLIENTS.get(client)?.client.close();
        Ok(Status::Ok)
    })
}

/// Closes and frees a client; afterwards none of its threads is left. Batches live on, but can no longer be acknowledged.
/// NULL and freed handles are ignored.
///
/// Blocks until the library's threads have ended: at once, unless one of them is just resolving a name, opening a
/// connection, or buying tokens, whose answer must not get lost (20 s at most). On Windows up to a second when the other
/// side of a connection does not react any more. Not to be called from a callback of this client.
#[unsafe(no_mangle)]
pub extern "C" fn b24_client_free(client: *mut b24_client) {
    boundary::value((), || {
        if let Some(handle) = CLIENTS.remove(client) {
            // Calls blocked in other threads hold the client a little longer, so its end does not wait for the last of them.
            handle.client.close();
            handle.client.join();
        }
        Ok(())
    });
}
