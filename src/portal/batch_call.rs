//! Several calls in one request: the portal's method `batch` (docs/protocol.md §2).

use std::collections::BTreeMap;

use form_urlencoded::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::answer::unexpected_result;
use super::call::{Portal, Repeat};
use super::operating::RunTime;
use super::params::check_method;
use super::php;
use super::refusal;
use crate::clock::Deadline;
use crate::error::{Error, Result};

/// The maximum number of calls in one batch.
pub(super) const MAX_CALLS: usize = 50;

/// What the caller gets.
#[derive(Serialize)]
struct BatchOutcome {
    results: BTreeMap<String, Box<RawValue>>,
    errors: BTreeMap<String, Box<RawValue>>,
}

/// The portal's answer, by the names of the calls.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct BatchResults {
    #[serde(deserialize_with = "php::map")]
    pub(super) result: BTreeMap<String, Box<RawValue>>,
    #[serde(deserialize_with = "php::map")]
    pub(super) result_error: BTreeMap<String, Box<RawValue>>,
    #[serde(deserialize_with = "php::map")]
    pub(super) result_total: BTreeMap<String, Box<RawValue>>,
    #[serde(deserialize_with = "php::map")]
    result_time: BTreeMap<String, RunTime>,
}

impl BatchResults {
    /// The error of one call, if it failed.
    pub(super) fn error(&self, name: &str) -> Option<Error> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct CallError {
            #[serde(deserialize_with = "php::text")]
            error: String,
            #[serde(deserialize_with = "php::text")]
            error_description: String,
        }
        let parsed: CallError = serde_json::from_str(self.result_error.get(name)?.get()).unwrap_or_default();
        Some(refusal::to_error(200, &parsed.error, &parsed.error_description))
    }
}

impl Portal {
    /// Runs up to 50 calls in one request. `calls` is a JSON object: name → `{"method":…,"params":{…}}`. With `halt`,
    /// the portal stops at the first call that fails. Returns
    /// `{"results":{name:…},"errors":{name:{"error":…,"error_description":…}}}`.
    pub fn call_batch(&self, calls: &str, halt: bool) -> Result<String> {
        #[derive(Deserialize)]
        struct Call {
            method: String,
            #[serde(default)]
            params: Value,
        }
        let calls: BTreeMap<String, Call> = serde_json::from_str(calls).map_err(|error| {
            Error::InvalidArgument(format!(
                "calls must be a JSON object such as {{\"name\":{{\"method\":…,\"params\":{{…}}}}}}: {error}"
            ))
        })?;
        if calls.is_empty() || calls.len() > MAX_CALLS {
            let text = format!(
                "a batch must have 1 to {MAX_CALLS} calls, not {}; split the calls into several batches",
                calls.len()
            );
            return Err(Error::InvalidArgument(text));
        }
        let mut commands = Map::new();
        for (name, call) in calls {
            check_method(&call.method)?;
            commands.insert(name, command(&call.method, &call.params).into());
        }
        let results = self.run_batch(&Value::Object(commands), halt, Repeat::No)?;
        // This was parsed from JSON, so writing it as JSON cannot fail.
        Ok(serde_json::to_string(&BatchOutcome { results: results.result, errors: results.result_error })
            .unwrap_or_default())
    }

    /// Sends a `batch` of commands made by [`command`].
    pub(super) fn run_batch(&self, commands: &Value, halt: bool, repeat: Repeat) -> Result<BatchResults> {
        self.run_batch_until(commands, halt, repeat, self.deadline())
    }

    /// The same with a deadline.
    pub(super) fn run_batch_until(
        &self,
        commands: &Value,
        halt: bool,
        repeat: Repeat,
        deadline: Deadline,
    ) -> Result<BatchResults> {
        let params = json!({"halt": u8::from(halt), "cmd": commands}).to_string();
        let answer = self.call_until("batch", &params, repeat, deadline)?;
        let mut results: BatchResults =
            serde_json::from_str(answer.result()).map_err(|error| unexpected_result("batch", &error))?;
        for json in results.result_error.values_mut() {
            // Stars leave JSON what it is.
            *json = RawValue::from_string(self.redact(json.get())).unwrap_or_else(|_| RawValue::NULL.to_owned());
        }
        for (name, command) in commands.as_object().into_iter().flatten() {
            let method = command.as_str().and_then(|command| command.split('?').next()).unwrap_or_default();
            match (results.result_time.get(name), results.error(name)) {
                (Some(time), None) => self.note_run_time(method, Ok(*time)),
                (_, Some(error)) => self.note_run_time(method, Err(&error)),
                (None, None) => {}
            }
        }
        Ok(results)
    }
}

/// A call as `batch` takes it: `method?query`, with the names of nested parameters in PHP's brackets.
pub(super) fn command(method: &str, params: &Value) -> String {
    let start = format!("{method}?");
    let query_start = start.len();
    let mut query = Serializer::for_suffix(start, query_start);
    append("", params, &mut query);
    query.finish()
}

/// Appends a value, or all values inside of it, under the name `key`.
fn append(key: &str, value: &Value, query: &mut Serializer<'_, String>) {
    let nested = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}[{name}]") };
    let scalar = match value {
        Value::Object(map) => return map.iter().for_each(|(name, value)| append(&nested(name), value, query)),
        Value::Array(list) => {
            let entries = list.iter().enumerate();
            return entries.for_each(|(index, value)| append(&nested(&index.to_string()), value, query));
        }
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => u8::from(*yes).to_string(),
        Value::Null => String::new(),
    };
    if !key.is_empty() {
        query.append_pair(key, &scalar);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_queries_that_php_can_read() {
        let params = json!({"filter": {">=ID": 1}, "select": ["ID", "№ & =?"], "on": true, "none": null});
        let query = command("crm.deal.list", &params);
        assert!(query.starts_with("crm.deal.list?"), "{query}");
        for part in
            ["filter%5B%3E%3DID%5D=1", "select%5B0%5D=ID", "select%5B1%5D=%E2%84%96+%26+%3D%3F", "on=1", "none="]
        {
            assert!(query.contains(part), "{part} in {query}");
        }
        assert_eq!(command("profile", &Value::Null), "profile?");
    }

    #[test]
    fn errors_are_found_by_name_even_if_empty_maps_are_lists() {
        let results: BatchResults = serde_json::from_str(
            r#"{"result":[],"result_total":[],"result_error":{"a":{"error":"ACCESS_DENIED","error_description":""}}}"#,
        )
        .unwrap();
        assert_eq!(results.error("a").unwrap().code(), "ACCESS_DENIED");
        assert!(results.error("b").is_none() && results.result.is_empty());
    }
}
