//! Enumerations of the header, as functions take and return them: a host may pass any number. Their values and
//! descriptions are those of [`crate::error::Status`] and [`crate::log::Level`], which `build.rs` puts into the header.

/// A value of [`crate::error::Status`].
#[allow(non_camel_case_types)]
pub type b24_status = i32;

/// A value of [`crate::log::Level`].
#[allow(non_camel_case_types)]
pub type b24_log_level = i32;
