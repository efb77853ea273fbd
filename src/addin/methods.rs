//! What the methods and properties of the class do.

use super::class::Arguments;
use super::component::Component;
use super::fault::Fault;
use super::notifications;
use super::variant::Value;
use crate::client::Client;
use crate::clock::Timeout;
use crate::delivery::Batch;
use crate::error::Error;

type Outcome = Result<Value, Fault>;

impl Component {
    pub(super) fn set_parameter(&self, mut arguments: Arguments) -> Outcome {
        self.session.set_parameter(&arguments.text(0), &arguments.text(1))?;
        Ok(Value::Empty)
    }

    pub(super) fn parameter(&self, mut arguments: Arguments) -> Outcome {
        self.session.parameter(&arguments.text(0)).map(Value::Text)
    }

    pub(super) fn connect(&self, arguments: Arguments) -> Outcome {
        self.session.connect(timeout(arguments.integer(0)), &self.platform)?;
        Ok(Value::Empty)
    }

    pub(super) fn subscribe(&self, mut arguments: Arguments) -> Outcome {
        self.session.client()?.bind_event(&arguments.text(0))?;
        Ok(Value::Empty)
    }

    pub(super) fn unsubscribe(&self, mut arguments: Arguments) -> Outcome {
        self.session.client()?.unbind_event(&arguments.text(0))?;
        Ok(Value::Empty)
    }

    pub(super) fn wait_event(&self, arguments: Arguments) -> Outcome {
        let client = self.session.connected_client()?;
        let notification = client.wait(timeout(arguments.integer(0)))?;
        let json = notification.map(|notification| notifications::json(client.connector_id(), notification));
        Ok(Value::Text(json.unwrap_or_default()))
    }

    pub(super) fn fetch(&self, arguments: Arguments) -> Outcome {
        self.fetch_with(&arguments, Client::fetch)
    }

    pub(super) fn fetch_failed(&self, arguments: Arguments) -> Outcome {
        self.fetch_with(&arguments, Client::fetch_failed)
    }

    fn fetch_with(&self, arguments: &Arguments, fetch: fn(&Client, u32) -> crate::error::Result<Batch>) -> Outcome {
        let limit = arguments.integer(0);
        let limit = u32::try_from(limit).map_err(|_| {
            Error::InvalidArgument(format!("Limit cannot be {limit}; allowed: 0 (fetch.limit) to 1000"))
        })?;
        self.session.check_room()?;
        let client = self.session.client()?;
        let mut batch = fetch(&client, limit)?;
        let json = batch.detach_json();
        let id = if batch.is_empty() { String::new() } else { self.session.open(&client, batch)? };
        Ok(Value::Text(with_batch_id(&id, &json)))
    }

    pub(super) fn next_batch(&self, arguments: Arguments) -> Outcome {
        self.session.check_room()?;
        let client = self.session.connected_client()?;
        let Some(mut batch) = client.next(timeout(arguments.integer(0)))? else {
            return Ok(Value::Text(String::new()));
        };
        let json = batch.detach_json();
        let id = self.session.open(&client, batch)?;
        Ok(Value::Text(with_batch_id(&id, &json)))
    }

    pub(super) fn acknowledge(&self, mut arguments: Arguments) -> Outcome {
        let id = arguments.text(0);
        match arguments.optional_text(1) {
            None => self.settle(&id, |batch| Ok(batch.acknowledge()?)),
            Some(list) => {
                let ids = message_ids(&list)?;
                self.settle(&id, |batch| Ok(batch.acknowledge_records(&borrowed(&ids))?))
            }
        }
    }

    pub(super) fn mark_failed(&self, mut arguments: Arguments) -> Outcome {
        let (id, ids) = (arguments.text(0), message_ids(&arguments.text(1))?);
        self.settle(&id, |batch| Ok(batch.fail_records(&borrowed(&ids))?))
    }

    fn settle(&self, id: &str, work: impl FnOnce(&Batch) -> Result<(), Fault>) -> Outcome {
        // The id of an empty batch: so a loop need not ask whether there was anything.
        if !id.is_empty() {
            self.session.settle(id, work)?;
        }
        Ok(Value::Empty)
    }

    pub(super) fn call_method(&self, mut arguments: Arguments) -> Outcome {
        let answer = self.session.client()?.call(&arguments.text(0), &arguments.text(1))?;
        Ok(Value::Text(answer))
    }

    pub(super) fn call_batch(&self, mut arguments: Arguments) -> Outcome {
        Ok(Value::Text(self.session.client()?.call_batch(&arguments.text(0), false)?))
    }

    pub(super) fn recover(&self, _: Arguments) -> Outcome {
        let found = self.session.client()?.recover()?;
        Ok(Value::Integer(i64::try_from(found).unwrap_or(i64::MAX)))
    }

    pub(super) fn authorize(&self, mut arguments: Arguments) -> Outcome {
        self.session.client()?.authorize(&arguments.text(0))?;
        Ok(Value::Empty)
    }

    pub(super) fn set_tokens(&self, mut arguments: Arguments) -> Outcome {
        let expires = u64::try_from(arguments.integer(2)).unwrap_or(0);
        self.session.client()?.set_tokens(&arguments.text(0), &arguments.text(1), expires)?;
        Ok(Value::Empty)
    }

    pub(super) fn bind_handler(&self, mut arguments: Arguments) -> Outcome {
        let pause = arguments.integer(1);
        let pause = u32::try_from(pause)
            .map_err(|_| Error::InvalidArgument(format!("MinPauseS cannot be {pause}; allowed: 0 or more seconds")))?;
        self.session.client()?.bind_handler(&arguments.text(0), pause)?;
        Ok(Value::Empty)
    }

    pub(super) fn unbind_handler(&self, mut arguments: Arguments) -> Outcome {
        let url = arguments.text(0);
        self.session.client()?.unbind_handler(Some(url.as_str()).filter(|url| !url.is_empty()))?;
        Ok(Value::Empty)
    }

    pub(super) fn accept_handler_call(&self, mut arguments: Arguments) -> Outcome {
        let status = self.session.client()?.accept_handler_call(&arguments.bytes(0), "")?;
        Ok(Value::Integer(status.into()))
    }

    pub(super) fn start_notifications(&self, _: Arguments) -> Outcome {
        self.session.start_notifications(&self.platform)?;
        Ok(Value::Empty)
    }

    pub(super) fn stop_notifications(&self, _: Arguments) -> Outcome {
        self.session.stop_notifications();
        Ok(Value::Empty)
    }

    pub(super) fn disconnect(&self, _: Arguments) -> Outcome {
        self.session.disconnect();
        Ok(Value::Empty)
    }

    pub(super) fn version(&self) -> Outcome {
        Ok(Value::Text(env!("CARGO_PKG_VERSION").into()))
    }

    pub(super) fn connected(&self) -> Outcome {
        Ok(Value::Boolean(self.session.is_connected()))
    }

    pub(super) fn state(&self) -> Outcome {
        Ok(Value::Text(self.session.state()))
    }

    pub(super) fn set_state(&self, text: String) -> Result<(), Fault> {
        if !text.is_empty() && serde_json::from_str::<serde_json::Map<_, _>>(&text).is_err() {
            return Err(Fault::BadState);
        }
        self.session.set_state(text);
        Ok(())
    }

    pub(super) fn statistics(&self) -> Outcome {
        Ok(Value::Text(self.session.statistics()))
    }

    pub(super) fn last_error(&self) -> Outcome {
        Ok(Value::Text(self.platform.last_error().text))
    }

    pub(super) fn last_error_code(&self) -> Outcome {
        Ok(Value::Text(self.platform.last_error().code))
    }

    pub(super) fn can_repeat(&self) -> Outcome {
        Ok(Value::Boolean(self.platform.last_error().can_repeat))
    }
}

/// Negative milliseconds mean for ever.
fn timeout(millis: i64) -> Timeout {
    Timeout::from_millis(i32::try_from(millis).unwrap_or(if millis < 0 { -1 } else { i32::MAX }))
}

/// Puts `batch_id` in front of `{"process_id":…,"events":[…]}`, which is not read again for it.
fn with_batch_id(id: &str, json: &str) -> String {
    let id = serde_json::Value::from(id);
    match json.trim().strip_prefix('{').map(str::trim_start) {
        Some(rest) if !rest.starts_with('}') => format!("{{\"batch_id\":{id},{rest}"),
        // PHP's empty map is `[]`.
        _ => format!("{{\"batch_id\":{id},\"process_id\":null,\"events\":[]}}"),
    }
}

/// Reads a JSON array of strings, or texts separated by commas or white space.
fn message_ids(list: &str) -> Result<Vec<String>, Fault> {
    if list.trim_start().starts_with('[') {
        return serde_json::from_str(list).map_err(|_| Fault::BadMessageIds);
    }
    let separators = |c: char| c == ',' || c == ';' || c.is_whitespace();
    Ok(list.split(separators).filter(|id| !id.is_empty()).map(str::to_owned).collect())
}

fn borrowed(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_ids_are_read_in_both_spellings() {
        for list in ["a,b", " a ,\r\n b\n", "a;b", r#" ["a", "b"]"#] {
            assert_eq!(message_ids(list).unwrap(), ["a", "b"], "{list:?}");
        }
        for list in ["", " \n", "[]"] {
            assert!(message_ids(list).unwrap().is_empty(), "{list:?}");
        }
        assert!(message_ids("[1]").is_err() && message_ids("[\"a\"").is_err());
    }

    #[test]
    fn the_batch_id_comes_first_and_the_rest_stays_as_it_was() {
        let json = r#" { "process_id":"p\"","events":[{"ID":"1"}]}"#;
        assert_eq!(with_batch_id("p\"", json), r#"{"batch_id":"p\"","process_id":"p\"","events":[{"ID":"1"}]}"#);
        for empty in ["{}", "[]", "{ }"] {
            assert_eq!(with_batch_id("", empty), r#"{"batch_id":"","process_id":null,"events":[]}"#);
        }
    }

    #[test]
    fn times_of_any_size_are_taken() {
        use std::time::Duration;
        assert_eq!(timeout(0), Timeout::After(Duration::ZERO));
        assert_eq!(timeout(-1), Timeout::Never);
        assert_eq!(timeout(i64::MIN), Timeout::Never);
        assert_eq!(timeout(i64::MAX), Timeout::After(Duration::from_millis(i32::MAX as u64)));
    }
}
