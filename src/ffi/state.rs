//! `b24_client`: what has to survive the process, and tokens.

use std::ffi::c_char;

use super::client::{CLIENTS, b24_client};
use super::enums::b24_status;
use super::{boundary, text};
use crate::error::Status;

/// Returns the client's state as JSON: the tokens, and the batches that are not acknowledged. A host that does not set
/// `state.dir` stores it in its own database and passes it to b24_client_restore when it starts again, on the same
/// machine or another. Store it when you have received a batch, before you process it; after each acknowledgement and
/// each b24_batch_fail_records; and as soon as b24_tokens_fn has been called, but from another thread or after it has
/// returned. The state holds secrets: protect it like a password.
///
/// Works on a closed client too. Does not use the network, but waits for a write to `state.dir` that is under way.
///
/// @param client The client.
/// @param json Receives the text. Free it with b24_string_free.
/// @return B24_OK; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
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

/// Continues from a state that b24_client_state returned. Batches in it that are not acknowledged are redelivered
/// before anything new. Its tokens are used if the client has none, or if the client's token is one of their
/// predecessors; see "Starting again" at the top of this header. Call this function once, before the first fetch; if it
/// fails with a transient error, repeat it. Blocks only while the tokens are being renewed, at most for 20 s.
///
/// @param client The client.
/// @param json The state.
/// @return B24_OK; B24_STATE if the text is not a state, if it belongs to another portal or `connector.id`, if
/// `state.dir` cannot be written, or if the renewal takes too long; B24_CLOSED; B24_INVALID_ARGUMENT;
/// B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_restore(client: *mut b24_client, json: *const c_char) -> b24_status {
    boundary::status(|| {
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        client.client.restore(unsafe { text::borrowed("json", json)? })?;
        Ok(Status::Ok)
    })
}

/// Returns the address at which an administrator authorizes the application in a browser. The portal then opens the
/// address in the application's settings with `code` behind it, also if nothing answers there, so that the code can be
/// copied from the address bar. Pass it to b24_client_authorize within 30 seconds. Does not use the network.
///
/// @param client The client.
/// @param state Comes back beside `code`, for a program that serves several users. NULL or "": nothing.
/// @param address Receives the address. Free it with b24_string_free.
/// @return B24_OK; B24_CONFIG if `auth.client_id` is not set; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_authorization_address(
    client: *const b24_client,
    state: *const c_char,
    address: *mut *mut c_char,
) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(address, std::ptr::null_mut())? };
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        let state = unsafe { text::borrowed_or_empty("state", state)? };
        let found = client.client.authorization_address(state)?;
        // SAFETY: checked by `prepare`.
        unsafe { text::give(address, found) };
        Ok(Status::Ok)
    })
}

/// Gets the application's first pair of tokens with an authorization code, stores it (`state.dir`, b24_tokens_fn) and
/// uses it. Needs the keys `auth.client_id` and `auth.client_secret`.
///
/// To get a code, an administrator opens `https://my.bitrix24.com/oauth/authorize/?client_id=...` in a browser, with the
/// portal's address and the application's `client_id`. The portal then opens the address from the application's settings
/// with `?code=...`, even if nothing answers there.
///
/// Blocks for one request to the authorization server, at most for 15 s. b24_client_close does not interrupt that
/// request, because its tokens would be lost. If the tokens are being renewed at this moment, it first waits for that,
/// at most for 20 s.
///
/// @param client The client.
/// @param code The code that the portal's authorization page (b24_client_authorization_address) passed to the
/// application. It is valid for 30 seconds and works once.
/// @return B24_OK; B24_AUTH if the code or the application is not accepted; B24_CONFIG if a key is missing; another
/// REST error; B24_CLOSED; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_authorize(client: *mut b24_client, code: *const c_char) -> b24_status {
    boundary::status(|| {
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        client.client.authorize(unsafe { text::borrowed("code", code)? })?;
        Ok(Status::Ok)
    })
}

/// Uses these tokens from now on. For hosts that renew tokens themselves (`auth.renew=host`), and for an application
/// that was authorized again. If the library has already renewed these tokens, it uses the newest pair. Blocks only
/// while the tokens are being renewed, at most for 20 s.
///
/// @param client The client.
/// @param access_token The access token.
/// @param refresh_token The refresh token. May be NULL or "".
/// @param expires When the access token expires, in seconds since 1970. 0: unknown.
/// @return B24_OK; B24_STATE if the tokens cannot be stored (they are used nevertheless), or if the renewal takes too
/// long; B24_CLOSED; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
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
        // SAFETY: by contract.
        let refresh = unsafe { text::borrowed_or_empty("refresh_token", refresh_token)? };
        client.client.set_tokens(access, refresh, expires)?;
        Ok(Status::Ok)
    })
}
