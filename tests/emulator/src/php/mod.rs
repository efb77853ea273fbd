//! How a PHP application reads and writes data.

pub mod json;
pub mod params;
pub mod value;

use value::{Map, Value};

/// A PHP array: keys in order. It is a list if the keys are 0, 1, 2, …
///
/// An empty array is a list, which is why the portal writes `[]` where a client expects `{}`.
pub fn array(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    let entries: Map = entries.into_iter().collect();
    let is_list = entries.keys().enumerate().all(|(index, key)| *key == index.to_string());
    if is_list { Value::Array(entries.into_iter().map(|(_, value)| value).collect()) } else { Value::Object(entries) }
}

/// A scalar as PHP converts it to text; `None` for arrays.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => Some(String::new()),
        Value::Bool(true) => Some("1".to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// `intval`: the leading digits of a text, 0 when there are none.
pub fn int(value: &Value) -> i64 {
    match value {
        Value::Array(list) => i64::from(!list.is_empty()),
        Value::Object(map) => i64::from(!map.is_empty()),
        scalar => int_of_text(&text(scalar).unwrap_or_default()),
    }
}

fn int_of_text(text: &str) -> i64 {
    let text = text.trim_start();
    let digits_from = usize::from(text.starts_with(['-', '+']));
    let end = text[digits_from..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |at| at + digits_from);
    text[..end].trim_start_matches('+').parse().unwrap_or(0)
}

/// Whether PHP takes the value for true: `"0"` is false, `"false"` is true.
pub fn truth(value: &Value) -> bool {
    match value {
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        scalar => !matches!(text(scalar).as_deref(), None | Some("" | "0")),
    }
}

/// Keys and values of a PHP array; a scalar has none.
pub fn entries(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Array(list) => list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::php::value::json;

    fn pairs(keys: &[&str]) -> Vec<(String, Value)> {
        keys.iter().map(|key| ((*key).to_owned(), json!(1))).collect()
    }

    #[test]
    fn arrays_are_lists_only_with_the_right_keys() {
        assert_eq!(array(pairs(&[])), json!([]));
        assert_eq!(array(pairs(&["0", "1"])), json!([1, 1]));
        assert_eq!(array(pairs(&["1"])), json!({"1": 1}));
        assert_eq!(array(pairs(&["a"])), json!({"a": 1}));
    }

    #[test]
    fn numbers_and_truth_as_in_php() {
        assert_eq!(int(&json!("50abc")), 50);
        assert_eq!(int(&json!("-1")), -1);
        assert_eq!(int(&json!("abc")), 0);
        assert_eq!(int(&json!(true)), 1);
        assert!(truth(&json!("false")));
        assert!(!truth(&json!("0")));
        assert!(!truth(&json!([])));
    }
}
