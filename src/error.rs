//! The one error type of the library, and the status that the doors report for it.
//!
//! Texts say what happened and what to do next. They never hold a token, a secret, a channel id or a whole address.
//! They name no function of a door: each door adds that itself.

use std::fmt;
use std::time::Duration;

/// The outcome of a call. Zero is success, positive values are not errors, negative values are errors.
///
/// Later versions may add values. Treat an unknown negative value as an error.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Success.
    Ok = 0,
    /// The timeout expired and nothing came. This is not an error: call again.
    Timeout = 1,
    /// An argument is NULL, out of range, not UTF-8, or not usable for another reason.
    InvalidArgument = -1,
    /// The handle is NULL, was freed, or is of another type.
    InvalidHandle = -2,
    /// The configuration is not usable, or no token is set. The error text names the key and the values that are
    /// allowed.
    Config = -3,
    /// The portal or the push server could not be reached, or the connection broke.
    Network = -4,
    /// The server's certificate was not accepted, or the TLS handshake failed.
    Tls = -5,
    /// The answer is not what the protocol requires: not JSON, too long, incomplete, or a redirect. It may be
    /// transient, for example if a gateway answered in the server's place.
    Protocol = -6,
    /// The tokens were refused and could not be renewed: authorize the application again. With `auth.renew=host` and
    /// the code expired_token, the host has to renew them.
    Auth = -7,
    /// The user of the token, or the application, lacks a right (administrator, scope).
    AccessDenied = -8,
    /// A webhook was used where the token of an application is needed.
    WrongAuthType = -9,
    /// The portal's plan does not include this.
    License = -10,
    /// The portal's request limits are used up.
    RateLimit = -11,
    /// Any other error of the portal. The portal's error code says which.
    Portal = -12,
    /// The client is not in the state that the call needs (for example, not connected), the tokens are busy, or the
    /// library cannot store its state.
    State = -13,
    /// The client was closed. Create a new one.
    Closed = -14,
    /// The library caught a defect of its own. Free the client and its batches, and report the error text.
    Panic = -15,
}

/// Gives each status its name. The compiler makes sure that none is missing.
macro_rules! names {
    ($($status:ident => $name:literal,)*) => {
        impl Status {
            /// Every status.
            pub const ALL: [Status; [$($name),*].len()] = [$(Status::$status),*];

            /// The name of the status, such as `"INVALID_ARGUMENT"`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Status::$status => $name,)*
                }
            }
        }
    };
}

names! {
    Ok => "OK",
    Timeout => "TIMEOUT",
    InvalidArgument => "INVALID_ARGUMENT",
    InvalidHandle => "INVALID_HANDLE",
    Config => "CONFIG",
    Network => "NETWORK",
    Tls => "TLS",
    Protocol => "PROTOCOL",
    Auth => "AUTH",
    AccessDenied => "ACCESS_DENIED",
    WrongAuthType => "WRONG_AUTH_TYPE",
    License => "LICENSE",
    RateLimit => "RATE_LIMIT",
    Portal => "PORTAL",
    State => "STATE",
    Closed => "CLOSED",
    Panic => "PANIC",
}

impl Status {
    /// The status with this value, if there is one.
    pub fn from_value(value: i32) -> Option<Status> {
        Status::ALL.into_iter().find(|status| *status as i32 == value)
    }
}

/// What went wrong. [`Error::status`] is for programs, the `Display` text is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The caller passed something unusable.
    InvalidArgument(String),
    /// The handle is not valid. Holds the name of the type that the call expects.
    InvalidHandle(&'static str),
    /// A configuration key is unknown or missing, or its value is not allowed.
    Config(String),
    /// The connection broke, or the peer did not answer.
    Network(String),
    /// Nothing got through to the peer: it refuses connections, is unreachable, or its name cannot be resolved.
    Unreachable(String),
    /// The certificate or the TLS handshake was not accepted.
    Tls(String),
    /// The answer breaks the protocol.
    Protocol {
        /// What is wrong with the answer.
        text: String,
        /// HTTP status of the answer, or 0 when there was no HTTP answer.
        http_status: u16,
    },
    /// The portal or the authorization server answered with an error of its own.
    Refused(Box<Refusal>),
    /// The access token has expired, and `auth.renew=host` leaves its renewal to the host.
    HostMustRenew,
    /// The call needs a client that is connected.
    NotConnected,
    /// The library cannot store its state, or the call does not fit it.
    State(String),
    /// Something that the call needs is in use for longer than the call may wait.
    Busy(String),
    /// The time that the caller has given for the call has passed. Not an error at the doors.
    Timeout(String),
    /// The client was closed.
    Closed,
    /// A panic was caught at the boundary.
    Panic(String),
}

/// Whether a refusal passes by itself, and when it makes sense to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// Somebody has to change something first.
    Never,
    /// After growing pauses.
    Soon,
    /// Every few minutes.
    Slowly,
}

/// What a kind of refusal means.
#[derive(Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What it means for the caller.
    pub status: Status,
    /// Whether it passes by itself.
    pub passes: Passes,
    /// What is the matter and what to do.
    pub english: &'static str,
    /// The same in Russian.
    pub russian: &'static str,
}

/// An error answer of the portal or of its authorization server (docs/protocol.md §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it means.
    pub meaning: &'static Meaning,
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
            Error::Network(_) | Error::Unreachable(_) => Status::Network,
            Error::Tls(_) => Status::Tls,
            Error::Protocol { .. } => Status::Protocol,
            Error::Refused(refusal) => refusal.meaning.status,
            Error::HostMustRenew => Status::Auth,
            Error::NotConnected | Error::State(_) | Error::Busy(_) => Status::State,
            Error::Timeout(_) => Status::Timeout,
            Error::Closed => Status::Closed,
            Error::Panic(_) => Status::Panic,
        }
    }

    /// The portal's error code, or `""`.
    pub fn code(&self) -> &str {
        match self {
            Error::Refused(refusal) => &refusal.code,
            Error::HostMustRenew => "expired_token",
            _ => "",
        }
    }

    /// The HTTP status of the answer that brought the error, or 0.
    pub fn http_status(&self) -> u16 {
        match self {
            Error::Refused(refusal) => refusal.http_status,
            Error::HostMustRenew => 401,
            Error::Protocol { http_status, .. } => *http_status,
            _ => 0,
        }
    }

    /// A protocol error without an HTTP status.
    pub(crate) fn protocol(text: impl Into<String>) -> Error {
        Error::Protocol { text: text.into(), http_status: 0 }
    }

    /// Whether the same call may succeed later although nobody changes anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Network(_) | Error::Unreachable(_) | Error::Busy(_) | Error::Timeout(_) => true,
            // An answer that is malformed or too long would be the same again. An incomplete one, or one that a
            // gateway sent, would not.
            Error::Protocol { http_status, .. } => !matches!(http_status, 0 | 300..=399),
            Error::Refused(refusal) => refusal.meaning.passes != Passes::Never,
            _ => false,
        }
    }

    /// The same call makes no sense before this time has passed.
    pub fn min_pause(&self) -> Duration {
        match self {
            Error::Refused(refusal) if refusal.meaning.passes == Passes::Slowly => Duration::from_secs(180),
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidArgument(text)
            | Error::Config(text)
            | Error::Network(text)
            | Error::Unreachable(text)
            | Error::Tls(text)
            | Error::Protocol { text, .. }
            | Error::State(text)
            | Error::Busy(text)
            | Error::Timeout(text) => f.write_str(text),
            Error::Refused(refusal) => f.write_str(&refusal.text),
            Error::InvalidHandle(name) => write!(
                f,
                "the handle is not a valid {name}: it is NULL, was freed, or is of another type; pass a handle that \
                 the library returned and that is not freed yet"
            ),
            Error::HostMustRenew => f.write_str(
                "the access token has expired, and auth.renew=host leaves its renewal to the host; renew it and set \
                 the new pair",
            ),
            Error::NotConnected => f.write_str("the client is not connected; connect it first"),
            Error::Closed => f.write_str("the client was closed; create a new one"),
            Error::Panic(text) => {
                write!(f, "the library caught a defect of its own: {text}; free the handle and report this text")
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
    fn a_status_is_named_as_its_variant() {
        for status in Status::ALL {
            assert_eq!(status.name().replace('_', ""), format!("{status:?}").to_uppercase());
        }
    }

    #[test]
    fn what_is_busy_is_an_error_that_passes() {
        let error = Error::Busy("in use; repeat the call later".into());
        assert!((error.status() as i32) < 0 && error.is_transient());
    }

    #[test]
    fn every_text_says_what_to_do() {
        for error in [
            Error::Closed,
            Error::HostMustRenew,
            Error::NotConnected,
            Error::InvalidHandle("client"),
            Error::Panic("x".into()),
        ] {
            assert!(error.to_string().contains(';'), "{error}");
        }
    }
}
