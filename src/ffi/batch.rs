//! `b24_batch`.

use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::OnceLock;

use super::enums::b24_status;
use super::handles::Registry;
use super::{boundary, text};
use crate::delivery::Batch;
use crate::error::{Error, Result, Status};
use crate::portal::offline_events::{Record, read_records};

/// Records that were fetched together. When your program has processed them and stored the result, acknowledge the
/// batch, then free it. Several batches may be open at once, and acknowledged in any order.
#[allow(non_camel_case_types)]
pub struct b24_batch {
    _private: (),
}

/// A record: one change in the portal. Its strings belong to the batch and are valid until the batch is freed.
#[repr(C)]
#[allow(non_camel_case_types)]
pub struct b24_record {
    /// `MESSAGE_ID`: 32 characters that depend only on the event and its data. It is unique within a batch, but every
    /// change of an object has the same one. Pass it to b24_batch_ack_records.
    pub message_id: *const c_char,
    /// `EVENT_NAME`, such as "ONCRMDEALUPDATE".
    pub event_name: *const c_char,
    /// `EVENT_DATA` as JSON, such as {"FIELDS":{"ID":"7"}}. May be [] or false.
    pub event_data: *const c_char,
    /// `EVENT_ADDITIONAL` as JSON. May be [] or false.
    pub event_additional: *const c_char,
    /// `TIMESTAMP_X`: when the object was last changed, in the format of the portal.
    pub timestamp_x: *const c_char,
    /// `ID`: the number of the record in the queue. A record that is delivered again has the same id and the same
    /// timestamp_x, and no other record ever has that id.
    pub id: *const c_char,
    /// How many times this client has handed out the record: 1 the first time, 2 the second time, and so on. Counting
    /// starts over with a new client, and when records that were marked as failed are fetched.
    pub attempt: u32,
    /// Reserved for later versions. Do not read.
    pub reserved: [*const c_void; 3],
}

struct BatchHandle {
    batch: Batch,
    json: CString,
    process_id: CString,
    records: OnceLock<Vec<RecordTexts>>,
}

struct RecordTexts {
    message_id: CString,
    event_name: CString,
    event_data: CString,
    event_additional: CString,
    timestamp_x: CString,
    id: CString,
}

static BATCHES: Registry<b24_batch, BatchHandle> = Registry::new("b24_batch");

/// A new handle for a batch.
pub(super) fn new_handle(mut batch: Batch) -> *mut b24_batch {
    let json = text::into_owned(batch.detach_json());
    let process_id = text::owned(batch.process_id());
    BATCHES.insert(BatchHandle { batch, json, process_id, records: OnceLock::new() })
}

impl BatchHandle {
    /// The texts of the records. They are read when the host asks for the first one, as a host that uses the JSON
    /// does not need them.
    fn records(&self) -> Result<&[RecordTexts]> {
        if let Some(records) = self.records.get() {
            return Ok(records);
        }
        let records = read_records(&self.json.to_string_lossy())?;
        Ok(self.records.get_or_init(|| records.into_iter().map(RecordTexts::from).collect()))
    }
}

impl From<Record> for RecordTexts {
    fn from(record: Record) -> RecordTexts {
        RecordTexts {
            message_id: text::into_owned(record.message_id),
            event_name: text::into_owned(record.event_name),
            event_data: text::owned(record.event_data.get()),
            event_additional: text::owned(record.event_additional.get()),
            timestamp_x: text::into_owned(record.timestamp),
            id: text::into_owned(record.id),
        }
    }
}

/// Returns the number of records in a batch. Does not block.
///
/// @param batch The batch.
/// @return The number; 0 if the handle is not valid.
#[unsafe(no_mangle)]
pub extern "C" fn b24_batch_len(batch: *const b24_batch) -> usize {
    boundary::value(0, || Ok(BATCHES.get(batch)?.batch.len()))
}

/// Reads a record of a batch. Does not block.
///
/// @param batch The batch.
/// @param index From 0 to b24_batch_len - 1.
/// @param out Receives the record. Its strings belong to the batch. All fields are NULL or 0 if this function fails.
/// @return B24_OK; B24_INVALID_ARGUMENT if there is no such record or out is NULL; B24_PROTOCOL if the portal sent
/// records in an unknown format, which b24_batch_json still returns: store them before you acknowledge the batch; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_batch_record(batch: *const b24_batch, index: usize, out: *mut b24_record) -> b24_status {
    boundary::status(|| {
        let null = std::ptr::null();
        let nothing = b24_record {
            message_id: null,
            event_name: null,
            event_data: null,
            event_additional: null,
            timestamp_x: null,
            id: null,
            attempt: 0,
            reserved: [std::ptr::null(); 3],
        };
        // SAFETY: by contract.
        unsafe { text::prepare(out, nothing)? };
        let batch = BATCHES.get(batch)?;
        let records = batch.records()?;
        let record = records.get(index).ok_or_else(|| {
            Error::InvalidArgument(format!(
                "there is no record {index}; the batch has {} records, and counting starts at 0",
                records.len()
            ))
        })?;
        // SAFETY: checked by `prepare`.
        unsafe {
            out.write(b24_record {
                message_id: record.message_id.as_ptr(),
                event_name: record.event_name.as_ptr(),
                event_data: record.event_data.as_ptr(),
                event_additional: record.event_additional.as_ptr(),
                timestamp_x: record.timestamp_x.as_ptr(),
                id: record.id.as_ptr(),
                attempt: batch.batch.attempt(),
                reserved: [std::ptr::null(); 3],
            });
        }
        Ok(Status::Ok)
    })
}

/// Returns all records of a batch as the portal sent them. Does not block.
///
/// @param batch The batch.
/// @return JSON: {"process_id":...,"events":[{"ID":...,"TIMESTAMP_X":...,"EVENT_NAME":...,"EVENT_DATA":...,
/// "EVENT_ADDITIONAL":...,"MESSAGE_ID":...},...]}. Belongs to the batch and is valid until it is freed. NULL if the
/// handle is not valid.
#[unsafe(no_mangle)]
pub extern "C" fn b24_batch_json(batch: *const b24_batch) -> *const c_char {
    borrowed(batch, |batch| &batch.json)
}

/// Returns the `process_id` of the reservation in the portal. Does not block.
///
/// @param batch The batch.
/// @return The id; "" if the records are not reserved, because the portal deleted them when they were fetched; then
/// b24_batch_fail_records returns B24_STATE. Belongs to the batch and is valid until it is freed. NULL if the handle is
/// not valid.
#[unsafe(no_mangle)]
pub extern "C" fn b24_batch_process_id(batch: *const b24_batch) -> *const c_char {
    borrowed(batch, |batch| &batch.process_id)
}

fn borrowed(batch: *const b24_batch, pick: impl FnOnce(&BatchHandle) -> &CStr) -> *const c_char {
    boundary::value(std::ptr::null(), || Ok(pick(&*BATCHES.get(batch)?).as_ptr()))
}

/// Returns the objects that the records of a batch are about (deals, contacts, tasks and so on) as they are now. Each
/// object is requested once, however many records name it, and 50 objects in one request. Blocks for one request for
/// every 50 distinct objects, each at most for `http.timeout_ms`.
///
/// @param batch The batch. It may be acknowledged already.
/// @param objects_json Receives a JSON object with an entry for each MESSAGE_ID, which is one of:
/// - {"status":"object","method":"crm.deal.get","object":...}: what the method returned;
/// - {"status":"deleted"}: a record of the batch says that the object was deleted, so it was not requested;
/// - {"status":"error","method":...,"error":...,"error_description":...,"transient":false}: the portal refused. "Not
///   found" means as a rule that the object was deleted since; its record follows. If `transient` is true, call again;
/// - {"status":"unknown"}: no method is known for the event (key `objects.methods`), or the record names no object.
///
/// Free it with b24_string_free.
/// @return B24_OK even if some objects could not be read; a REST error if a request failed as a whole; B24_PROTOCOL also
/// if the portal sent records in an unknown format; B24_CLOSED; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_batch_objects(batch: *const b24_batch, objects_json: *mut *mut c_char) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(objects_json, std::ptr::null_mut())? };
        let batch = BATCHES.get(batch)?;
        let objects = batch.batch.objects(&batch.json.to_string_lossy())?;
        // SAFETY: checked by `prepare`.
        unsafe { text::give(objects_json, objects) };
        Ok(Status::Ok)
    })
}

/// Acknowledges all records of a batch that are neither acknowledged nor marked as failed (`event.offline.clear`). They
/// leave the queue. Acknowledging again has no effect.
///
/// If this function fails with a transient error, call it again on the same batch. That is safe even if the portal has
/// already carried out the first call. After a B24_STATE that is not transient `state.dir` cannot be written: call again
/// once it can, or free the batch; then its records may be delivered again after the next start, although the portal has
/// acknowledged them. After any other error, free the batch: its records are delivered again, as
/// b24_batch_free describes.
///
/// Blocks for one request, or for two if the first one gets no answer, each at most for `http.timeout_ms`.
///
/// @param batch The batch.
/// @return B24_OK; a REST error; B24_STATE also if `state.dir` cannot be written; B24_CLOSED if the client was closed or
/// freed; B24_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn b24_batch_ack(batch: *mut b24_batch) -> b24_status {
    boundary::status(|| {
        BATCHES.get(batch)?.batch.acknowledge()?;
        Ok(Status::Ok)
    })
}

/// Acknowledges some records of a batch, for example each one as soon as it is processed. The others stay reserved.
/// Blocks, at most for `http.timeout_ms`.
///
/// @param batch The batch.
/// @param message_ids Array of strings, each the message_id of a record of this batch. May be NULL if count is 0.
/// @param count Number of strings.
/// @return Same as b24_batch_ack; B24_INVALID_ARGUMENT also if a string is not the message_id of a record of this
/// batch. Nothing is acknowledged in that case.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_batch_ack_records(
    batch: *mut b24_batch,
    message_ids: *const *const c_char,
    count: usize,
) -> b24_status {
    boundary::status(|| {
        let batch = BATCHES.get(batch)?;
        // SAFETY: by contract.
        batch.batch.acknowledge_records(&unsafe { texts(message_ids, count)? })?;
        Ok(Status::Ok)
    })
}

/// Marks some records of a batch as failed (`event.offline.error`). They stay in the portal, and only
/// b24_client_fetch_failed returns them. Until they are fetched that way and acknowledged, the portal merges later
/// changes of the same objects into them. The call can be repeated: marking a record twice
/// has no effect, and a marked record can still be acknowledged. Like all records, they are deleted 34 days after their last change. Blocks, at most for
/// `http.timeout_ms`.
///
/// @param batch The batch.
/// @param message_ids Array of strings, each the message_id of a record of this batch. May be NULL if count is 0.
/// @param count Number of strings.
/// @return Same as b24_batch_ack_records; B24_INVALID_ARGUMENT also if a record is already acknowledged; B24_STATE also
/// if the records are not reserved in the portal (key `fetch.reserve`): b24_batch_process_id returns "" for such a
/// batch. Repeating does not help, so store such records yourself and acknowledge them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_batch_fail_records(
    batch: *mut b24_batch,
    message_ids: *const *const c_char,
    count: usize,
) -> b24_status {
    boundary::status(|| {
        let batch = BATCHES.get(batch)?;
        // SAFETY: by contract.
        batch.batch.fail_records(&unsafe { texts(message_ids, count)? })?;
        Ok(Status::Ok)
    })
}

/// Frees a batch. Records that are neither acknowledged nor marked as failed stay reserved in the portal, or in the
/// library's state if the portal's plan does not include reservations. They are delivered again:
///
/// - by this client, after a pause that grows with each attempt (`redeliver.pauses_ms`), or after b24_client_recover. A
///   call of b24_client_next that waits returns them then; the descriptor of b24_client_fd may show them only at the
///   next check of the queue (`push.poll_interval_ms`);
/// - by the next client, with its first fetch, if `state.dir` is set or the restored state contains the batch;
/// - otherwise as the key `recover.orphans` allows, by default after two to four minutes if no other consumer was seen
///   at work on the queue, and after one to two hours if one was.
///
/// Records that b24_client_fetch_failed has returned come again in the same way, but through that function only.
///
/// Does not block.
///
/// @param batch The batch. NULL and freed handles are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn b24_batch_free(batch: *mut b24_batch) {
    boundary::value((), || {
        drop(BATCHES.remove(batch));
        Ok(())
    });
}

/// Borrows a list of texts that the host passed.
///
/// # Safety
///
/// `list` is NULL or points to `count` pointers, each NULL or a text that ends with NUL and outlives the result.
unsafe fn texts<'a>(list: *const *const c_char, count: usize) -> Result<Vec<&'a str>> {
    // A batch holds at most 1000 records, so a larger number is a mistake, and the list must not be read.
    const MAX_COUNT: usize = 1000;
    if count == 0 {
        return Ok(Vec::new());
    }
    if list.is_null() || count > MAX_COUNT {
        return Err(Error::InvalidArgument(format!(
            "message_ids is NULL, or count ({count}) is more than {MAX_COUNT}; pass message_id of records of this batch"
        )));
    }
    // SAFETY: not NULL, and the caller promises `count` pointers.
    let pointers = unsafe { std::slice::from_raw_parts(list, count) };
    // SAFETY: each is NULL or a text, as the caller promises.
    pointers.iter().map(|pointer| unsafe { text::borrowed("a message_id", *pointer) }).collect()
}
