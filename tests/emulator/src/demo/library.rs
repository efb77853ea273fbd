//! The library through its C ABI, found and loaded as a host does it.

use std::env;
use std::error::Error;
use std::ffi::{CStr, CString, c_char, c_void};
use std::fmt;
use std::path::{Path, PathBuf};

type AnyError = Box<dyn Error + Send + Sync>;

/// `b24_status`, the values that matter here.
pub type Status = i32;
const OK: Status = 0;
pub const CLOSED: Status = -14;

const ABI_VERSION: u32 = 1;

/// `b24_notification`
#[repr(C)]
pub struct Notification {
    connector_id: *const c_char,
    pub count: u64,
    pub signalled: i32,
    reserved: [i32; 5],
}

/// `b24_record`
#[repr(C)]
struct BorrowedRecord {
    message_id: *const c_char,
    event_name: *const c_char,
    event_data: *const c_char,
    event_additional: *const c_char,
    timestamp_x: *const c_char,
    id: *const c_char,
    reserved: [*const c_void; 4],
}

/// A handle of whatever type.
type Handle = *mut c_void;

/// Declares functions of `include/b24events.h` and how they are found.
macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        struct Functions { $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)* }

        impl Functions {
            fn find(library: &libloading::Library) -> Result<Functions, libloading::Error> {
                // SAFETY: the types are those of the header.
                unsafe { Ok(Functions { $($name: *library.get(concat!(stringify!($name), "\0").as_bytes())?,)* }) }
            }
        }
    };
}

functions! {
    b24_version: fn() -> *const c_char;
    b24_abi_version: fn() -> u32;
    b24_status_name: fn(Status) -> *const c_char;
    b24_last_error_message: fn() -> *const c_char;
    b24_config_new: fn(*mut Handle) -> Status;
    b24_config_set: fn(Handle, *const c_char, *const c_char) -> Status;
    b24_config_free: fn(Handle);
    b24_client_new: fn(Handle, *mut Handle) -> Status;
    b24_client_connect: fn(Handle, i32) -> Status;
    b24_client_bind_event: fn(Handle, *const c_char) -> Status;
    b24_client_stats: fn(Handle, *mut *mut c_char) -> Status;
    b24_client_bind_handler: fn(Handle, *const c_char, u32) -> Status;
    b24_string_free: fn(*mut c_char);
    b24_client_wait: fn(Handle, i32, *mut Notification) -> Status;
    b24_client_fetch: fn(Handle, u32, *mut Handle) -> Status;
    b24_client_close: fn(Handle) -> Status;
    b24_client_free: fn(Handle);
    b24_batch_len: fn(Handle) -> usize;
    b24_batch_record: fn(Handle, usize, *mut BorrowedRecord) -> Status;
    b24_batch_ack: fn(Handle) -> Status;
    b24_batch_free: fn(Handle);
}

pub struct Library {
    path: PathBuf,
    functions: &'static Functions,
}

impl Library {
    pub fn load() -> Result<Library, AnyError> {
        let path = find()?;
        // SAFETY: loading b24events runs only the start-up code of Rust's standard library.
        let loaded = unsafe { libloading::Library::new(&path) }.map_err(|error| {
            let cause = error.source().map_or(error.to_string(), ToString::to_string);
            format!("{} cannot be loaded: {cause}", path.display())
        })?;
        let functions = Functions::find(&loaded)?;
        // A library with threads and thread-local values stays loaded, as in every host.
        std::mem::forget(loaded);
        // SAFETY: takes nothing.
        let abi = unsafe { (functions.b24_abi_version)() };
        if abi != ABI_VERSION {
            return Err(format!("{} has ABI {abi}, not {ABI_VERSION}", path.display()).into());
        }
        Ok(Library { path, functions: Box::leak(Box::new(functions)) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn version(&self) -> String {
        // SAFETY: never NULL.
        unsafe { text((self.functions.b24_version)()) }
    }

    pub fn new_client(&self, keys: &[(&str, &str)]) -> Result<Client, Failure> {
        let functions = self.functions;
        let mut config = std::ptr::null_mut();
        // SAFETY: a valid pointer to write to.
        functions.check(unsafe { (functions.b24_config_new)(&mut config) })?;
        let handle = keys
            .iter()
            .try_for_each(|(key, value)| {
                let (key, value) = (owned(key), owned(value));
                // SAFETY: texts that are good during the call.
                functions.check(unsafe { (functions.b24_config_set)(config, key.as_ptr(), value.as_ptr()) })
            })
            .and_then(|()| {
                let mut handle = std::ptr::null_mut();
                // SAFETY: a valid pointer to write to.
                functions.check(unsafe { (functions.b24_client_new)(config, &mut handle) })?;
                Ok(handle)
            });
        // SAFETY: takes no pointers but the handle.
        unsafe { (functions.b24_config_free)(config) };
        Ok(Client { functions, handle: handle? })
    }
}

/// `b24_client`. Freed when it is dropped.
pub struct Client {
    functions: &'static Functions,
    handle: Handle,
}

// SAFETY: any function of the library may be called from any thread.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    pub fn bind_event(&self, event: &str) -> Result<(), Failure> {
        let event = owned(event);
        // SAFETY: a text that is good during the call.
        self.functions.check(unsafe { (self.functions.b24_client_bind_event)(self.handle, event.as_ptr()) })
    }

    pub fn connect(&self, timeout_ms: i32) -> Result<(), Failure> {
        // SAFETY: takes no pointers but the handle.
        self.functions.check(unsafe { (self.functions.b24_client_connect)(self.handle, timeout_ms) })
    }

    /// Has the portal call the port that the client has opened, at every change.
    pub fn bind_handler(&self) -> Result<(), Failure> {
        let mut json = std::ptr::null_mut();
        // SAFETY: a valid pointer to write to.
        self.functions.check(unsafe { (self.functions.b24_client_stats)(self.handle, &mut json) })?;
        // SAFETY: the call succeeded, so it is a text, which is freed once and not used afterwards.
        let stats = unsafe {
            let stats = text(json);
            (self.functions.b24_string_free)(json);
            stats
        };
        let stats: serde_json::Value = serde_json::from_str(&stats).unwrap_or_default();
        let url = owned(&format!("http://{}/b24", stats["handler_address"].as_str().unwrap_or_default()));
        // SAFETY: a text that is good during the call.
        self.functions.check(unsafe { (self.functions.b24_client_bind_handler)(self.handle, url.as_ptr(), 0) })
    }

    /// Waits for ever.
    pub fn wait(&self) -> Result<Notification, Failure> {
        let mut notification =
            Notification { connector_id: std::ptr::null(), count: 0, signalled: 0, reserved: [0; 5] };
        // SAFETY: a valid pointer to write to.
        self.functions.check(unsafe { (self.functions.b24_client_wait)(self.handle, -1, &mut notification) })?;
        Ok(notification)
    }

    pub fn fetch(&self, limit: u32) -> Result<Batch, Failure> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: a valid pointer to write to.
        self.functions.check(unsafe { (self.functions.b24_client_fetch)(self.handle, limit, &mut handle) })?;
        Ok(Batch { functions: self.functions, handle })
    }

    pub fn close(&self) {
        // SAFETY: takes no pointers but the handle.
        unsafe { (self.functions.b24_client_close)(self.handle) };
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: takes no pointers but the handle.
        unsafe { (self.functions.b24_client_free)(self.handle) };
    }
}

/// `b24_batch`. Freed when it is dropped.
pub struct Batch {
    functions: &'static Functions,
    handle: Handle,
}

/// `b24_record` with texts of its own, under the portal's names.
pub struct Record {
    pub fields: [(&'static str, String); 6],
}

impl Batch {
    pub fn records(&self) -> Result<Vec<Record>, Failure> {
        // SAFETY: takes no pointers but the handle.
        let count = unsafe { (self.functions.b24_batch_len)(self.handle) };
        (0..count).map(|index| self.record(index)).collect()
    }

    fn record(&self, index: usize) -> Result<Record, Failure> {
        let mut record = std::mem::MaybeUninit::<BorrowedRecord>::uninit();
        // SAFETY: a valid pointer to write to.
        self.functions.check(unsafe { (self.functions.b24_batch_record)(self.handle, index, record.as_mut_ptr()) })?;
        // SAFETY: the call succeeded, so it is written, and its texts are good until the batch is freed.
        unsafe {
            let record = record.assume_init();
            Ok(Record {
                fields: [
                    ("ID", text(record.id)),
                    ("TIMESTAMP_X", text(record.timestamp_x)),
                    ("EVENT_NAME", text(record.event_name)),
                    ("EVENT_DATA", text(record.event_data)),
                    ("EVENT_ADDITIONAL", text(record.event_additional)),
                    ("MESSAGE_ID", text(record.message_id)),
                ],
            })
        }
    }

    pub fn acknowledge(&self) -> Result<(), Failure> {
        // SAFETY: takes no pointers but the handle.
        self.functions.check(unsafe { (self.functions.b24_batch_ack)(self.handle) })
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: takes no pointers but the handle.
        unsafe { (self.functions.b24_batch_free)(self.handle) };
    }
}

/// A call that failed.
#[derive(Debug)]
pub struct Failure {
    pub status: Status,
    text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Failure {}

impl Functions {
    /// The demo gives every call enough time, so a timeout is a failure like any other.
    fn check(&self, status: Status) -> Result<(), Failure> {
        if status == OK {
            return Ok(());
        }
        // SAFETY: never NULL.
        let (message, name) = unsafe { (text((self.b24_last_error_message)()), text((self.b24_status_name)(status))) };
        Err(Failure { status, text: format!("{name}: {message}") })
    }
}

fn owned(text: &str) -> CString {
    CString::new(text).expect("the demo's texts hold no NUL")
}

/// # Safety
///
/// A text that ends with NUL.
unsafe fn text(pointer: *const c_char) -> String {
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

fn find() -> Result<PathBuf, AnyError> {
    if let Some(path) = env::var_os("B24EVENTS_LIBRARY") {
        return Ok(path.into());
    }
    let name = libloading::library_filename("b24events");
    let program = env::current_exe()?;
    // Cargo puts the one it has just built into `deps`; a package has it beside the program.
    let paths = [program.with_file_name("deps"), program.with_file_name("")].map(|folder| folder.join(&name));
    paths.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        let paths = paths.map(|path| path.display().to_string()).join(" nor ");
        format!("the library is neither {paths}; set B24EVENTS_LIBRARY to its path").into()
    })
}
