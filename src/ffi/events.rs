//! `b24_client`: events and notifications.

use std::ffi::c_char;

use super::client::{CLIENTS, b24_client};
use super::enums::b24_status;
use super::{boundary, text};
use crate::clock::Timeout;
use crate::error::Status;

/// A notification: the queue may hold new records. Only b24_client_fetch can tell how many.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct b24_notification {
    /// The connector id of the queue (key `connector.id`), "" for the queue without one. Valid until the client is
    /// freed.
    pub connector_id: *const c_char,
    /// Number of records that the portal announced since the last notification, or 0 if it gave no number.
    pub count: u64,
    /// 1 if the portal announced records. 0 if the library asks you to check the queue because it may hold records that
    /// were not announced: after connecting, after a gap in the connection, after a full batch, after new tokens, and
    /// every `push.poll_interval_ms`.
    pub signalled: i32,
    /// Reserved for later versions. Do not read.
    pub reserved: [i32; 5],
}

/// Binds an event (`event.bind`): from now on, changes of this kind go into the client's queue. The binding is
/// permanent: it outlives the client. Binding an event again has no effect. Updating the application in the portal
/// removes its bindings, so call this function at every start, and once a day if the program runs for long: a client
/// that only listens to the push server is not told of an update. Blocks, at most for `http.timeout_ms`.
///
/// @param client The client. It need not be connected.
/// @param event_name Name such as "ONCRMDEALADD". The REST method `events` lists all names.
/// @return B24_OK; a REST error, for example B24_PORTAL with the code ERROR_EVENT_NOT_FOUND, or B24_ACCESS_DENIED if
/// the user of the token is not an administrator; B24_CLOSED; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_bind_event(client: *mut b24_client, event_name: *const c_char) -> b24_status {
    boundary::status(|| {
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        client.client.bind_event(unsafe { text::borrowed("event_name", event_name)? })?;
        Ok(Status::Ok)
    })
}

/// Unbinds an event (`event.unbind`). Records that are in the queue stay there. Unbinding an event that is not bound
/// has no effect. Blocks, at most for `http.timeout_ms`.
///
/// @param client The client. It need not be connected.
/// @param event_name Name such as "ONCRMDEALADD".
/// @return Same as b24_client_bind_event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_unbind_event(client: *mut b24_client, event_name: *const c_char) -> b24_status {
    boundary::status(|| {
        let client = CLIENTS.get(client)?;
        // SAFETY: by contract.
        client.client.unbind_event(unsafe { text::borrowed("event_name", event_name)? })?;
        Ok(Status::Ok)
    })
}

/// Waits until the queue may hold new records. All announcements since the last call are merged into one notification,
/// and each notification is returned once, to one thread. Call b24_client_fetch after it; b24_client_next does both.
/// Blocks.
///
/// @param client The client. Call b24_client_connect first.
/// @param timeout_ms How long to wait, in milliseconds. 0: do not wait. Negative: no limit.
/// @param out Receives the notification; its connector_id is "" if the function fails. May be NULL.
/// @return B24_OK with a notification; B24_TIMEOUT; a REST error if someone must intervene before the library can
/// listen again; B24_STATE also if b24_client_connect was not called; B24_CLOSED; B24_INVALID_HANDLE. After the
/// application was uninstalled, every call returns B24_AUTH with the code APPLICATION_UNINSTALLED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_wait(
    client: *mut b24_client,
    timeout_ms: i32,
    out: *mut b24_notification,
) -> b24_status {
    boundary::status(|| {
        let mut notification =
            b24_notification { connector_id: c"".as_ptr(), count: 0, signalled: 0, reserved: [0; 5] };
        // SAFETY: by contract.
        unsafe { text::write_if_wanted(out, notification) };
        let client = CLIENTS.get(client)?;
        let received = client.client.wait(Timeout::from_millis(timeout_ms))?;
        notification.connector_id = client.connector_id.as_ptr();
        if let Some(received) = &received {
            notification.count = received.count;
            notification.signalled = received.signalled.into();
        }
        // SAFETY: by contract.
        unsafe { text::write_if_wanted(out, notification) };
        Ok(if received.is_some() { Status::Ok } else { Status::Timeout })
    })
}
