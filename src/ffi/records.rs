//! `b24_client`: records on their way from the queue to the host.

use super::batch::{b24_batch, new_handle};
use super::client::{CLIENTS, b24_client};
use super::enums::b24_status;
use super::{boundary, text};
use crate::clock::Timeout;
use crate::error::Status;

/// Fetches records that are in the queue now (`event.offline.get`). If the portal's plan allows it, the portal
/// reserves them for this batch until they are acknowledged; otherwise it deletes them (key `fetch.reserve`). Batches
/// that have to be redelivered come first.
///
/// Blocks for one request as a rule, and for a few after network errors, each at most for `http.timeout_ms`.
///
/// @param client The client. It need not be connected.
/// @param limit Maximum number of records, 1 to 1000. 0: the value of the key `fetch.limit`.
/// @param out Receives the batch, which may be empty. Free it with b24_batch_free.
/// @return B24_OK; an error of a REST call; B24_STATE if `state.dir` has no room for the records, and then nothing is
/// fetched; B24_CLOSED; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_fetch(client: *mut b24_client, limit: u32, out: *mut *mut b24_batch) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(out, std::ptr::null_mut())? };
        let batch = CLIENTS.get(client)?.client.fetch(limit)?;
        // SAFETY: checked by `prepare`.
        unsafe { out.write(new_handle(batch)) };
        Ok(Status::Ok)
    })
}

/// Waits for a notification and fetches the next batch that is not empty. A main loop consists of this call and
/// b24_batch_ack. After a full batch it fetches again without waiting. Blocks.
///
/// @param client The client. Call b24_client_connect first.
/// @param timeout_ms How long to wait for a notification, in milliseconds. 0: do not wait. -1: no limit. A fetch that
/// has begun is not interrupted when the time is over, because that could lose records.
/// @param out Receives the batch. Free it with b24_batch_free.
/// @return B24_OK with a batch; B24_TIMEOUT without one; otherwise as b24_client_wait and b24_client_fetch. After a
/// transient error (see b24_last_error_is_transient) the next call fetches again.
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
        unsafe { out.write(new_handle(batch)) };
        Ok(Status::Ok)
    })
}

/// Fetches records that were marked as failed (b24_batch_fail_records), to process them again. Blocks as
/// b24_client_fetch.
///
/// @param client The client. It need not be connected.
/// @param limit Maximum number of records, 1 to 1000. 0: the value of the key `fetch.limit`.
/// @param out Receives the batch, which may be empty. Free it with b24_batch_free.
/// @return As b24_client_fetch.
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
        unsafe { out.write(new_handle(batch)) };
        Ok(Status::Ok)
    })
}

/// Has the next fetches redeliver records that were handed out and not acknowledged: batches that were freed, and
/// reservations in the portal that no known client owns, as far as the key `recover.orphans` allows. A new client does
/// this on its own at the first fetch, and a running client looks for such reservations from time to time.
///
/// Blocks for a few requests, each at most for `http.timeout_ms`.
///
/// @param client The client. It need not be connected.
/// @param batches Receives how many batches this call has found. May be NULL.
/// @return B24_OK; an error of a REST call; B24_CLOSED; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_client_recover(client: *mut b24_client, batches: *mut usize) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::write_if_wanted(batches, 0) };
        let found = CLIENTS.get(client)?.client.recover()?;
        // SAFETY: by contract.
        unsafe { text::write_if_wanted(batches, found) };
        Ok(Status::Ok)
    })
}
