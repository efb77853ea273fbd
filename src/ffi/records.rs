//! `b24_client`: records on their way from the queue to the host.

use super::batch::{b24_batch, new_handle};
use super::client::{CLIENTS, b24_client};
use super::enums::b24_status;
use super::{boundary, text};
use crate::clock::Timeout;
use crate::error::Status;

/// Fetches records that are in the queue now (`event.offline.get`). If the portal's plan allows it, the portal reserves
/// them for this batch until they are acknowledged; otherwise it deletes them (key `fetch.reserve`). Batches that have
/// to be redelivered come first.
///
/// Blocks, as a rule for one request, the first time for three. If the previous call failed, this one begins with a
/// pause: of 1 s at first, of up to 30 s if fetches go on failing. A request that fails with a transient error is
/// repeated up to three times within the call, after 0.1, 0.5 and 2 s. While the portal cannot be reached, that takes
/// about 20 s. If the portal accepts connections but never answers, it takes up to nine times `http.timeout_ms`, about
/// ten minutes with the default of 65 s: lower that key if this is too long. b24_client_close ends the call.
///
/// @param client The client. It need not be connected.
/// @param limit Maximum number of records, 1 to 1000. 0: the value of the key `fetch.limit`.
/// @param out Receives the batch, which may be empty. Free it with b24_batch_free.
/// @return B24_OK; a REST error; B24_STATE also if `state.dir` has no room for the records (nothing is fetched in that
/// case); B24_CLOSED; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
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

/// Waits for a notification and fetches the next batch, of at most `fetch.limit` records, that is not empty. A main
/// loop consists of this call and b24_batch_ack. After a full batch it fetches again without waiting. Blocks.
///
/// The timeout limits the waiting, but not a request that has begun. So this function may block longer than timeout_ms,
/// even if that is 0: for one request, which `http.timeout_ms` limits. Requests that fail are repeated only while there
/// is time. b24_client_close ends the call.
///
/// @param client The client. Call b24_client_connect first. If that returned B24_TIMEOUT or a transient error, this
/// function works all the same.
/// @param timeout_ms How long to wait for a notification, in milliseconds. 0: do not wait. Negative: no limit.
/// @param out Receives the batch. Free it with b24_batch_free. If out is NULL, nothing is fetched and the function
/// returns B24_INVALID_ARGUMENT.
/// @return B24_OK with a batch; B24_TIMEOUT if the timeout expired and the queue was empty; otherwise same as
/// b24_client_wait and b24_client_fetch. After an error the library pauses, for 1 s at first, for 30 s at most (longer
/// if the portal is closed), and then fetches without another notification. If the timeout expires before that, nothing
/// is sent and the same error is returned. New tokens (b24_client_set_tokens, b24_client_authorize) end the pause.
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

/// Fetches records that were marked as failed (b24_batch_fail_records), so that you can process them again. They are
/// reserved for the batch, like those of b24_client_fetch. Records that you acknowledge leave the portal. Those that
/// you do not acknowledge, or mark as failed again, are returned by a later call of this function. If the portal's plan
/// does not include reservations, there are no such records. Blocks for one request, the first time for two, each at
/// most for `http.timeout_ms`.
///
/// @param client The client. It need not be connected.
/// @param limit Maximum number of records, 1 to 1000. 0: the value of the key `fetch.limit`.
/// @param out Receives the batch, which may be empty. Free it with b24_batch_free.
/// @return Same as b24_client_fetch.
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

/// Makes the next fetches redeliver records that were handed out and not acknowledged: batches that were freed, and
/// reservations in the portal that no known client owns, as far as the key `recover.orphans` allows. A new client does
/// this by itself at the first fetch. A running client looks for reservations that no client owns from time to time,
/// and delivers batches that were freed again after the pauses in `redeliver.pauses_ms`; this call does not wait for
/// them.
///
/// Blocks for a few requests, each at most for `http.timeout_ms`.
///
/// @param client The client. It need not be connected.
/// @param batches Receives the number of batches that this call has found. May be NULL.
/// @return B24_OK; a REST error; B24_CLOSED; B24_INVALID_HANDLE.
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
