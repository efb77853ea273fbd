//! The one error of the library and the status it becomes at the doors.
//!
//! Texts are written for the person who reads them at three in the morning: what happened, and what to do next.
//! No text ever holds a token, a secret, a channel id or a whole address.

use std::fmt;

/// Outcome of a call. Zero is success, positive values are no errors, negative values are errors.
///
/// `b24_status_name` gives the name of a value, `b24_last_error_message` the text that says what to do.
/// New values may be added; treat an unknown negative value as an error.
///
/// cbindgen:prefix-with-name=false
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// Nothing came within the given time. No error: call again.
    Timeout = 1,
    /// An argument is NULL, not UTF-8, out of range or otherwise not usable.
    InvalidArgument = -1,
    /// The handle is NULL, was freed, or was never given out for this type.
    InvalidHandle = -2,
    /// The configuration is not usable; the text names the key, its value and what is allowed.
    Config = -3,
    /// The host could not be reached, or the connection broke. The call may be repeated later.
    Network = -4,
    /// The server's certificate was not accepted, or the TLS handshake failed.
    Tls = -5,
    /// The answer is not what the protocol says: no JSON, too long, cut, a redirect.
    Protocol = -6,
    /// The tokens were refused and could not be renewed: the application must be authorized again.
    Auth = -7,
    /// The token's user or the application lacks a right (administrator, scope).
    AccessDenied = -8,
    /// A webhook was used where an application token is needed.
    WrongAuthType = -9,
    /// The portal's plan does not include this.
    License = -10,
    /// The portal's request limits are exhausted. Repeat later.
    RateLimit = -11,
    /// Any other error of the portal; see the code in `b24_last_error_code`.
    Portal = -12,
    /// The library's own state cannot be kept.
    State = -13,
    /// The client was closed.
    Closed = -14,
    /// A defect inside the library was caught at the boundary. The handle should be freed; please report the text.
    Panic = -15,
}

impl Status {
    /// Every status, in the order of its value's absolute size.
    pub const ALL: [Status; 17] = [
        Status::Ok,
        Status::Timeout,
        Status::InvalidArgument,
        Status::InvalidHandle,
        Status::Config,
        Status::Network,
        Status::Tls,
        Status::Protocol,
        Status::Auth,
        Status::AccessDenied,
        Status::WrongAuthType,
        Status::License,
        Status::RateLimit,
        Status::Portal,
        Status::State,
        Status::Closed,
        Status::Panic,
    ];

    /// The status with this value, if there is one.
    pub fn from_value(value: i32) -> Option<Status> {
        Status::ALL.into_iter().find(|status| *status as i32 == value)
    }
}

/// What went wrong. [`Error::status`] is what the doors report, the `Display` text is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The caller passed something unusable.
    InvalidArgument(String),
    /// The handle is not (or no longer) one of ours; holds the C name of its type.
    InvalidHandle(&'static str),
    /// A configuration key is unknown, missing, or has a value that is not allowed.
    Config(String),
    /// The peer could not be reached, or the connection broke.
    Network(String),
    /// The certificate or the TLS handshake was not accepted.
    Tls(String),
    /// The answer breaks the protocol. `http_status` is 0 when no HTTP answer came.
    Protocol {
        /// What is wrong with the answer.
        text: String,
        /// HTTP status of the answer, or 0.
        http_status: u16,
    },
    /// The portal or the authorization server answered with an error of its own.
    Refused(Box<Refusal>),
    /// The library's state cannot be kept.
    State(String),
    /// The time given for the call is over.
    Timeout(String),
    /// The client was closed.
    Closed,
    /// A panic was caught at the boundary.
    Panic(String),
}

/// An error answer of the portal (or of its authorization server), protocol.md §2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it means for the caller.
    pub status: Status,
    /// The portal's code, such as `ACCESS_DENIED`.
    pub code: String,
    /// HTTP status of the answer.
    pub http_status: u16,
    /// What happened and what to do.
    pub text: String,
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The status that the doors report for this error.
    pub fn status(&self) -> Status {
        match self {
            Error::InvalidArgument(_) => Status::InvalidArgument,
            Error::InvalidHandle(_) => Status::InvalidHandle,
            Error::Config(_) => Status::Config,
            Error::Network(_) => Status::Network,
            Error::Tls(_) => Status::Tls,
            Error::Protocol { .. } => Status::Protocol,
            Error::Refused(refusal) => refusal.status,
            Error::State(_) => Status::State,
            Error::Timeout(_) => Status::Timeout,
            Error::Closed => Status::Closed,
            Error::Panic(_) => Status::Panic,
        }
    }

    /// The portal's error code, or `""`.
    pub fn code(&self) -> &str {
        match self {
            Error::Refused(refusal) => &refusal.code,
            _ => "",
        }
    }

    /// The HTTP status of the answer that brought the error, or 0.
    pub fn http_status(&self) -> u16 {
        match self {
            Error::Refused(refusal) => refusal.http_status,
            Error::Protocol { http_status, .. } => *http_status,
            _ => 0,
        }
    }

    /// A protocol error of something that was no HTTP answer, or whose status does not matter.
    pub(crate) fn protocol(text: impl Into<String>) -> Error {
        Error::Protocol { text: text.into(), http_status: 0 }
    }

    /// Whether the same call may well succeed later although nobody changes anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Network(_) | Error::Timeout(_) => true,
            // An answer of unknown shape or too long would come again as it was; one that was cut or came from a
            // gateway would not.
            Error::Protocol { http_status, .. } => !matches!(http_status, 0 | 300..=399),
            Error::Refused(refusal) => {
                // OVERLOAD_LIMIT was set by hand and goes by hand.
                refusal.code != "OVERLOAD_LIMIT" && (refusal.status == Status::RateLimit || refusal.http_status >= 500)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidArgument(text)
            | Error::Config(text)
            | Error::Network(text)
            | Error::Tls(text)
            | Error::Protocol { text, .. }
            | Error::State(text)
            | Error::Timeout(text) => f.write_str(text),
            Error::Refused(refusal) => f.write_str(&refusal.text),
            Error::InvalidHandle(name) => {
                write!(
                    f,
                    "this {name} handle is NULL, was freed, or is no {name}; pass the pointer that the library gave out"
                )
            }
            Error::Closed => f.write_str("the client was closed; make a new one to go on"),
            Error::Panic(text) => {
                write!(
                    f,
                    "a defect inside b24events was stopped at the boundary: {text}; free the handle and report this"
                )
            }
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_values_are_part_of_the_abi() {
        for (index, status) in Status::ALL.into_iter().enumerate() {
            let expected = if index < 2 { index as i32 } else { 1 - index as i32 };
            assert_eq!(status as i32, expected, "{status:?}");
            assert_eq!(Status::from_value(expected), Some(status));
        }
        assert_eq!(Status::from_value(-99), None);
    }

    #[test]
    fn every_text_says_something() {
        for error in [Error::Closed, Error::InvalidHandle("b24_client"), Error::Panic("x".into())] {
            assert!(error.to_string().len() > 20, "{error:?}");
        }
    }
}
