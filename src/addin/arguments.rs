//! The arguments of a call, checked against the parameters of its method.

use super::class::{ALL, DefaultValue, Method, Param, ParamType};
use super::error::AddinError;
use super::value::Value;

/// Values that fit a method's parameters: each has a type that its parameter accepts, or is the default.
pub(super) struct Arguments(Vec<Value>);

impl Arguments {
    /// Checks values. A parameter that is left out gets its default; so does Undefined, unless the default is
    /// [`DefaultValue::All`].
    pub(super) fn check(method: &'static Method, given: Vec<Value>) -> Result<Arguments, AddinError> {
        let mut given = given.into_iter();
        let values = method.params.iter().map(|param| check_one(method, param, given.next()));
        values.collect::<Result<_, _>>().map(Arguments)
    }

    /// A text. It can be taken once.
    pub(super) fn text(&mut self, index: usize) -> String {
        match self.0.get_mut(index).map(|value| std::mem::replace(value, Value::Empty)) {
            Some(Value::Text(text)) => text,
            _ => String::new(),
        }
    }

    /// Bytes. They can be taken once.
    pub(super) fn bytes(&mut self, index: usize) -> Vec<u8> {
        match self.0.get_mut(index).map(|value| std::mem::replace(value, Value::Empty)) {
            Some(Value::Blob(bytes)) => bytes,
            _ => Vec::new(),
        }
    }

    /// A whole number.
    pub(super) fn integer(&self, index: usize) -> i64 {
        match self.0.get(index) {
            Some(Value::Integer(number)) => *number,
            _ => 0,
        }
    }

    /// A whole number of the type [`ParamType::Unsigned`].
    pub(super) fn unsigned(&self, index: usize) -> u32 {
        u32::try_from(self.integer(index)).unwrap_or(0)
    }
}

fn check_one(method: &'static Method, param: &'static Param, given: Option<Value>) -> Result<Value, AddinError> {
    match (given, default_value(param.default)) {
        (None, Some(default)) => Ok(default),
        (None, None) => Err(AddinError::MissingParam { method, param }),
        (Some(Value::Empty), Some(_)) if param.default == DefaultValue::All => {
            Err(AddinError::UndefinedForAll { method, param })
        }
        (Some(Value::Empty), Some(default)) => Ok(default),
        (Some(value), _) => {
            accept(param.accepts, value).map_err(|found| AddinError::WrongType { method, param, found })
        }
    }
}

/// The value of a default; `None` if the parameter is required.
pub(super) fn default_value(default: DefaultValue) -> Option<Value> {
    match default {
        DefaultValue::Required => None,
        DefaultValue::Integer(number) => Some(Value::Integer(number.into())),
        DefaultValue::All => Some(Value::Text(ALL.to_owned())),
        DefaultValue::Text(text) => Some(Value::Text(text.to_owned())),
    }
}

/// The value in the one form that the methods take. A value that does not fit comes back for the error message.
pub(super) fn accept(param_type: ParamType, value: Value) -> Result<Value, Value> {
    match (param_type, value) {
        (ParamType::Text | ParamType::Scalar, value @ Value::Text(_)) => Ok(value),
        (ParamType::Text | ParamType::Scalar, Value::Blob(bytes)) => {
            String::from_utf8(bytes).map(Value::Text).map_err(|error| Value::Blob(error.into_bytes()))
        }
        (ParamType::Bytes, value @ Value::Blob(_)) => Ok(value),
        (ParamType::Bytes, Value::Text(text)) => Ok(Value::Blob(text.into_bytes())),
        (ParamType::Integer, value @ Value::Integer(_)) => Ok(value),
        (ParamType::Unsigned(max), Value::Integer(number)) if (0..=max.into()).contains(&number) => {
            Ok(Value::Integer(number))
        }
        // A date has no time zone, so it names no moment.
        (ParamType::Scalar, Value::Integer(number)) => Ok(Value::Text(number.to_string())),
        (ParamType::Scalar, Value::Boolean(yes)) => Ok(Value::Text(yes.to_string())),
        (_, value) => Err(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addin::class::{METHODS, MethodId};

    #[test]
    fn defaults_fit_their_parameters() {
        for param in METHODS.iter().flat_map(|method| method.params) {
            if let Some(value) = default_value(param.default) {
                assert_ne!(value, Value::Empty, "{}: some hosts take Undefined for no default", param.english);
                assert_eq!(accept(param.accepts, value.clone()), Ok(value), "{}", param.english);
            }
        }
    }

    #[test]
    fn an_undefined_value_never_means_all() {
        let method = |id| METHODS.iter().find(|method| method.id == id).unwrap();
        let check = |id, values| Arguments::check(method(id), values);
        let batch = || Value::Text("b".into());
        let mut left_out = check(MethodId::Acknowledge, vec![batch()]).unwrap();
        assert_eq!((left_out.text(0), left_out.text(1)), ("b".to_owned(), ALL.to_owned()));
        for refused in [
            check(MethodId::Acknowledge, vec![batch(), Value::Empty]),
            check(MethodId::UnbindHandler, vec![Value::Empty]),
        ] {
            assert!(matches!(refused.err(), Some(AddinError::UndefinedForAll { .. })));
        }
        let timeout = check(MethodId::NextBatch, vec![Value::Empty]).unwrap();
        assert_eq!(timeout.integer(0), 30_000, "any other default replaces Undefined");
    }

    #[test]
    fn values_of_fitting_types_are_accepted() {
        let text = |text: &str| Ok(Value::Text(text.into()));
        assert_eq!(accept(ParamType::Scalar, Value::Integer(50)), text("50"));
        assert_eq!(accept(ParamType::Scalar, Value::Boolean(true)), text("true"));
        assert_eq!(accept(ParamType::Scalar, Value::Date(0)), Err(Value::Date(0)), "local time or UTC?");
        assert_eq!(accept(ParamType::Text, Value::Blob("ключ".into())), text("ключ"));
        for bad in [Value::Integer(1), Value::Boolean(true), Value::Date(0), Value::Blob(vec![0xff]), Value::Damaged] {
            assert_eq!(accept(ParamType::Text, bad.clone()), Err(bad));
        }
        assert_eq!(accept(ParamType::Bytes, Value::Text("ключ".into())), Ok(Value::Blob("ключ".into())));
        assert_eq!(accept(ParamType::Bytes, Value::Blob(vec![0xff])), Ok(Value::Blob(vec![0xff])));
        assert_eq!(accept(ParamType::Bytes, Value::Integer(1)), Err(Value::Integer(1)));
        for bad in [Value::Real(1.5), Value::Text("1".into()), Value::Empty] {
            assert_eq!(accept(ParamType::Integer, bad.clone()), Err(bad));
        }
        for (number, fits) in [(0, true), (7, true), (8, false), (-1, false), (i64::MAX, false)] {
            assert_eq!(accept(ParamType::Unsigned(7), Value::Integer(number)).is_ok(), fits, "{number}");
        }
    }
}
