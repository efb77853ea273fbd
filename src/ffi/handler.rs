//! `b24_client`: the portal calls the host.

use std::ffi::{c_char, c_void};

use super::client::{CLIENTS, b24_client};
use super::enums::b24_status;
use super::{boundary, text};
use crate::error::{Error, Status};
use crate::handler::body::MAX_BYTES;

/// Binds a handler (`event.bind` of ONOFFLINEEVENT, ONAPPUPDATE and ONAPPUNINSTALL): from now on the portal calls this
/// address when the queue grows. The binding is permanent: it outlives the client. Other handler addresses of this
/// application are unbound, so call this function at every start. Set the key `source` to `handler` or `both`, so
/// that the client accepts the calls. Blocks for a few requests, each at most for `http.timeout_ms`.
///
/// An update of the application ends all its bindings. The client is called for it, and binds everything anew: the
/// handler, the events that it has bound, and those of its queue that were bound when this function was called.
///
/// @param client The client.
/// @param url The address under which the portal reaches the host, such as `https://my-server.example/b24`. A web
/// server with TLS passes the calls on to `handler.listen`, or to b24_client_accept_handler_call.
/// @param min_timeout_s The portal waits at least this many seconds between two calls. 0: it calls at every change.
/// The library checks the queue 2 s after each call and after each pause, so no change is missed. The portal does not
/// tell the value of an address that is bound. The library binds it anew, unless this client has bound it with this
/// value before, and checks the queue afterwards.
/// @return B24_OK; a REST error; B24_CLOSED; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_bind_handler(
    client: *mut b24_client,
    url: *const c_char,
    min_timeout_s: u32,
) -> b24_status {
    boundary::status(|| {
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        client.client.bind_handler(unsafe { text::borrowed("url", url)? }, min_timeout_s)?;
        Ok(Status::Ok)
    })
}

/// Unbinds a handler (`event.unbind`): the portal no longer calls this address. Unbinding an address that is not bound
/// has no effect. Blocks, same as b24_client_bind_handler.
///
/// @param client The client.
/// @param url The address that was bound. NULL: every handler address of this application.
/// @return Same as b24_client_bind_handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_unbind_handler(client: *mut b24_client, url: *const c_char) -> b24_status {
    boundary::status(|| {
        let client = CLIENTS.get(client)?;
        let url = match url.is_null() {
            true => None,
            // SAFETY: by contract.
            false => Some(unsafe { text::borrowed("url", url)? }),
        };
        client.client.unbind_handler(url)?;
        Ok(Status::Ok)
    })
}

/// Accepts a call of the portal that arrived at a web server of the host. Reads the body, verifies that the portal
/// sent it (`handler.application_token`, `member_id`), and notifies b24_client_wait. The first installation
/// of the application (ONAPPINSTALL) brings tokens, which are stored and used. ONAPPUNINSTALL closes the client:
/// every later call returns B24_AUTH with the code APPLICATION_UNINSTALLED. Leave `handler.listen` empty if all calls
/// arrive this way.
///
/// An installation has to prove itself: its token must be one of an administrator, and of this application on this
/// portal. That takes a request to the portal and perhaps one to the authorization server, each at most 10 s, for
/// which this function blocks. After an installation that could not be proved, others wait for a minute, so that
/// forged ones cost little. The client's own thread then proves them, and binds everything anew after an update of the
/// application (ONAPPUPDATE). A client that is not connected, or has `source=push`, has no such thread: there this
/// function does both, and blocks for a few requests. Otherwise it does not block.
///
/// @param client The client. It need not be connected, but b24_client_wait needs a connected client.
/// @param body The body of the POST request, unchanged. It is not used after the call.
/// @param length Length of the body in bytes.
/// @param content_type The Content-Type of the request. NULL or "" if not known.
/// @param http_status Receives the HTTP status to answer with: 200 if the call was accepted; 202 if it is an
/// installation that is proved later; 400, 403 or 413 if it was refused because it is not a valid call of the portal;
/// 503 whenever this function fails.
/// @return B24_OK if the call was accepted or refused; B24_CLOSED; B24_AUTH after ONAPPUNINSTALL;
/// B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_accept_handler_call(
    client: *mut b24_client,
    body: *const c_void,
    length: usize,
    content_type: *const c_char,
    http_status: *mut i32,
) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(http_status, 503)? };
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        let content_type = unsafe { text::borrowed_or_empty("content_type", content_type)? };
        let body = match (body.is_null(), length) {
            (_, 0) => &[],
            (true, _) => return Err(Error::InvalidArgument("body is NULL and length is not 0; pass the body".into())),
            // A body that is too long is refused for its length, and one byte more than the maximum is enough for that.
            // SAFETY: not NULL, and valid for `length` bytes by contract.
            (false, _) => unsafe { std::slice::from_raw_parts(body.cast::<u8>(), length.min(MAX_BYTES + 1)) },
        };
        let status = client.client.accept_handler_call(body, content_type)?;
        // SAFETY: checked by `prepare`.
        unsafe { http_status.write(status.into()) };
        Ok(Status::Ok)
    })
}
