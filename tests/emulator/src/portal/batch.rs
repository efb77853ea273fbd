//! `batch`: up to 50 calls in one request, later ones using results of earlier ones.

use crate::php::value::{Map, Value, json};

use super::call::{Caller, Outcome, Params};
use super::error::RestError;
use super::hit::Hit;
use super::methods;
use crate::php;

const MAX_CALLS: usize = 50;

/// How one of the calls ended.
type Run = Result<methods::Timed, RestError>;

pub fn batch(hit: &mut Hit, caller: &Caller, params: &Params) -> Outcome {
    let halt = params.get("halt").is_some_and(php::truth);
    let commands = params.get("cmd").map(php::entries).unwrap_or_default();
    let mut results = Results::default();
    for (index, (key, command)) in commands.into_iter().enumerate() {
        let Some(command) = command.as_str() else { continue };
        let outcome = if index < MAX_CALLS {
            run(hit, caller, command, &results)
        } else {
            Err(RestError::bad_request("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded"))
        };
        let failed = outcome.is_err();
        results.add(&key, outcome);
        if halt && failed {
            break;
        }
    }
    Ok(results.json().into())
}

fn run(hit: &mut Hit, caller: &Caller, command: &str, results: &Results) -> Run {
    let (method, query) = command.split_once('?').unwrap_or((command, ""));
    let method = method.to_lowercase();
    if method == "batch" {
        return Err(RestError::bad_request("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage"));
    }
    let params = php::params::parse(query).into_iter().map(|(name, value)| (name, results.put_into(value)));
    let scope = methods::scope_of(&method).ok_or_else(RestError::method_not_found)?;
    if !hit.grants(scope) {
        return Err(RestError::insufficient_scope_in_batch());
    }
    // The whole batch has one authorization, `auth_connector` included: those of a command are not looked at.
    methods::run(hit, caller, &method, Params::new(params.collect()))
}

#[derive(Default)]
struct Results {
    result: Map,
    error: Map,
    total: Map,
    next: Map,
    time: Map,
}

impl Results {
    fn add(&mut self, key: &str, outcome: Run) {
        let put = |into: &mut Map, value| into.insert(key.to_owned(), value);
        match outcome {
            Ok(timed) => {
                put(&mut self.result, timed.success.result);
                if let Some(total) = timed.success.total {
                    put(&mut self.total, json!(total));
                }
                if let Some(next) = timed.success.next {
                    put(&mut self.next, json!(next));
                }
                put(&mut self.time, timed.time);
            }
            Err(error) => {
                put(&mut self.error, error.body());
            }
        }
    }

    fn json(self) -> Value {
        json!({
            "result": php::array(self.result),
            "result_error": php::array(self.error),
            "result_total": php::array(self.total),
            "result_next": php::array(self.next),
            "result_time": php::array(self.time),
        })
    }

    /// Replaces `$result[name][field]` in every text.
    fn put_into(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.substitute(&text),
            Value::Array(list) => list.into_iter().map(|value| self.put_into(value)).collect(),
            Value::Object(map) => map.into_iter().map(|(key, value)| (key, self.put_into(value))).collect(),
            other => other,
        }
    }

    /// A reference that is the whole text keeps its type, so that arrays can be passed on.
    fn substitute(&self, text: &str) -> Value {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("$result[") {
            let (path, after) = reference(&rest[at + "$result".len()..]);
            if path.is_empty() {
                out.push_str(&rest[..at + 1]);
                rest = &rest[at + 1..];
                continue;
            }
            let value = self.at(&path);
            if at == 0 && out.is_empty() && after.is_empty() {
                return value.cloned().unwrap_or_else(|| json!(""));
            }
            out.push_str(&rest[..at]);
            out.push_str(&value.and_then(php::text).unwrap_or_default());
            rest = after;
        }
        out.push_str(rest);
        Value::String(out)
    }

    fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.result.get(*first)?, |value, key| match value {
            Value::Object(map) => map.get(*key),
            Value::Array(list) => list.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

/// `[a][b]rest` is `["a", "b"]` and `rest`.
fn reference(text: &str) -> (Vec<&str>, &str) {
    let mut path = Vec::new();
    let mut rest = text;
    while let Some(inner) = rest.strip_prefix('[') {
        let Some(close) = inner.find(']') else { break };
        path.push(&inner[..close]);
        rest = &inner[close + 1..];
    }
    (path, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let mut results = Results::default();
        results.result.insert("deal".to_owned(), json!(5));
        results.result.insert("list".to_owned(), json!([{"ID": "7"}, {"ID": "8"}]));
        let cases = [
            ("$result[deal]", json!(5)),
            ("id $result[deal]!", json!("id 5!")),
            ("$result[list][1][ID]", json!("8")),
            ("$result[list][0]", json!({"ID": "7"})),
            ("$result[none][1]", json!("")),
            ("$result[", json!("$result[")),
            ("$5", json!("$5")),
        ];
        for (text, expected) in cases {
            assert_eq!(results.substitute(text), expected, "{text}");
        }
    }
}
