//! `b24_client`: REST calls.

use std::ffi::c_char;

use super::client::{CLIENTS, b24_client};
use super::enums::b24_status;
use super::{boundary, text};
use crate::error::Status;

/// Calls a REST method of the portal. The library adds the token and the connector id, renews an expired token, and
/// waits when the portal's request limits require it. It does not repeat the call after a network error, because the
/// portal may have carried it out. Blocks, at most for `http.timeout_ms`.
///
/// @param client The client. It need not be connected.
/// @param method Name of the method, such as "crm.deal.get".
/// @param params_json The parameters as a JSON object, such as "{\"id\":1}". NULL or "": no parameters.
/// @param result_json Receives the portal's whole answer, {"result":...,"total":...,"next":...,"time":...}. Free it
/// with b24_string_free.
/// @return B24_OK; a REST error, and b24_last_error_code then returns the portal's code; B24_CLOSED;
/// B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
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
        // SAFETY: by contract.
        let params = unsafe { text::borrowed_or_empty("params_json", params_json)? };
        let answer = client.client.call(method, params)?;
        // SAFETY: checked by `prepare`.
        unsafe { text::give(result_json, answer) };
        Ok(Status::Ok)
    })
}

/// Makes up to 50 calls in one request (the REST method `batch`). Like b24_client_call, it does not repeat the request
/// after a network error. Blocks, at most for `http.timeout_ms`.
///
/// @param client The client. It need not be connected.
/// @param calls_json A JSON object with a name for each call: {"deal":{"method":"crm.deal.get","params":{"id":7}},...}.
/// A call may use the result of an earlier one: `$result[deal][CONTACT_ID]`.
/// @param halt 0: make all calls. Otherwise: stop at the first call that fails.
/// @param result_json Receives {"results":{"deal":{...}},"errors":{"other":{"error":...,"error_description":...}}}.
/// Free it with b24_string_free.
/// @return Same as b24_client_call. If the request succeeds, the result is B24_OK even if calls in it failed.
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
