//! Parameters of a call: form fields with brackets, or JSON.

use crate::php::value::{Map, Value};
use percent_encoding::percent_decode_str;

use super::array;

/// Fields deeper than this are cut off, as PHP's `max_input_nesting_level` does.
const MAX_DEPTH: usize = 64;

/// `parse_str`: `filter[%3E%3DID]=1&id[]=2&id[]=3` becomes nested arrays. A later field wins over an earlier one.
///
/// The name ends at the first `=`, so a bare `filter[>=ID]=1` is the field `filter_>`: the portal silently ignores
/// such a filter, and so does the emulator.
pub fn parse(query: &str) -> Map {
    let mut root = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let path = path_of(&decode(key));
        if !path[0].is_empty() {
            insert(&mut root, &path, Value::String(decode(value)));
        }
    }
    root.into_iter().map(|(key, value)| (key, lists(value))).collect()
}

/// Decodes one component of a form: `+` is a space.
pub fn decode(component: &str) -> String {
    let spaced = component.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// `a[b][]` is `["a", "b", ""]`. A bracket that is not closed becomes an underscore.
fn path_of(key: &str) -> Vec<String> {
    let Some(open) = key.find('[') else {
        return vec![key.to_owned()];
    };
    let mut path = vec![key[..open].to_owned()];
    let mut rest = &key[open..];
    while let Some(inner) = rest.strip_prefix('[') {
        let Some(close) = inner.find(']') else { break };
        if path.len() == MAX_DEPTH {
            break;
        }
        path.push(inner[..close].to_owned());
        rest = &inner[close + 1..];
    }
    if path.len() == 1 {
        return vec![key.replacen('[', "_", 1)];
    }
    path
}

fn insert(map: &mut Map, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    let key = if first.is_empty() { next_index(map) } else { first.clone() };
    if rest.is_empty() {
        map.insert(key, value);
        return;
    }
    let child = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !matches!(child, Value::Object(_)) {
        *child = Value::Object(Map::new());
    }
    if let Value::Object(child) = child {
        insert(child, rest, value);
    }
}

fn next_index(map: &Map) -> String {
    let next = map.keys().filter_map(|key| key.parse::<u64>().ok()).max();
    next.map_or(0, |last| last + 1).to_string()
}

fn lists(value: Value) -> Value {
    match value {
        Value::Object(map) => array(map.into_iter().map(|(key, value)| (key, lists(value)))),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::php::value::json;

    #[test]
    fn brackets() {
        let parsed = parse("filter%5B%3E%3DID%5D=1&id[]=2&id[]=3&order[ID]=DESC&a=x+y%20z&b[k][l]=1&c");
        assert_eq!(
            Value::Object(parsed),
            json!({
                "filter": {">=ID": "1"}, "id": ["2", "3"], "order": {"ID": "DESC"},
                "a": "x y z", "b": {"k": {"l": "1"}}, "c": ""
            })
        );
    }

    #[test]
    fn odd_input() {
        assert_eq!(Value::Object(parse("filter[>=ID]=1")), json!({"filter_>": "ID]=1"}));
        assert_eq!(Value::Object(parse("a[=1&a=2&a[b]=3&=4&&[x]=5")), json!({"a_": "1", "a": {"b": "3"}}));
        let deep = format!("a{}=1", "[x]".repeat(10_000));
        assert_eq!(parse(&deep).len(), 1);
    }
}
