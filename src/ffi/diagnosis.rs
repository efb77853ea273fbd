//! `b24_client`: what keeps events from coming.

use std::ffi::c_char;

use super::client::{CLIENTS, b24_client};
use super::enums::b24_status;
use super::{boundary, text};
use crate::clock::Timeout;
use crate::error::Status;

/// Finds out why events do not come. Checks everything between this computer and the queue: proxy, name resolution,
/// network, TLS, clock, token, REST, installation, administrator, scopes, plan, push server, WebSocket, handler, bound
/// events, queue. Reads only: no record is fetched, reserved or acknowledged, nothing is bound, and a connection that
/// exists stays as it is. An expired token is renewed, as in any call; b24_tokens_fn may then be called on a thread of the
/// library. Holds no secrets.
///
/// Works before b24_client_connect, without tokens, and with everything down: it then checks what can be checked. Blocks
/// at most for `timeout_ms`; what was not checked by then has the status "skipped". b24_client_close ends it.
///
/// The report is {"status":...,"portal":...,"checks":[...],"text":{"english":...,"russian":...}}. `status` is the worst
/// status of the checks. Each check has:
/// - `id`: "proxy", "name", "network", "tls", "clock", "token", "rest", "installation", "administrator", "scopes", "plan",
///   "push_server", "websocket", "handler", "bindings" or "queue"; later versions may add ids
/// - `status`: "ok"; "warning": somebody should look at it; "failed": because of this, events do not come; or "skipped": it
///   does not matter here, or depends on a check that has failed
/// - `title`, `seen`, `next_step`: {"english":...,"russian":...}; `next_step` is null if there is nothing to do
///
/// `text` has the whole report for people to read.
///
/// @param client The client.
/// @param timeout_ms How long to check, in milliseconds; 30000 is enough. Negative: no limit but those of the requests
/// (`http.timeout_ms`, `http.connect_timeout_ms`).
/// @param json Receives the report, whatever it says. Free it with b24_string_free.
/// @return B24_OK if there is a report, even a bad one; B24_STATE if no thread can be started; B24_CLOSED;
/// B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_diagnose(
    client: *mut b24_client,
    timeout_ms: i32,
    json: *mut *mut c_char,
) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(json, std::ptr::null_mut())? };
        let report = CLIENTS.get(client)?.client.diagnose(Timeout::from_millis(timeout_ms))?;
        // SAFETY: checked by `prepare`.
        unsafe { text::give(json, report) };
        Ok(Status::Ok)
    })
}
