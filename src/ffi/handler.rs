//! The handler: the portal calls the host.

use std::ffi::{c_char, c_void};

use super::client::{CLIENTS, b24_client};
use super::status::b24_status;
use super::{boundary, text};
use crate::error::{Error, Status};
use crate::handler::form::MAX_BYTES;

/// Has the portal call an address when the queue grew (`event.bind` of ONOFFLINEEVENT), for good, not only while the client
/// lives. Binding again does nothing; another address of this application is unbound, so call it at every start. Set the key
/// `source` to `handler` or `both`, so that the client takes the calls.
///
/// `url`: the address as the portal reaches it, such as `https://my-server.example/b24`; a web server with TLS passes the
/// calls on to `handler.listen`, or to `b24_client_accept_handler_call`. `min_timeout_s`: the portal calls at most once in so many
/// seconds; 0: at every change. What falls into the pause is found by a look afterwards. To change it, unbind first.
///
/// Returns `B24_OK`, or an error as `b24_client_fetch`. Blocks for a few calls, each at most for `http.timeout_ms`.
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

/// Ends the portal's calls (`event.unbind`). What is not bound is no error.
///
/// `url`: the address that was bound; NULL: any address of this application.
///
/// Returns and blocks as `b24_client_bind_handler`.
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

/// Takes a call of the portal that came to a web server of the host's own: reads the body, makes sure that the portal has
/// sent it (`handler.application_token`, domain, `member_id`), and rings for `b24_client_wait`. The first installation of the
/// application (ONAPPINSTALL) brings tokens, which are stored and used; ONAPPUNINSTALL closes the client: every call then
/// returns `B24_AUTH` with the code APPLICATION_UNINSTALLED. Leave `handler.listen` empty when all calls come this way.
///
/// `body`, `length`: the body of the POST request as it came; not changed, not kept. `content_type`: its Content-Type; NULL
/// or "" when not known. `http_status`: receives what to answer: 200 when the call was taken; 400, 403, 413 when it is no
/// call of the portal, which changes nothing; 503.
///
/// Returns `B24_OK` when `http_status` tells, whatever it tells; `B24_CLOSED` (answer 503), `B24_AUTH` after
/// ONAPPUNINSTALL, `B24_INVALID_ARGUMENT`, `B24_INVALID_HANDLE`. Blocks for a REST call when the application is installed,
/// at most 10 s, else not at all.
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
        let content_type = match content_type.is_null() {
            true => "",
            // SAFETY: by contract.
            false => unsafe { text::borrowed("content_type", content_type)? },
        };
        let body = match (body.is_null(), length) {
            (_, 0) => &[],
            (true, _) => return Err(Error::InvalidArgument("body is NULL, but length is not 0".into())),
            // A body that is too long is refused by its length; one byte more than fits says as much.
            // SAFETY: not NULL, and good for `length` bytes by contract, of which so many are used at most.
            (false, _) => unsafe { std::slice::from_raw_parts(body.cast::<u8>(), length.min(MAX_BYTES + 1)) },
        };
        let status = client.client.accept_handler_call(body, content_type)?;
        // SAFETY: checked by `prepare`.
        unsafe { http_status.write(status.into()) };
        Ok(Status::Ok)
    })
}
