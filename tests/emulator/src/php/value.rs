//! A value as PHP has it: like JSON, with the keys of a map in the order in which they were set.
//!
//! Not `serde_json::Value`: it keeps the order only with the feature `preserve_order`, which cargo would then switch on
//! in the library under test as well (see `tests/features.rs`).

use std::fmt;
use std::ops::Index;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Number;

pub type Map = IndexMap<String, Value>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Value>),
    Object(Map),
}

static NULL: Value = Value::Null;

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether PHP calls it an array: a list or a map.
    pub fn is_array(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Object(_))
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(map) => map.get(key),
            _ => None,
        }
    }
}

impl Index<&str> for Value {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&NULL)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        Self::Array(items.into_iter().collect())
    }
}

impl FromIterator<(String, Value)> for Value {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        Self::Object(entries.into_iter().collect())
    }
}

/// What [`json`] takes for a value.
pub trait ToValue {
    fn to_value(&self) -> Value;
}

macro_rules! to_value {
    ($($type:ty: |$value:ident| $made:expr;)*) => {
        $(impl ToValue for $type {
            fn to_value(&self) -> Value {
                let $value = self;
                $made
            }
        })*
    };
}

to_value! {
    bool: |value| Value::Bool(*value);
    i32: |value| Value::Number((*value).into());
    u32: |value| Value::Number((*value).into());
    i64: |value| Value::Number((*value).into());
    u64: |value| Value::Number((*value).into());
    usize: |value| Value::Number((*value).into());
    f64: |value| Number::from_f64(*value).map_or(Value::Null, Value::Number);
    str: |value| Value::String(value.to_owned());
    String: |value| Value::String(value.clone());
    Value: |value| value.clone();
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value {
        (*self).to_value()
    }
}

impl<T: ToValue> ToValue for [T] {
    fn to_value(&self) -> Value {
        self.iter().map(ToValue::to_value).collect()
    }
}

impl<T: ToValue> ToValue for Vec<T> {
    fn to_value(&self) -> Value {
        self.as_slice().to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => Self::Number(number),
            serde_json::Value::String(text) => Self::String(text),
            serde_json::Value::Array(items) => items.into_iter().map(Self::from).collect(),
            serde_json::Value::Object(map) => map.into_iter().map(|(key, value)| (key, value.into())).collect(),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(map) => serializer.collect_map(map),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.to_value())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.to_value())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.to_value())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.to_value())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.to_value())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = entries.next_entry()? {
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// A [`Value`] in the spelling of JSON, as `serde_json::json!`.
macro_rules! json {
    (null) => { $crate::php::value::Value::Null };
    ([$($items:tt)*]) => { $crate::php::value::Value::Array($crate::php::value::list!([] $($items)*)) };
    ({$($entries:tt)*}) => {{
        #[allow(unused_mut, reason = "a map may be empty")]
        let mut map = $crate::php::value::Map::new();
        $crate::php::value::set!(map; $($entries)*);
        $crate::php::value::Value::Object(map)
    }};
    ($value:expr) => { $crate::php::value::ToValue::to_value(&$value) };
}

/// The items of a list, each through [`json`].
macro_rules! list {
    ([$($done:expr,)*]) => { vec![$($done),*] };
    ([$($done:expr,)*] {$($inner:tt)*} $(, $($rest:tt)*)?) => {
        $crate::php::value::list!([$($done,)* $crate::php::value::json!({$($inner)*}),] $($($rest)*)?)
    };
    ([$($done:expr,)*] [$($inner:tt)*] $(, $($rest:tt)*)?) => {
        $crate::php::value::list!([$($done,)* $crate::php::value::json!([$($inner)*]),] $($($rest)*)?)
    };
    ([$($done:expr,)*] $item:expr $(, $($rest:tt)*)?) => {
        $crate::php::value::list!([$($done,)* $crate::php::value::json!($item),] $($($rest)*)?)
    };
}

/// Sets the entries of a map, each value through [`json`].
macro_rules! set {
    ($map:ident;) => {};
    ($map:ident; $key:literal: null $(, $($rest:tt)*)?) => {
        $map.insert($key.to_owned(), $crate::php::value::Value::Null);
        $crate::php::value::set!($map; $($($rest)*)?);
    };
    ($map:ident; $key:literal: {$($inner:tt)*} $(, $($rest:tt)*)?) => {
        $map.insert($key.to_owned(), $crate::php::value::json!({$($inner)*}));
        $crate::php::value::set!($map; $($($rest)*)?);
    };
    ($map:ident; $key:literal: [$($inner:tt)*] $(, $($rest:tt)*)?) => {
        $map.insert($key.to_owned(), $crate::php::value::json!([$($inner)*]));
        $crate::php::value::set!($map; $($($rest)*)?);
    };
    ($map:ident; $key:literal: $value:expr $(, $($rest:tt)*)?) => {
        $map.insert($key.to_owned(), $crate::php::value::json!($value));
        $crate::php::value::set!($map; $($($rest)*)?);
    };
}

pub(crate) use {json, list, set};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_through_json() {
        let text = r#"{"b":1,"a":[null,true,-2,1.5,{"z":"x","y":{}}]}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value.to_string(), text);
        assert_eq!(value, json!({"b": 1, "a": [Value::Null, true, -2, 1.5, {"z": "x", "y": {}}]}));
        assert_eq!(value["a"]["b"], json!(null));
    }
}
