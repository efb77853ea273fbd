//! `b24_batch`.

use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::OnceLock;

use super::handles::Registry;
use super::status::b24_status;
use super::{boundary, text};
use crate::delivery::Batch;
use crate::error::{Error, Result, Status};
use crate::portal::offline_events::{Record, read_records};

/// Records taken together. Acknowledge them when the host has stored what it made of them, then free the batch.
#[allow(non_camel_case_types)]
pub struct b24_batch {
    _private: (),
}

/// One record. The texts belong to the batch and are valid until it is freed.
#[repr(C)]
#[allow(non_camel_case_types)]
pub struct b24_record {
    /// `MESSAGE_ID`: 32 characters that name the change; `b24_batch_ack_records` takes it.
    pub message_id: *const c_char,
    /// `EVENT_NAME`, such as "ONCRMDEALUPDATE".
    pub event_name: *const c_char,
    /// `EVENT_DATA` as JSON, such as {"FIELDS":{"ID":"7"}}; may be [] or false.
    pub event_data: *const c_char,
    /// `EVENT_ADDITIONAL` as JSON; may be [] or false.
    pub event_additional: *const c_char,
    /// `TIMESTAMP_X`: when the object changed last, as the portal spells it.
    pub timestamp_x: *const c_char,
    /// `ID`: the record's number in the queue.
    pub id: *const c_char,
    /// For later versions; do not read.
    pub reserved: [*const c_void; 4],
}

pub(super) struct BatchHandle {
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

impl BatchHandle {
    /// A handle for a batch.
    pub(super) fn give_out(mut batch: Batch) -> *mut b24_batch {
        let json = text::into_owned(batch.detach_json());
        let process_id = text::owned(batch.process_id());
        BATCHES.insert(BatchHandle { batch, json, process_id, records: OnceLock::new() })
    }

    /// The records' texts, read when the first one is asked for: a host that takes the JSON does not pay for them.
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

/// Number of records in a batch; 0 for a handle that is none. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn b24_batch_len(batch: *const b24_batch) -> usize {
    boundary::value(0, || Ok(BATCHES.get(batch)?.batch.len()))
}

/// Reads a record.
///
/// `index`: from 0 to `b24_batch_len` - 1. `out`: receives the record; its texts belong to the batch.
///
/// Returns `B24_OK`; `B24_INVALID_ARGUMENT` when there is no such record or `out` is NULL; `B24_INVALID_HANDLE`;
/// `B24_PROTOCOL` when the portal sent records of an unknown shape (`b24_batch_json` still gives them). Does not block.
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
            reserved: [std::ptr::null(); 4],
        };
        // SAFETY: by contract.
        unsafe { text::prepare(out, nothing)? };
        let batch = BATCHES.get(batch)?;
        let records = batch.records()?;
        let record = records.get(index).ok_or_else(|| {
            Error::InvalidArgument(format!("there is no record {index}; the batch holds {}", records.len()))
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
                reserved: [std::ptr::null(); 4],
            });
        }
        Ok(Status::Ok)
    })
}

/// All records as the portal sent them: {"process_id":...,"events":[{"ID":...,"TIMESTAMP_X":...,"EVENT_NAME":...,
/// "EVENT_DATA":...,"EVENT_ADDITIONAL":...,"MESSAGE_ID":...},...]}. Belongs to the batch and is valid until it is freed;
/// NULL for a handle that is none. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn b24_batch_json(batch: *const b24_batch) -> *const c_char {
    borrowed(batch, |batch| &batch.json)
}

/// The reservation's `process_id`; "" when the records were removed from the queue when they were handed out. Belongs to
/// the batch and is valid until it is freed; NULL for a handle that is none. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn b24_batch_process_id(batch: *const b24_batch) -> *const c_char {
    borrowed(batch, |batch| &batch.process_id)
}

fn borrowed(batch: *const b24_batch, pick: impl FnOnce(&BatchHandle) -> &CStr) -> *const c_char {
    boundary::value(std::ptr::null(), || Ok(pick(&*BATCHES.get(batch)?).as_ptr()))
}

/// Acknowledges every record of a batch that is not acknowledged or marked as failed yet (`event.offline.clear`): they
/// leave the queue. Acknowledging again does nothing.
///
/// Returns `B24_OK`, or an error as `b24_client_fetch`; then the records stay reserved and the call may be repeated.
/// `B24_CLOSED` when the client was closed. Blocks for one request, or two when the first one's answer gets lost; each takes
/// at most `http.timeout_ms`.
#[unsafe(no_mangle)]
pub extern "C" fn b24_batch_ack(batch: *mut b24_batch) -> b24_status {
    boundary::status(|| {
        BATCHES.get(batch)?.batch.acknowledge()?;
        Ok(Status::Ok)
    })
}

/// Acknowledges some records of a batch.
///
/// `message_ids`: `count` texts, each `message_id` of a record of this batch; may be NULL when `count` is 0.
///
/// Returns as `b24_batch_ack`; `B24_INVALID_ARGUMENT` when one of the texts is none of this batch, and then nothing is
/// acknowledged. Blocks, at most for `http.timeout_ms`.
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

/// Marks some records of a batch as failed (`event.offline.error`): the portal keeps them, and no longer hands them out
/// to who does not ask for failed ones.
///
/// Parameters and blocking as `b24_batch_ack_records`.
///
/// Returns as `b24_batch_ack_records`; `B24_STATE` when the records are not reserved in the portal (see `fetch.reserve`).
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

/// Frees a batch. Records that are not acknowledged stay reserved in the portal. NULL and freed handles are ignored. Does
/// not block.
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
    // A batch holds at most 1000 records, so a larger number is a mistake that must not be followed.
    const MOST: usize = 1000;
    if count == 0 {
        return Ok(Vec::new());
    }
    if list.is_null() || count > MOST {
        return Err(Error::InvalidArgument(format!("message_ids is NULL or count ({count}) is more than {MOST}")));
    }
    // SAFETY: not NULL, and the caller promises `count` pointers.
    let pointers = unsafe { std::slice::from_raw_parts(list, count) };
    // SAFETY: each is NULL or a text, as the caller promises.
    pointers.iter().map(|pointer| unsafe { text::borrowed("a message_id", *pointer) }).collect()
}
