//! One call of a method: who calls, with what.

use crate::php::value::{Map, Value};

use super::error::RestError;
use crate::php;

/// Who makes a call.
#[derive(Clone, Debug)]
pub struct Caller {
    pub user: u32,
    pub is_admin: bool,
    pub by: Authorization,
    /// The connector id, or empty.
    pub connector: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    Application,
    Webhook,
}

impl Caller {
    /// A webhook belongs to no application, so methods of an application refuse it.
    pub fn require_application(&self) -> Result<(), RestError> {
        match self.by {
            Authorization::Application => Ok(()),
            Authorization::Webhook => Err(RestError::wrong_auth_type()),
        }
    }

    /// The key of the queue for which a change by this caller is the application's own.
    pub fn own_connector(&self) -> Option<&str> {
        (self.by == Authorization::Application).then_some(self.connector.as_str())
    }

    pub fn require_admin(&self, reason: &str) -> Result<(), RestError> {
        if self.is_admin { Ok(()) } else { Err(RestError::access_denied(reason)) }
    }
}

/// Parameters of a call. A method finds its own in any case (`array_change_key_case`); those that all methods share,
/// such as `auth` and `start`, have exact names and are ignored otherwise.
#[derive(Clone, Debug, Default)]
pub struct Params(Map);

impl Params {
    pub fn new(raw: Map) -> Self {
        Self(raw)
    }

    /// A method's own parameter; of several that differ in case the last. `isset`: null counts as absent.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let (_, value) = self.0.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value).filter(|value| !value.is_null())
    }

    /// A parameter of all methods.
    pub fn take_exact(&mut self, name: &str) -> Option<Value> {
        // The order of the rest is the order of the caller.
        self.0.shift_remove(name).filter(|value| !value.is_null())
    }

    /// The text of a parameter; empty when absent or an array.
    pub fn text(&self, name: &str) -> String {
        self.get(name).and_then(php::text).unwrap_or_default()
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.get(name).map(php::int)
    }
}

/// What a method answers.
#[derive(Debug)]
pub struct Success {
    pub result: Value,
    pub total: Option<u64>,
    pub next: Option<u64>,
}

impl From<Value> for Success {
    fn from(result: Value) -> Self {
        Self { result, total: None, next: None }
    }
}

pub type Outcome = Result<Success, RestError>;
