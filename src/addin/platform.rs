//! The platform's side of an object: error messages, external events, the language of the user.

use std::ffi::{c_long, c_void};
use std::ptr::NonNull;
use std::sync::Mutex;
use std::time::Duration;

use super::abi::AddInDef;
use super::call_gate::CallGate;
use super::error::AddinError;
use super::memory::Memory;
use super::{english, russian, text};
use crate::lock;

/// Source of our messages and events.
pub(super) const SOURCE: &str = "B24Events";
/// `ADDIN_E_FAIL`.
const FAIL: u16 = 1006;
/// The smallest event buffer that is enough: all components share it, and its default depth is 1.
const MIN_EVENT_BUFFER: c_long = 64;

/// The platform's side of the object (`IAddInDefBase`).
#[derive(Clone, Copy)]
struct Connection(NonNull<c_void>);

// SAFETY: the platform takes `ExternalEvent` from any thread, and `AddError` from the thread that it called us on,
// which is where we call it. The pointer itself is only carried.
unsafe impl Send for Connection {}
// SAFETY: as above.
unsafe impl Sync for Connection {}

impl Connection {
    fn table(&self) -> &AddInDef {
        // SAFETY: `Platform::connect` was promised an `IAddInDefBase`, which begins with a pointer to its table.
        unsafe { &**self.0.as_ptr().cast::<*const AddInDef>() }
    }
}

/// What `LastError` and its companions give.
#[derive(Clone, Default)]
pub(super) struct LastError {
    pub(super) text: String,
    pub(super) code: String,
    pub(super) is_transient: bool,
}

/// Shared by the object and its notifier.
#[derive(Default)]
pub(super) struct Platform {
    /// From `Init` to `Done`. Not locked during calls into the platform, which may call us back from inside.
    connection: Mutex<Option<Connection>>,
    /// Calls into the platform: `Done` waits for them.
    calls: CallGate,
    language: Mutex<Language>,
    last_error: Mutex<LastError>,
    pub(super) memory: Memory,
}

/// Codes such as `ru`, `ru_RU`, `rus_RUS`.
#[derive(Default)]
struct Language {
    locale: String,
    interface: String,
}

impl Platform {
    /// `Init`; NULL is refused.
    ///
    /// # Safety
    ///
    /// `connection` is NULL or an `IAddInDefBase` that is valid until [`Platform::disconnect`] returns.
    pub(super) unsafe fn connect(&self, connection: *mut c_void) -> bool {
        let connection = NonNull::new(connection).map(Connection);
        let connected = connection.is_some();
        *lock(&self.connection) = connection;
        connected
    }

    /// `Done`: the platform's side is not touched again. Waits for calls into it, `timeout` at most: the caller may be
    /// inside one.
    pub(super) fn disconnect(&self, timeout: Duration) {
        *lock(&self.connection) = None;
        self.calls.wait_until_empty(timeout);
    }

    /// `SetLocale`: the language of the session.
    pub(super) fn set_locale(&self, code: String) {
        lock(&self.language).locale = code;
    }

    /// `SetUserInterfaceLanguageCode`: the language that the user reads. It takes precedence over the locale.
    pub(super) fn set_interface_language(&self, code: String) {
        lock(&self.language).interface = code;
    }

    /// Whether texts are to be in Russian.
    pub(super) fn is_russian(&self) -> bool {
        let language = lock(&self.language);
        let code = if language.interface.is_empty() { &language.locale } else { &language.interface };
        code.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("ru"))
    }

    /// Sets `LastError` and reports the error to the platform, which raises an exception in the 1C code.
    pub(super) fn report(&self, error: &AddinError) {
        let text = self.set_last_error(error);
        self.with_connection(|connection| {
            let (source, text) = (text::wide(SOURCE), text::wide(&text));
            // A status is never 0, so there is always an exception.
            let code = c_long::from(error.status() as i32);
            // SAFETY: the connection is valid as long as this call is counted; both texts end with NUL and outlive the
            // call.
            unsafe {
                (connection.table().add_error)(connection.0.as_ptr(), FAIL, source.as_ptr(), text.as_ptr(), code);
            }
        });
    }

    /// Sets `LastError`; returns the text.
    pub(super) fn set_last_error(&self, error: &AddinError) -> String {
        let text = if self.is_russian() { russian::text(error) } else { english::text(error) };
        *lock(&self.last_error) =
            LastError { text: text.clone(), code: error.code().to_owned(), is_transient: error.is_transient() };
        text
    }

    /// A call has succeeded.
    pub(super) fn clear_last_error(&self) {
        let mut last = lock(&self.last_error);
        if !last.text.is_empty() {
            *last = LastError::default();
        }
    }

    pub(super) fn last_error(&self) -> LastError {
        lock(&self.last_error).clone()
    }

    /// Makes the event buffer large enough; false when there is no platform.
    pub(super) fn raise_event_buffer(&self) -> bool {
        self.with_connection(|connection| {
            let (table, this) = (connection.table(), connection.0.as_ptr());
            // SAFETY: the connection is valid as long as this call is counted.
            unsafe {
                if (table.get_event_buffer_depth)(this) < MIN_EVENT_BUFFER {
                    (table.set_event_buffer_depth)(this, MIN_EVENT_BUFFER);
                }
            }
        })
        .is_some()
    }

    /// Sends an external event; false when the buffer is full or there is no platform.
    pub(super) fn external_event(&self, message: &str, data: &str) -> bool {
        self.with_connection(|connection| {
            // The platform's declaration lets it write into the texts, so each call gets its own.
            let (mut source, mut message, mut data) = (text::wide(SOURCE), text::wide(message), text::wide(data));
            let (source, message, data) = (source.as_mut_ptr(), message.as_mut_ptr(), data.as_mut_ptr());
            // SAFETY: the connection is valid as long as this call is counted; the texts end with NUL and outlive the
            // call.
            unsafe { (connection.table().external_event)(connection.0.as_ptr(), source, message, data) != 0 }
        })
        .unwrap_or(false)
    }

    fn with_connection<T>(&self, call: impl FnOnce(&Connection) -> T) -> Option<T> {
        // Entered before the connection is read, so that `disconnect` waits for this call.
        let _guard = self.calls.enter();
        let connection = *lock(&self.connection);
        connection.as_ref().map(call)
    }
}
