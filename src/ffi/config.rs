//! `b24_config`.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex};

use super::handles::Registry;
use super::status::b24_status;
use super::{boundary, text};
use crate::client::Hooks;
use crate::config::Config;
use crate::error::{Result, Status};
use crate::lock;
use crate::log::Level;
use crate::state::tokens::TokenPair;

/// A configuration: keys with values, and callbacks. Clients copy what they need; free it when they are made.
#[allow(non_camel_case_types)]
pub struct b24_config {
    _private: (),
}

/// How important a log line is: one of `B24_LOG_…`.
#[allow(non_camel_case_types)]
pub type b24_log_level = i32;

/// Something needs a person.
pub const B24_LOG_ERROR: i32 = 1;
/// Something went wrong and is being mended.
pub const B24_LOG_WARNING: i32 = 2;
/// What a quiet day looks like: connected, renewed, closed.
pub const B24_LOG_INFO: i32 = 3;
/// Every step.
pub const B24_LOG_DEBUG: i32 = 4;

const _: () = {
    assert!(B24_LOG_ERROR == Level::Error as i32 && B24_LOG_WARNING == Level::Warning as i32);
    assert!(B24_LOG_INFO == Level::Info as i32 && B24_LOG_DEBUG == Level::Debug as i32);
};

/// Receives log lines. May be called from any thread, also from one of the library's own, and several times at once; is
/// to return soon. Of this library's functions it may call `b24_client_close` only. `message` is UTF-8 without secrets
/// and valid during the call only.
#[allow(non_camel_case_types)]
pub type b24_log_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, level: b24_log_level, message: *const c_char)>;

/// A new pair of tokens, as `b24_tokens_fn` gets it. All texts are valid during the call only.
#[repr(C)]
#[allow(non_camel_case_types)]
pub struct b24_tokens {
    /// Value for the key `auth.access_token` of the next start.
    pub access_token: *const c_char,
    /// Value for the key `auth.refresh_token` of the next start.
    pub refresh_token: *const c_char,
    /// When the access token expires, in seconds since 1970 (key `auth.expires`); 0 when not known.
    pub expires: u64,
    /// The portal's REST address that the authorization server named, or "".
    pub client_endpoint: *const c_char,
    /// The portal's lasting id, or "".
    pub member_id: *const c_char,
    /// For later versions; do not read.
    pub reserved: [*const c_void; 4],
}

/// Receives a new pair of tokens: store it, the old one is worthless from now on. Called before the pair is used, on the
/// thread whose call renewed it; calls that need a token wait meanwhile, so do not call the library from inside.
#[allow(non_camel_case_types)]
pub type b24_tokens_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, tokens: *const b24_tokens)>;

#[derive(Default)]
pub(super) struct ConfigState {
    pub(super) config: Config,
    pub(super) hooks: Hooks,
}

pub(super) static CONFIGS: Registry<b24_config, Mutex<ConfigState>> = Registry::new("b24_config");

/// A pointer that the host wants back in its callbacks; what it points to is the host's business.
struct UserData(*mut c_void);

// SAFETY: the library only carries the pointer; the header tells that callbacks come from any thread.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    // A method, so that closures capture the whole and not the bare pointer.
    fn pointer(&self) -> *mut c_void {
        self.0
    }
}

/// Makes a configuration in which every key has its default.
///
/// `out`: receives the handle; free it with `b24_config_free`.
///
/// Returns `B24_OK`, or `B24_INVALID_ARGUMENT` when `out` is NULL. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_config_new(out: *mut *mut b24_config) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(out, std::ptr::null_mut())? };
        let handle = CONFIGS.insert(Mutex::default());
        // SAFETY: checked by `prepare`.
        unsafe { out.write(handle) };
        Ok(Status::Ok)
    })
}

/// Sets a key; CONFIGURATION.md lists all keys.
///
/// `key`, `value`: UTF-8. Numbers and booleans are texts too: "50", "true". Copied.
///
/// Returns `B24_OK`; `B24_CONFIG` when there is no such key or the value is not allowed (the text says what is);
/// `B24_INVALID_ARGUMENT`, `B24_INVALID_HANDLE`. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_config_set(
    config: *mut b24_config,
    key: *const c_char,
    value: *const c_char,
) -> b24_status {
    boundary::status(|| {
        let config = CONFIGS.get(config)?;
        // SAFETY: by contract.
        let key = unsafe { text::borrowed("key", key)? };
        // SAFETY: by contract.
        let value = unsafe { text::borrowed(&format!("the value of {key}"), value)? };
        lock(&config).config.set(key, value)?;
        Ok(Status::Ok)
    })
}

/// Tells the value of a key: what was set, else the default. Secrets come as "***", addresses without their path.
///
/// `out`: receives the text; free it with `b24_string_free`.
///
/// Returns `B24_OK`; `B24_CONFIG` when there is no such key; `B24_INVALID_ARGUMENT`, `B24_INVALID_HANDLE`. Does not
/// block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn b24_config_get(
    config: *const b24_config,
    key: *const c_char,
    out: *mut *mut c_char,
) -> b24_status {
    boundary::status(|| {
        // SAFETY: by contract.
        unsafe { text::prepare(out, std::ptr::null_mut())? };
        let config = CONFIGS.get(config)?;
        // SAFETY: by contract.
        let key = unsafe { text::borrowed("key", key)? };
        let value = lock(&config).config.get(key)?;
        // SAFETY: checked by `prepare`.
        unsafe { text::give(out, value) };
        Ok(Status::Ok)
    })
}

/// Sets who receives log lines of clients that are made from this configuration. The key `log.level` tells how many.
///
/// `callback`: see `b24_log_fn`; NULL for none. `user_data` is handed to it and must stay good until the clients are
/// freed.
///
/// Returns `B24_OK` or `B24_INVALID_HANDLE`. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn b24_config_on_log(
    config: *mut b24_config,
    callback: b24_log_fn,
    user_data: *mut c_void,
) -> b24_status {
    set_hooks(config, |hooks| {
        let user_data = UserData(user_data);
        hooks.log = callback.map(|callback| -> crate::log::LogSink {
            Arc::new(move |level, message| {
                let message = text::owned(message);
                // SAFETY: the host promised a function of this signature that takes calls from any thread.
                unsafe { callback(user_data.pointer(), level as b24_log_level, message.as_ptr()) }
            })
        });
    })
}

/// Sets who receives new tokens of clients that are made from this configuration. A host that keeps no tokens has to be
/// authorized anew after its next start.
///
/// `callback`: see `b24_tokens_fn`; NULL for none. `user_data` is handed to it and must stay good until the clients are
/// freed.
///
/// Returns `B24_OK` or `B24_INVALID_HANDLE`. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn b24_config_on_tokens(
    config: *mut b24_config,
    callback: b24_tokens_fn,
    user_data: *mut c_void,
) -> b24_status {
    set_hooks(config, |hooks| {
        let user_data = UserData(user_data);
        hooks.tokens = callback.map(|callback| -> crate::portal::oauth::TokensSink {
            Arc::new(move |pair: &TokenPair| {
                let texts = [pair.access.expose(), pair.refresh.expose(), &pair.client_endpoint, &pair.member_id]
                    .map(text::owned);
                let [access, refresh, client_endpoint, member_id] = &texts;
                let tokens = b24_tokens {
                    access_token: access.as_ptr(),
                    refresh_token: refresh.as_ptr(),
                    expires: pair.expires,
                    client_endpoint: client_endpoint.as_ptr(),
                    member_id: member_id.as_ptr(),
                    reserved: [std::ptr::null(); 4],
                };
                // SAFETY: the host promised a function of this signature; `tokens` and its texts live during the call.
                unsafe { callback(user_data.pointer(), &tokens) }
            })
        });
    })
}

/// Frees a configuration. Clients made from it live on. NULL and freed handles are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn b24_config_free(config: *mut b24_config) {
    boundary::value((), || {
        drop(CONFIGS.remove(config));
        Ok(())
    });
}

fn set_hooks(config: *mut b24_config, set: impl FnOnce(&mut Hooks)) -> b24_status {
    boundary::status(|| -> Result<Status> {
        set(&mut lock(&*CONFIGS.get(config)?).hooks);
        Ok(Status::Ok)
    })
}
