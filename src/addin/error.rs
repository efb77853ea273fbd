//! What goes wrong in a call of 1C. The texts are in [`super::english`] and [`super::russian`].

use std::ffi::c_long;

use super::class::{Method, Param, Property};
use super::value::Value;
use crate::error::{Error, Status};

/// An error of the core, or one that only this door knows.
#[derive(Debug)]
pub(super) enum AddinError {
    Core(Error),
    /// The value of a parameter does not fit its type.
    WrongType {
        method: &'static Method,
        param: &'static Param,
        found: Value,
    },
    /// A parameter without a default is missing.
    MissingParam {
        method: &'static Method,
        param: &'static Param,
    },
    /// An explicit Undefined for a parameter that means "all" when it is left out.
    UndefinedForAll {
        method: &'static Method,
        param: &'static Param,
    },
    /// More parameters than the method has, or a negative number of them.
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
    /// The platform allocates no memory for the result, or gave no memory manager.
    NoMemory,
    InitFailed,
    Done,
    /// There is nothing to wait for.
    NotConnected,
    /// `Disconnect`, or `Connect` with new parameters, closed the client during the call.
    Disconnected,
    NoBatch(String),
    TooManyBatches(usize),
    /// The list of `MessageIds` is malformed.
    InvalidMessageIds,
    InvalidState,
    /// External events need the platform's side, which comes with `Init`.
    NoExternalEvents,
}

impl From<Error> for AddinError {
    fn from(error: Error) -> AddinError {
        match error {
            Error::Closed => AddinError::Disconnected,
            error => AddinError::Core(error),
        }
    }
}

/// What 1C code can do about an error of the core, beyond what the core's text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// `SetTokens`.
    SetTokens,
    /// `Disconnect`, then `Connect`.
    Reconnect,
}

impl Hint {
    pub(super) fn of(error: &Error) -> Option<Hint> {
        match error.code() {
            "expired_token" => Some(Hint::SetTokens),
            "APPLICATION_UNINSTALLED" => Some(Hint::Reconnect),
            _ => None,
        }
    }
}

impl AddinError {
    pub(super) fn status(&self) -> Status {
        match self {
            AddinError::Core(error) => error.status(),
            AddinError::Disconnected | AddinError::Done => Status::Closed,
            AddinError::InitFailed
            | AddinError::NotConnected
            | AddinError::NoMemory
            | AddinError::NoExternalEvents
            | AddinError::TooManyBatches(_) => Status::State,
            AddinError::WrongType { .. }
            | AddinError::MissingParam { .. }
            | AddinError::UndefinedForAll { .. }
            | AddinError::WrongCount { .. }
            | AddinError::WrongPropertyType { .. }
            | AddinError::NotWritable(_)
            | AddinError::NoMethod(_)
            | AddinError::NoProperty(_)
            | AddinError::NoBatch(_)
            | AddinError::InvalidMessageIds
            | AddinError::InvalidState => Status::InvalidArgument,
        }
    }

    /// The portal's code if there is one, else the name of the status. 1C code branches on it.
    pub(super) fn code(&self) -> &str {
        match self {
            AddinError::Core(error) if !error.code().is_empty() => error.code(),
            _ => status_name(self.status()),
        }
    }

    /// Whether the same call may succeed later although nobody changes anything.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, AddinError::Core(error) if error.is_transient())
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
