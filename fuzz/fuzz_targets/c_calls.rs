//! C functions in any order, with any arguments, on any handles, against a portal that answers anything.
#![no_main]

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

use arbitrary::Arbitrary;
use b24events::ffi::*;
use b24events_fuzz::{Answer, answer_with, keys};
use libfuzzer_sys::fuzz_target;

/// A handle: one that was made here, even if it was freed since, or any number.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Handle {
    Made(u8),
    Any(u64),
}

#[derive(Arbitrary, Debug)]
enum Call<'a> {
    ConfigNew,
    ConfigSet(Handle, u8, &'a str),
    ConfigGet(Handle, &'a str),
    ConfigCallbacks(Handle),
    ConfigFree(Handle),
    ClientNew(Handle),
    ClientFree(Handle),
    Close(Handle),
    Connect(Handle),
    Stats(Handle),
    WaitHandles(Handle),
    BindEvent(Handle, &'a str),
    UnbindEvent(Handle, &'a str),
    Wait(Handle),
    Next(Handle),
    Fetch(Handle, u32),
    FetchFailed(Handle, u32),
    Recover(Handle),
    State(Handle),
    Restore(Handle, &'a str),
    RestoreOwn(Handle, Handle),
    Authorize(Handle, &'a str),
    SetTokens(Handle, &'a str, &'a str, u64),
    Method(Handle, &'a str, &'a str),
    Batch(Handle, &'a str, bool),
    BindHandler(Handle, &'a str),
    UnbindHandler(Handle, Option<&'a str>),
    HandlerCall(Handle, &'a [u8], bool),
    BatchRead(Handle, usize),
    Objects(Handle),
    Acknowledge(Handle),
    AcknowledgeRecords(Handle, &'a str, bool),
    FailRecords(Handle, &'a str),
    BatchFree(Handle),
    LastError,
    StatusName(i32),
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    answers: Vec<(u16, &'a [u8])>,
    calls: Vec<Call<'a>>,
}

/// Keys whose values may be anything: none of them leads elsewhere than to our portal.
const KEYS: [&str; 12] = [
    "auth.access_token",
    "auth.refresh_token",
    "auth.expires",
    "auth.client_id",
    "auth.client_secret",
    "auth.renew",
    "connector.id",
    "fetch.limit",
    "fetch.reserve",
    "recover.orphans",
    "handler.application_token",
    "no.such.key",
];

/// What was made. Handles are numbers to the caller; nothing is read through them here.
#[derive(Default)]
struct Made {
    configs: Vec<*mut b24_config>,
    clients: Vec<*mut b24_client>,
    batches: Vec<*mut b24_batch>,
}

fn choose<T>(handle: Handle, made: &[*mut T]) -> *mut T {
    match handle {
        Handle::Any(number) => number as *mut T,
        Handle::Made(index) => made.get(usize::from(index) % made.len().max(1)).copied().unwrap_or(ptr::null_mut()),
    }
}

fn text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap()
}

/// Reads and frees a text that the library has given.
fn text_given(given: *mut c_char) {
    if !given.is_null() {
        // SAFETY: the header promises a text that ends with NUL and is ours to free.
        unsafe {
            let _ = CStr::from_ptr(given).to_str().expect("UTF-8");
            b24_string_free(given);
        }
    }
}

unsafe extern "C" fn on_log(_: *mut c_void, _: b24_log_level, text: *const c_char) {
    // SAFETY: the header promises a text that ends with NUL.
    let _ = unsafe { CStr::from_ptr(text) }.to_str().expect("UTF-8");
}

unsafe extern "C" fn on_tokens(_: *mut c_void, tokens: *const b24_tokens) {
    // SAFETY: the header promises a struct with two texts.
    unsafe {
        for text in [(*tokens).access_token, (*tokens).refresh_token] {
            let _ = CStr::from_ptr(text).to_str().expect("UTF-8");
        }
    }
}

fn config(made: &mut Made) {
    let mut config = ptr::null_mut();
    // SAFETY: the arguments are what the header asks for.
    unsafe {
        b24_config_new(&mut config);
        for (key, value) in keys() {
            assert_eq!(b24_config_set(config, text(key).as_ptr(), text(value).as_ptr()), 0);
        }
    }
    made.configs.push(config);
}

fn call(call: &Call, made: &mut Made) {
    let mut given = ptr::null_mut();
    let mut batch = ptr::null_mut();
    // SAFETY: every argument is what the header asks for; handles may be anything.
    unsafe {
        match call {
            Call::ConfigNew => config(made),
            Call::ConfigSet(handle, key, value) => {
                let key = KEYS[usize::from(*key) % KEYS.len()];
                b24_config_set(choose(*handle, &made.configs), text(key).as_ptr(), text(value).as_ptr());
            }
            Call::ConfigGet(handle, key) => {
                b24_config_get(choose(*handle, &made.configs), text(key).as_ptr(), &mut given);
            }
            Call::ConfigCallbacks(handle) => {
                b24_config_on_log(choose(*handle, &made.configs), Some(on_log), ptr::null_mut());
                b24_config_on_tokens(choose(*handle, &made.configs), Some(on_tokens), ptr::null_mut());
            }
            Call::ConfigFree(handle) => b24_config_free(choose(*handle, &made.configs)),
            Call::ClientNew(handle) => {
                let mut client = ptr::null_mut();
                if b24_client_new(choose(*handle, &made.configs), &mut client) == 0 {
                    made.clients.push(client);
                } else {
                    assert!(client.is_null());
                }
            }
            Call::ClientFree(handle) => b24_client_free(choose(*handle, &made.clients)),
            Call::Close(handle) => drop(b24_client_close(choose(*handle, &made.clients))),
            Call::Connect(handle) => drop(b24_client_connect(choose(*handle, &made.clients), 0)),
            Call::Stats(handle) => drop(b24_client_stats(choose(*handle, &made.clients), &mut given)),
            Call::WaitHandles(handle) => {
                b24_client_fd(choose(*handle, &made.clients));
                b24_client_wait_handle(choose(*handle, &made.clients));
            }
            Call::BindEvent(handle, event) => {
                b24_client_bind_event(choose(*handle, &made.clients), text(event).as_ptr());
            }
            Call::UnbindEvent(handle, event) => {
                b24_client_unbind_event(choose(*handle, &made.clients), text(event).as_ptr());
            }
            Call::Wait(handle) => drop(b24_client_wait(choose(*handle, &made.clients), 0, ptr::null_mut())),
            Call::Next(handle) => drop(b24_client_next(choose(*handle, &made.clients), 0, &mut batch)),
            Call::Fetch(handle, limit) => drop(b24_client_fetch(choose(*handle, &made.clients), *limit, &mut batch)),
            Call::FetchFailed(handle, limit) => {
                b24_client_fetch_failed(choose(*handle, &made.clients), *limit, &mut batch);
            }
            Call::Recover(handle) => drop(b24_client_recover(choose(*handle, &made.clients), ptr::null_mut())),
            Call::State(handle) => drop(b24_client_state(choose(*handle, &made.clients), &mut given)),
            Call::Restore(handle, json) => {
                b24_client_restore(choose(*handle, &made.clients), text(json).as_ptr());
            }
            Call::RestoreOwn(from, to) => {
                b24_client_state(choose(*from, &made.clients), &mut given);
                if !given.is_null() {
                    b24_client_restore(choose(*to, &made.clients), given);
                }
            }
            Call::Authorize(handle, code) => {
                b24_client_authorize(choose(*handle, &made.clients), text(code).as_ptr());
            }
            Call::SetTokens(handle, access, refresh, expires) => {
                let (access, refresh) = (text(access), text(refresh));
                b24_client_set_tokens(choose(*handle, &made.clients), access.as_ptr(), refresh.as_ptr(), *expires);
            }
            Call::Method(handle, method, params) => {
                let (method, params) = (text(method), text(params));
                b24_client_call(choose(*handle, &made.clients), method.as_ptr(), params.as_ptr(), &mut given);
            }
            Call::Batch(handle, calls, halt) => {
                let calls = text(calls);
                let halt = i32::from(*halt);
                b24_client_call_batch(choose(*handle, &made.clients), calls.as_ptr(), halt, &mut given);
            }
            Call::BindHandler(handle, url) => {
                b24_client_bind_handler(choose(*handle, &made.clients), text(url).as_ptr(), 1);
            }
            Call::UnbindHandler(handle, url) => {
                let url = url.map(text);
                let url = url.as_ref().map_or(ptr::null(), |url| url.as_ptr());
                b24_client_unbind_handler(choose(*handle, &made.clients), url);
            }
            Call::HandlerCall(handle, body, is_json) => {
                let kind = text(if *is_json { "application/json" } else { "application/x-www-form-urlencoded" });
                let client = choose(*handle, &made.clients);
                b24_client_accept_handler_call(
                    client,
                    body.as_ptr().cast(),
                    body.len(),
                    kind.as_ptr(),
                    ptr::null_mut(),
                );
            }
            Call::BatchRead(handle, index) => {
                let handle = choose(*handle, &made.batches);
                let len = b24_batch_len(handle);
                for index in (0..len).chain([*index]) {
                    let mut record = std::mem::MaybeUninit::zeroed();
                    assert_eq!(b24_batch_record(handle, index, record.as_mut_ptr()) == 0, index < len);
                }
                b24_batch_json(handle);
                b24_batch_process_id(handle);
            }
            Call::Objects(handle) => drop(b24_batch_objects(choose(*handle, &made.batches), &mut given)),
            Call::Acknowledge(handle) => drop(b24_batch_ack(choose(*handle, &made.batches))),
            Call::AcknowledgeRecords(handle, id, twice) => {
                let id = text(id);
                let ids = [id.as_ptr(), id.as_ptr()];
                b24_batch_ack_records(choose(*handle, &made.batches), ids.as_ptr(), 1 + usize::from(*twice));
            }
            Call::FailRecords(handle, id) => {
                let id = text(id);
                b24_batch_fail_records(choose(*handle, &made.batches), [id.as_ptr()].as_ptr(), 1);
            }
            Call::BatchFree(handle) => b24_batch_free(choose(*handle, &made.batches)),
            Call::LastError => {
                assert!(!b24_last_error_message().is_null() && !b24_last_error_code().is_null());
                b24_last_error_http_status();
                b24_last_error_is_transient();
            }
            Call::StatusName(status) => assert!(!b24_status_name(*status).is_null()),
        }
    }
    if !batch.is_null() {
        made.batches.push(batch);
    }
    text_given(given);
}

fuzz_target!(|input: Input| {
    let answers = input.answers.iter().map(|(status, body)| Answer { status: *status, body: body.to_vec() });
    answer_with(answers.collect());
    let mut made = Made::default();
    config(&mut made);
    call(&Call::ClientNew(Handle::Made(0)), &mut made);
    input.calls.iter().take(32).for_each(|next| call(next, &mut made));
    made.batches.iter().for_each(|batch| b24_batch_free(*batch));
    made.clients.iter().for_each(|client| b24_client_free(*client));
    made.configs.iter().for_each(|config| b24_config_free(*config));
});
