//! The class `B24Events` as 1C sees it: one table of methods and one of properties. The dispatch, the defaults, the
//! reference for developers ([`markdown`]) and the test of the examples all read it.

mod markdown;
mod table;

pub use markdown::markdown;
pub use table::{METHODS, PROPERTIES};

use std::collections::HashMap;
use std::sync::LazyLock;

use super::component::Component;
use super::fault::Fault;
use super::text::folded;
use super::variant::Value;

/// Name of the class.
pub const CLASS: &str = "B24Events";

/// A text in both languages.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// In English.
    pub english: &'static str,
    /// In Russian.
    pub russian: &'static str,
}

/// A method; 1C may call each as a procedure or, for a value that may be Undefined, as a function.
#[derive(Debug)]
pub struct Method {
    /// English name.
    pub english: &'static str,
    /// Russian name.
    pub russian: &'static str,
    /// In their order; those with a default come last.
    pub params: &'static [Param],
    /// What it gives back, if anything.
    pub returns: Option<Expected>,
    /// What it does.
    pub text: Text,
    pub(super) run: fn(&Component, Arguments) -> Result<Value, Fault>,
}

impl Method {
    /// Whether its value is a batch, which 1C has to get to be able to acknowledge it.
    pub(super) fn opens_batch(&self) -> bool {
        matches!(self.english, "Fetch" | "FetchFailed" | "NextBatch")
    }
}

/// A parameter of a method.
#[derive(Debug)]
pub struct Param {
    /// English name.
    pub english: &'static str,
    /// Russian name.
    pub russian: &'static str,
    /// What it takes.
    pub expected: Expected,
    /// What stands for it when it is left out.
    pub default: Default,
}

/// What a parameter takes, or a method gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A string; binary data that is UTF-8 counts as one.
    Text,
    /// A string, which becomes UTF-8, or binary data.
    Bytes,
    /// A number of any of the number types, without a fraction.
    Integer,
    /// What a configuration key can be set from: a string, a whole number, a boolean, or a date (universal time, which
    /// becomes seconds since 1970).
    Scalar,
}

/// What stands for a parameter that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// It cannot be left out.
    Required,
    /// Undefined, which is another thing than an empty string.
    Undefined,
    /// A number.
    Integer(i32),
    /// A string.
    Text(&'static str),
}

/// A property.
#[derive(Debug)]
pub struct Property {
    /// English name.
    pub english: &'static str,
    /// Russian name.
    pub russian: &'static str,
    /// What it tells.
    pub text: Text,
    pub(super) get: fn(&Component) -> Result<Value, Fault>,
    pub(super) set: Option<Setter>,
}

type Setter = fn(&Component, String) -> Result<(), Fault>;

impl Property {
    /// Whether 1C code may assign to it.
    pub fn is_writable(&self) -> bool {
        self.set.is_some()
    }
}

/// Numbers by folded name; 1C looks a method up before it calls it.
type Numbers = LazyLock<HashMap<String, usize>>;

static METHOD_NUMBERS: Numbers = LazyLock::new(|| numbers(METHODS.iter().map(|it| [it.english, it.russian])));
static PROPERTY_NUMBERS: Numbers = LazyLock::new(|| numbers(PROPERTIES.iter().map(|it| [it.english, it.russian])));

fn numbers(names: impl Iterator<Item = [&'static str; 2]>) -> HashMap<String, usize> {
    names.enumerate().flat_map(|(number, names)| names.map(|name| (folded(name), number))).collect()
}

/// The number of the method with this name, in either language.
pub(super) fn find_method(name: &str) -> Option<usize> {
    METHOD_NUMBERS.get(&folded(name)).copied()
}

/// The number of the property with this name, in either language.
pub(super) fn find_property(name: &str) -> Option<usize> {
    PROPERTY_NUMBERS.get(&folded(name)).copied()
}

impl Default {
    /// The value, unless there is none.
    pub(super) fn value(self) -> Option<Value> {
        match self {
            Default::Required => None,
            Default::Undefined => Some(Value::Empty),
            Default::Integer(number) => Some(Value::Integer(number.into())),
            Default::Text(text) => Some(Value::Text(text.to_owned())),
        }
    }
}

/// Values that were checked against a method's parameters: each has the expected type or is the default.
pub(super) struct Arguments(Vec<Value>);

impl Arguments {
    /// Checks values; those that are left out, or Undefined, get the default.
    pub(super) fn check(method: &'static Method, given: Vec<Value>) -> Result<Arguments, Fault> {
        let mut given = given.into_iter();
        let values = method.params.iter().map(|param| match (given.next(), param.default.value()) {
            (None | Some(Value::Empty), Some(default)) => Ok(default),
            (None, None) => Err(Fault::MissingParam { method, param }),
            (Some(value), _) => param.expected.accept(value).map_err(|found| Fault::WrongType { method, param, found }),
        });
        values.collect::<Result<_, _>>().map(Arguments)
    }

    /// A parameter that expects a text, which can be taken once.
    pub(super) fn text(&mut self, index: usize) -> String {
        self.optional_text(index).unwrap_or_default()
    }

    /// A parameter whose default is Undefined.
    pub(super) fn optional_text(&mut self, index: usize) -> Option<String> {
        match self.0.get_mut(index).map(|value| std::mem::replace(value, Value::Empty)) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A parameter that expects bytes, which can be taken once.
    pub(super) fn bytes(&mut self, index: usize) -> Vec<u8> {
        match self.0.get_mut(index).map(|value| std::mem::replace(value, Value::Empty)) {
            Some(Value::Blob(bytes)) => bytes,
            _ => Vec::new(),
        }
    }

    /// A parameter that expects a whole number.
    pub(super) fn integer(&self, index: usize) -> i64 {
        match self.0.get(index) {
            Some(Value::Integer(number)) => *number,
            _ => 0,
        }
    }
}

impl Expected {
    /// The value in the one shape that the functions take; else the value itself, for the message.
    pub(super) fn accept(self, value: Value) -> Result<Value, Value> {
        match (self, value) {
            (Expected::Text | Expected::Scalar, value @ Value::Text(_)) => Ok(value),
            (Expected::Text | Expected::Scalar, Value::Blob(bytes)) => {
                String::from_utf8(bytes).map(Value::Text).map_err(|error| Value::Blob(error.into_bytes()))
            }
            (Expected::Bytes, value @ Value::Blob(_)) => Ok(value),
            (Expected::Bytes, Value::Text(text)) => Ok(Value::Blob(text.into_bytes())),
            (Expected::Integer, value @ Value::Integer(_)) => Ok(value),
            (Expected::Scalar, Value::Integer(number) | Value::Date(number)) => Ok(Value::Text(number.to_string())),
            (Expected::Scalar, Value::Boolean(yes)) => Ok(Value::Text(yes.to_string())),
            (_, value) => Err(value),
        }
    }
}

#[cfg(test)]
mod tests;
