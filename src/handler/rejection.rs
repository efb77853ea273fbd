//! How calls are answered.

/// The call was accepted.
pub const OK: u16 = 200;
/// The call claims an installation, which is verified later.
pub const ACCEPTED: u16 = 202;
/// The call cannot be read.
pub const BAD_REQUEST: u16 = 400;
/// The portal did not send the call.
pub const FORBIDDEN: u16 = 403;
/// The body is too long.
pub const TOO_LARGE: u16 = 413;

/// How a call is answered that is not accepted.
pub struct Rejection {
    /// HTTP status.
    pub status: u16,
    /// For the log; holds nothing of the call.
    pub reason: &'static str,
}
