//! What the platform gives an object: memory, error messages, external events, the language of its user.

use std::ffi::{c_long, c_void};
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use super::abi::{AddInDef, MemoryManager};
use super::call_gate::Gate;
use super::fault::Fault;
use super::text;
use crate::lock;

/// Source of our messages and events.
pub(super) const SOURCE: &str = "B24Events";
/// `ADDIN_E_FAIL`.
const FAIL: u16 = 1006;
/// The event buffer is made at least so deep: it is shared with other components, and its default is 1.
const EVENT_BUFFER: c_long = 64;

/// The platform's memory manager.
#[derive(Default)]
pub(super) struct Memory(AtomicPtr<c_void>);

impl Memory {
    /// Takes the manager over; NULL is refused.
    ///
    /// # Safety
    ///
    /// `manager` is NULL or an `IMemoryManager` that outlives the object and may be called from any thread.
    pub(super) unsafe fn set(&self, manager: *mut c_void) -> bool {
        if !manager.is_null() {
            self.0.store(manager, Ordering::Release);
        }
        !manager.is_null()
    }

    /// A copy of `items` in the platform's memory. The platform frees it.
    pub(super) fn give<T: Copy>(&self, items: &[T]) -> Result<*mut T, Fault> {
        let manager = self.0.load(Ordering::Acquire);
        let bytes = size_of_val(items).try_into().map_err(|_| Fault::NoMemory)?;
        if manager.is_null() {
            return Err(Fault::NoMemory);
        }
        let mut block = std::ptr::null_mut::<c_void>();
        // SAFETY: `set` was promised an `IMemoryManager`, which begins with a pointer to its table.
        let given = unsafe {
            let table = *manager.cast::<*const MemoryManager>();
            ((*table).alloc_memory)(manager, &mut block, bytes)
        };
        let block = block.cast::<T>();
        if given == 0 || block.is_null() || !block.is_aligned() {
            return Err(Fault::NoMemory);
        }
        // SAFETY: the block is fresh, aligned (checked) and as large as asked for.
        unsafe { block.copy_from_nonoverlapping(items.as_ptr(), items.len()) };
        Ok(block)
    }
}

/// The platform's side of the object (`IAddInDefBase`).
#[derive(Clone, Copy)]
struct Connection(NonNull<c_void>);

// SAFETY: the platform takes `ExternalEvent` from any thread, and `AddError` from the thread that it called us on, which is
// where we call it. The pointer itself is only carried.
unsafe impl Send for Connection {}
// SAFETY: as above.
unsafe impl Sync for Connection {}

impl Connection {
    fn table(&self) -> &AddInDef {
        // SAFETY: `Platform::connect` was promised an `IAddInDefBase`, which begins with a pointer to its table.
        unsafe { &**self.0.as_ptr().cast::<*const AddInDef>() }
    }
}

/// What a failed call left behind.
#[derive(Clone, Default)]
pub(super) struct LastError {
    pub(super) text: String,
    pub(super) code: String,
    pub(super) can_repeat: bool,
}

/// Shared by the object and its thread of notifications.
#[derive(Default)]
pub(super) struct Platform {
    /// From `Init` to `Done`. Not locked during calls into the platform, which may call us back from inside.
    connection: Mutex<Option<Connection>>,
    /// Calls into the platform that are under way: `Done` waits for them.
    calls: Gate,
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
    /// `connection` is NULL or an `IAddInDefBase` that is good until [`Platform::disconnect`] returns.
    pub(super) unsafe fn connect(&self, connection: *mut c_void) -> bool {
        let connection = NonNull::new(connection).map(Connection);
        let connected = connection.is_some();
        *lock(&self.connection) = connection;
        connected
    }

    /// `Done`: the platform's side is not touched again. Waits for calls under way, but not for ever: the one who asks
    /// may be inside such a call.
    pub(super) fn disconnect(&self, at_most: Duration) {
        *lock(&self.connection) = None;
        self.calls.wait_until_empty(at_most);
    }

    /// `SetLocale`: the language of the session.
    pub(super) fn set_locale(&self, code: String) {
        lock(&self.language).locale = code;
    }

    /// `SetUserInterfaceLanguageCode`: the language that the user reads; it comes before the locale.
    pub(super) fn set_interface_language(&self, code: String) {
        lock(&self.language).interface = code;
    }

    /// Whether messages are to be in Russian.
    pub(super) fn is_russian(&self) -> bool {
        let language = lock(&self.language);
        let code = if language.interface.is_empty() { &language.locale } else { &language.interface };
        code.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("ru"))
    }

    /// Keeps the error for `LastError` and tells the platform, which raises an exception in the 1C code.
    pub(super) fn report(&self, fault: &Fault) {
        let text = self.keep(fault);
        self.with_connection(|connection| {
            let (source, text) = (text::wide(SOURCE), text::wide(&text));
            // A status is never 0, so there is always an exception.
            let code = c_long::from(fault.status() as i32);
            // SAFETY: the connection is good as long as this call is counted; both texts end with NUL and live during the call.
            unsafe {
                (connection.table().add_error)(connection.0.as_ptr(), FAIL, source.as_ptr(), text.as_ptr(), code);
            }
        });
    }

    /// Keeps the error for `LastError`; returns its text.
    pub(super) fn keep(&self, fault: &Fault) -> String {
        let text = fault.text(self.is_russian());
        *lock(&self.last_error) =
            LastError { text: text.clone(), code: fault.code().to_owned(), can_repeat: fault.can_repeat() };
        text
    }

    /// A call has succeeded.
    pub(super) fn clear_error(&self) {
        let mut last = lock(&self.last_error);
        if !last.text.is_empty() {
            *last = LastError::default();
        }
    }

    pub(super) fn last_error(&self) -> LastError {
        lock(&self.last_error).clone()
    }

    /// Makes room for events; false when there is no platform to send them to.
    pub(super) fn raise_event_buffer(&self) -> bool {
        self.with_connection(|connection| {
            let (table, this) = (connection.table(), connection.0.as_ptr());
            // SAFETY: the connection is good as long as this call is counted.
            unsafe {
                if (table.get_event_buffer_depth)(this) < EVENT_BUFFER {
                    (table.set_event_buffer_depth)(this, EVENT_BUFFER);
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
            // SAFETY: the connection is good as long as this call is counted; the texts end with NUL and live during the call.
            unsafe { (connection.table().external_event)(connection.0.as_ptr(), source, message, data) != 0 }
        })
        .unwrap_or(false)
    }

    fn with_connection<T>(&self, call: impl FnOnce(&Connection) -> T) -> Option<T> {
        // Entered before the connection is read: whoever takes it away waits for us then.
        let (_inside, _) = self.calls.enter();
        let connection = *lock(&self.connection);
        connection.as_ref().map(call)
    }
}
