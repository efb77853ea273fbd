//! A value of 1C, whatever `tVariant` it came in.

/// A value as our methods see it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Неопределено.
    Empty,
    Boolean(bool),
    /// Any whole number, whatever type it came in.
    Integer(i64),
    /// A number that is not whole, or too large to be.
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
    /// Seconds since 1970, if the date is in UTC.
    Date(i64),
    /// A string with half a surrogate pair, or a string or binary data whose pointer is NULL.
    Damaged,
    /// A string or binary data that is longer than [`MAX_LENGTH`].
    TooLong,
    /// A date in a year that no calendar has.
    InvalidDate,
    /// A type that no method takes.
    Other(u16),
}

/// The longest text or data that is read, in units of its type. A failed allocation would abort the host's process, and
/// the portal takes far less anyway.
pub(super) const MAX_LENGTH: usize = 64 << 20;
