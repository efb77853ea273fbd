//! What goes wrong in a call of 1C, and what the developer reads.

use std::ffi::c_long;

use super::class::{Expected, Method, Param, Property};
use super::russian;
use super::variant::Value;
use crate::error::{Error, Status};

/// What went wrong: an error of the core, or one that only this door knows.
#[derive(Debug)]
pub(super) enum Fault {
    Core(Error),
    /// The value of a parameter has a type that does not fit.
    WrongType {
        method: &'static Method,
        param: &'static Param,
        found: Value,
    },
    /// A parameter without default is missing.
    MissingParam {
        method: &'static Method,
        param: &'static Param,
    },
    /// More parameters than the method has, or a number that cannot be.
    WrongCount {
        method: &'static Method,
        given: c_long,
    },
    WrongPropertyType {
        property: &'static Property,
        found: Value,
    },
    NotWritable(&'static Property),
    NoMethod(c_long),
    NoProperty(c_long),
    /// The platform gives no memory for the result, or has given no memory manager.
    NoMemory,
    InitFailed,
    Ended,
    /// There is nothing to wait on.
    NotConnected,
    /// `Disconnect`, or `Connect` with new parameters, came while the call was under way.
    Disconnected,
    NoBatch(String),
    TooManyBatches(usize),
    /// The list of `MessageIds` cannot be read.
    BadMessageIds,
    BadState,
    /// External events need the platform's side, which comes with `Init`.
    NoEvents,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        match error {
            Error::Closed => Fault::Disconnected,
            error => Fault::Core(error),
        }
    }
}

impl Fault {
    pub(super) fn status(&self) -> Status {
        match self {
            Fault::Core(error) => error.status(),
            Fault::Disconnected | Fault::Ended => Status::Closed,
            Fault::InitFailed | Fault::NotConnected | Fault::NoMemory | Fault::NoEvents | Fault::TooManyBatches(_) => {
                Status::State
            }
            Fault::WrongType { .. }
            | Fault::MissingParam { .. }
            | Fault::WrongCount { .. }
            | Fault::WrongPropertyType { .. }
            | Fault::NotWritable(_)
            | Fault::NoMethod(_)
            | Fault::NoProperty(_)
            | Fault::NoBatch(_)
            | Fault::BadMessageIds
            | Fault::BadState => Status::InvalidArgument,
        }
    }

    /// The portal's code where there is one, else the name of the status: 1C code branches on it.
    pub(super) fn code(&self) -> &str {
        match self {
            Fault::Core(error) if !error.code().is_empty() => error.code(),
            _ => status_name(self.status()),
        }
    }

    /// Whether the same call may succeed later although nobody changes anything.
    pub(super) fn can_repeat(&self) -> bool {
        matches!(self, Fault::Core(error) if error.is_transient())
    }

    /// What happened and what to do.
    pub(super) fn text(&self, in_russian: bool) -> String {
        if in_russian { russian::text(self) } else { self.english() }
    }

    fn english(&self) -> String {
        match self {
            Fault::Core(error) => error.to_string(),
            Fault::WrongType { method, param, found } => format!(
                "{}: {} must be {}, not {}",
                method.english,
                param.english,
                english_type(param.expected),
                english_value(found)
            ),
            Fault::MissingParam { method, param } => {
                format!("{}: {} is missing; it must be {}", method.english, param.english, english_type(param.expected))
            }
            Fault::WrongCount { method, given } => {
                format!("{} takes {} parameters, not {given}", method.english, method.params.len())
            }
            Fault::WrongPropertyType { property, found } => {
                format!("{} must be a string, not {}", property.english, english_value(found))
            }
            Fault::NotWritable(property) => format!("{} can only be read", property.english),
            Fault::NoMethod(number) => format!("B24Events has no method number {number}"),
            Fault::NoProperty(number) => format!("B24Events has no property number {number}"),
            Fault::NoMemory => {
                "the platform gave no memory for the result; it has none left, or setMemManager was not called".into()
            }
            Fault::InitFailed => "the object was not initialized: Init got no connection to 1C; make a new one".into(),
            Fault::Ended => "the object was ended by Done; make a new one".into(),
            Fault::NotConnected => "not connected; call Connect first".into(),
            Fault::Disconnected => "the connection was ended during the call, by Disconnect or by Connect with new parameters; call Connect to \
                                    go on"
                .into(),
            Fault::NoBatch(id) => format!(
                "there is no open batch {id:.64}; pass batch_id of NextBatch or Fetch. A batch is closed when all its \
                 records are acknowledged or marked as failed, and by Disconnect; then what is left comes again"
            ),
            Fault::TooManyBatches(most) => {
                format!("{most} batches are open; call Acknowledge or MarkFailed for those that are done")
            }
            Fault::BadMessageIds => "MessageIds must be MESSAGE_ID values separated by commas or line breaks, or a \
                                     JSON array of strings"
                .into(),
            Fault::BadState => "State must be what State gave before (a JSON object), or an empty string".into(),
            Fault::NoEvents => "external events need a client application of 1C that has initialized the object; on \
                                the server use NextBatch in a background job"
                .into(),
        }
    }
}

fn english_type(expected: Expected) -> &'static str {
    match expected {
        Expected::Text => "a string",
        Expected::Bytes => "a string or binary data",
        Expected::Integer => "a whole number",
        Expected::Scalar => "a string, a whole number, a boolean or a date",
    }
}

fn english_value(value: &Value) -> String {
    match value {
        Value::Empty => "Undefined".into(),
        Value::Boolean(_) => "a boolean".into(),
        Value::Integer(_) => "a number".into(),
        Value::Real(number) => format!("the number {number}"),
        Value::Text(_) => "a string".into(),
        Value::Blob(_) => "binary data that is no UTF-8 text".into(),
        Value::Date(_) => "a date".into(),
        Value::BrokenText => "a damaged string (half a surrogate pair, or no characters where some should be)".into(),
        Value::Other(kind) => format!("a value of type {kind}"),
    }
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Ok => "OK",
        Status::Timeout => "TIMEOUT",
        Status::InvalidArgument => "INVALID_ARGUMENT",
        Status::InvalidHandle => "INVALID_HANDLE",
        Status::Config => "CONFIG",
        Status::Network => "NETWORK",
        Status::Tls => "TLS",
        Status::Protocol => "PROTOCOL",
        Status::Auth => "AUTH",
        Status::AccessDenied => "ACCESS_DENIED",
        Status::WrongAuthType => "WRONG_AUTH_TYPE",
        Status::License => "LICENSE",
        Status::RateLimit => "RATE_LIMIT",
        Status::Portal => "PORTAL",
        Status::State => "STATE",
        Status::Closed => "CLOSED",
        Status::Panic => "PANIC",
    }
}
