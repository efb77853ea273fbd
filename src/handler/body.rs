//! Bodies of the portal's calls: forms with PHP's nested keys (`auth[access_token]=…`) or JSON, within limits.

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

/// Maximum length of a body.
pub const MAX_BYTES: usize = 64 * 1024;
/// Maximum number of keys in a body, all levels together.
const MAX_KEYS: usize = 256;
/// Maximum number of levels; `a[b]` has two.
const MAX_DEPTH: usize = 8;

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than [`MAX_BYTES`].
    TooLong,
    /// Too many keys, too deep, or not what the content type says.
    Malformed,
}

/// Decodes a body. If `content_type` does not tell its type, a body that begins like a JSON object is JSON.
pub fn decode(body: &[u8], content_type: &str) -> Result<Value, BodyError> {
    if body.len() > MAX_BYTES {
        return Err(BodyError::TooLong);
    }
    let content_type = content_type.to_ascii_lowercase();
    let looks_like_json = body.trim_ascii_start().starts_with(b"{");
    if content_type.contains("json") || (looks_like_json && !content_type.contains("form-urlencoded")) {
        json(body)
    } else {
        form(body)
    }
}

fn json(body: &[u8]) -> Result<Value, BodyError> {
    // serde_json limits its own recursion to 128 levels.
    let value: Value = serde_json::from_slice(body).map_err(|_| BodyError::Malformed)?;
    if !value.is_object() || !is_within_limits(&value, MAX_DEPTH, &mut 0) {
        return Err(BodyError::Malformed);
    }
    Ok(value)
}

fn is_within_limits(value: &Value, levels: usize, keys: &mut usize) -> bool {
    let mut inside = |inner: &Value| {
        *keys += 1;
        levels > 0 && *keys <= MAX_KEYS && is_within_limits(inner, levels - 1, keys)
    };
    match value {
        Value::Object(map) => map.values().all(&mut inside),
        Value::Array(list) => list.iter().all(&mut inside),
        _ => true,
    }
}

fn form(body: &[u8]) -> Result<Value, BodyError> {
    let mut tree = Map::new();
    let fields = body.split(|byte| *byte == b'&').filter(|field| !field.is_empty());
    for (number, field) in fields.enumerate() {
        if number == MAX_KEYS {
            return Err(BodyError::Malformed);
        }
        let mut halves = field.splitn(2, |byte| *byte == b'=');
        let name = text(halves.next().unwrap_or_default())?;
        let value = text(halves.next().unwrap_or_default())?;
        // PHP ignores it, too.
        if name.is_empty() {
            continue;
        }
        let path = key_path(&name);
        if path.len() > MAX_DEPTH {
            return Err(BodyError::Malformed);
        }
        insert(&mut tree, &path, value);
    }
    Ok(Value::Object(tree))
}

/// Decodes a name or a value. The crate `form_urlencoded` does not fit: it replaces bytes that are not UTF-8, and
/// such a body has to be rejected.
fn text(encoded: &[u8]) -> Result<String, BodyError> {
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    String::from_utf8(percent_decode(&spaced).collect()).map_err(|_| BodyError::Malformed)
}

/// Splits `a[b][]` into `a`, `b` and an empty key. Unclosed brackets and text behind a bracket are part of the key or
/// ignored, as in PHP.
fn key_path(name: &str) -> Vec<&str> {
    let Some((first, mut rest)) = name.split_once('[').filter(|(first, _)| !first.is_empty()) else {
        return vec![name];
    };
    let mut path = vec![first];
    while let Some((key, after)) = rest.split_once(']') {
        path.push(key);
        match after.strip_prefix('[') {
            // One level more than allowed is enough to reject the body.
            Some(next) if path.len() <= MAX_DEPTH => rest = next,
            _ => return path,
        }
    }
    if path.len() == 1 { vec![name] } else { path }
}

/// Inserts a value. Of equal keys the last one wins, as in PHP.
fn insert(map: &mut Map<String, Value>, path: &[&str], value: String) {
    let Some((key, deeper)) = path.split_first() else { return };
    let key = if key.is_empty() { next_number(map) } else { (*key).to_owned() };
    if deeper.is_empty() {
        map.insert(key, Value::String(value));
        return;
    }
    let entry = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    if let Value::Object(inner) = entry {
        insert(inner, deeper, value);
    }
}

fn next_number(map: &Map<String, Value>) -> String {
    let largest = map.keys().filter_map(|key| key.parse::<u64>().ok()).max();
    largest.map_or(0, |largest| largest.saturating_add(1)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FORM: &str = "application/x-www-form-urlencoded";

    fn read(body: &str) -> Result<Value, BodyError> {
        decode(body.as_bytes(), FORM)
    }

    #[test]
    fn nested_keys_become_a_tree() {
        let body = "event=ONOFFLINEEVENT&data=&auth%5Bdomain%5D=a.b%3A80+%D0%AF&auth[x][y]=1\
                    &list[]=a&list[]=b&list[7]=c&list[]=d";
        let tree = json!({
            "event": "ONOFFLINEEVENT", "data": "", "auth": {"domain": "a.b:80 Я", "x": {"y": "1"}},
            "list": {"0": "a", "1": "b", "7": "c", "8": "d"},
        });
        assert_eq!(read(body), Ok(tree));
    }

    #[test]
    fn odd_keys_are_read_as_in_php() {
        for (body, tree) in [
            ("", json!({})),
            ("&&a&=&b=", json!({"a": "", "b": ""})),
            ("a[b=1", json!({"a[b": "1"})),
            ("[b]=1", json!({"[b]": "1"})),
            ("a[b]c=1", json!({"a": {"b": "1"}})),
            ("a[b][c=1", json!({"a": {"b": "1"}})),
            ("a=1&a[b]=2", json!({"a": {"b": "2"}})),
            ("a[b]=1&a=2", json!({"a": "2"})),
            ("a=1&a=2", json!({"a": "2"})),
            ("a=%zz%", json!({"a": "%zz%"})),
            ("a=1=2", json!({"a": "1=2"})),
        ] {
            assert_eq!(read(body), Ok(tree), "{body}");
        }
        assert_eq!(read("a=%ff"), Err(BodyError::Malformed));
    }

    #[test]
    fn json_is_recognised_by_its_type_or_its_beginning() {
        let tree = json!({"event": "X", "auth": {"a": 1}});
        for content_type in ["application/json; charset=utf-8", "APPLICATION/JSON", "", "text/plain"] {
            assert_eq!(decode(tree.to_string().as_bytes(), content_type), Ok(tree.clone()), "{content_type}");
        }
        for bad in ["[1]", "1", "{", "{\"a\":\"\u{fffd}", "null", ""] {
            assert_eq!(decode(bad.as_bytes(), "application/json"), Err(BodyError::Malformed), "{bad}");
        }
        assert!(decode(b"{}", FORM).is_ok_and(|tree| tree == json!({"{}": ""})));
    }

    #[test]
    fn bodies_beyond_the_limits_are_rejected() {
        let long = vec![b'a'; MAX_BYTES + 1];
        assert_eq!(decode(&long, FORM), Err(BodyError::TooLong));
        assert!(decode(&long[1..], FORM).is_ok());
        let form_of = |count: usize| (0..count).map(|number| format!("k{number}=1&")).collect::<String>();
        let json_of = |count: usize| Value::from_iter((0..count).map(|number| (number.to_string(), 1))).to_string();
        for (fits, body) in [
            (true, form_of(256)),
            (false, form_of(257)),
            (false, "a&".repeat(30_000)),
            (true, json_of(256)),
            (false, json_of(257)),
            (true, format!("a{}=1", "[x]".repeat(7))),
            (false, format!("a{}=1", "[x]".repeat(8))),
            (false, format!("a{}=1", "[x]".repeat(100))),
            (false, format!("a{}=1", "[]".repeat(30_000))),
            (true, format!("{}1{}", "{\"a\":".repeat(8), "}".repeat(8))),
            (false, format!("{}1{}", "{\"a\":".repeat(9), "}".repeat(9))),
            (false, format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100))),
            (false, format!("{{\"a\":{}", "[".repeat(60_000))),
            (false, format!("{{\"a\":[{}0]}}", "0,".repeat(30_000))),
        ] {
            assert_eq!(decode(body.as_bytes(), "").is_ok(), fits, "{:.80}", body);
        }
    }
}
