//! `b24_config`.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex};

use super::enums::{b24_log_level, b24_status};
use super::handles::Registry;
use super::{boundary, text};
use crate::client::Hooks;
use crate::config::Config;
use crate::error::{Result, Status};
use crate::lock;
use crate::state::tokens::TokenPair;

/// A configuration: keys with values, and callbacks. Clients copy it, so it may be freed once they are created.
#[allow(non_camel_case_types)]
pub struct b24_config {
    _private: (),
}

/// Receives a log line. Called on any thread, including threads of the library, and on several threads at once. It
/// should return quickly. It may call b24_client_close, but no other library function that takes a handle. It must not
/// throw a C++ exception or call longjmp.
///
/// @param user_data The pointer that was passed to b24_config_on_log.
/// @param level How important the line is.
/// @param message UTF-8 string without secrets, valid during the call.
#[allow(non_camel_case_types)]
pub type b24_log_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, level: b24_log_level, message: *const c_char)>;

/// A new pair of tokens. Its strings are valid during the call of b24_tokens_fn.
#[repr(C)]
#[allow(non_camel_case_types)]
pub struct b24_tokens {
    /// The access token: set `auth.access_token` to it at the next start.
    pub access_token: *const c_char,
    /// The refresh token: set `auth.refresh_token` to it at the next start.
    pub refresh_token: *const c_char,
    /// When the access token expires, in seconds since 1970 (key `auth.expires`). 0: unknown.
    pub expires: u64,
    /// The REST address of the portal as the authorization server reported it, or "".
    pub client_endpoint: *const c_char,
    /// The permanent id of the portal, or "".
    pub member_id: *const c_char,
    /// Reserved for later versions. Do not read.
    pub reserved: [*const c_void; 4],
}

/// Receives a new pair of tokens: renewed, obtained by b24_client_authorize or an installation, or read from
/// `auth.tokens_file`. Store it: after a renewal the old pair is no longer valid. It is not called for a pair that your
/// program itself sets with b24_client_set_tokens.
///
/// Called before the pair is used, on the thread that obtained it. That may be any thread that is inside a library
/// function, including one that uses another client with the same tokens, or a thread of the library. Several
/// threads may call it at once, so protect what it writes; of two pairs of one application, the one with the later
/// `expires` is the newer. Calls that need the tokens wait until this function returns, so do not call the library from
/// inside. It must not throw a C++ exception or call longjmp.
///
/// It cannot report a failure. If you cannot store the pair, keep a copy and try again later; the library uses the new
/// pair all the same. If `state.dir` is set, or the next b24_client_state is stored, nothing is lost.
///
/// @param user_data The pointer that was passed to b24_config_on_tokens.
/// @param tokens The new pair.
#[allow(non_camel_case_types)]
pub type b24_tokens_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, tokens: *const b24_tokens)>;

#[derive(Default)]
pub(super) struct ConfigState {
    pub(super) config: Config,
    pub(super) hooks: Hooks,
}

pub(super) static CONFIGS: Registry<b24_config, Mutex<ConfigState>> = Registry::new("b24_config");

/// A pointer that the host gets back in its callbacks. The library does not dereference it.
struct UserData(*mut c_void);

// SAFETY: the library only stores the pointer; the header says that callbacks run on any thread.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    // A method, so that closures capture the whole and not the bare pointer.
    fn pointer(&self) -> *mut c_void {
        self.0
    }
}

/// Creates a configuration in which every key has its default value. Does not block.
///
/// @param out Receives the handle. Free it with b24_config_free.
/// @return B24_OK; B24_INVALID_ARGUMENT.
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

/// Sets a key, see the list above. Does not block.
///
/// @param config The configuration.
/// @param key The key, such as "portal.url".
/// @param value The value. Numbers and booleans are passed as strings too: "50", "true". It is copied.
/// @return B24_OK; B24_CONFIG if there is no such key or the value is not allowed (the error text says what is
/// allowed); B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
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

/// Returns the value of a key: the one that was set, or the default. Does not block.
///
/// @param config The configuration.
/// @param key The key, such as "portal.url".
/// @param out Receives the text. A secret is shown as "***", an address without its path. Free it with b24_string_free.
/// @return B24_OK; B24_CONFIG if there is no such key; B24_INVALID_ARGUMENT; B24_INVALID_HANDLE.
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

/// Sets the function that receives the log lines of clients created from this configuration. The key `log.level`
/// decides which lines. Does not block.
///
/// @param config The configuration.
/// @param callback The function. NULL: none.
/// @param user_data Passed to the function. What it points to must remain valid until the clients are freed.
/// @return B24_OK; B24_INVALID_HANDLE.
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

/// Sets the function that receives the new tokens of clients created from this configuration. Unless this function,
/// `state.dir` or a stored b24_client_state keeps them, the application has to be authorized again after the next
/// start. Does not block.
///
/// @param config The configuration.
/// @param callback The function. NULL: none.
/// @param user_data Passed to the function. What it points to must remain valid until the clients are freed.
/// @return B24_OK; B24_INVALID_HANDLE.
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

/// Frees a configuration. Clients created from it are not affected.
///
/// @param config The configuration. NULL and freed handles are ignored.
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
