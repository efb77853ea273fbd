//! Binds and unbinds several events in one request (docs/protocol.md §2.1).

use serde_json::{Map, Value};

use super::batch_call::command;
use super::call::{Portal, Repeat};
use super::offline_events::is_already_bound;
use crate::error::{Error, Result};

/// The maximum number of calls in one batch.
const MAX_CALLS: usize = 50;

/// An `event.bind` or `event.unbind`.
pub struct BindingChange {
    method: &'static str,
    params: Value,
}

impl BindingChange {
    /// `event.bind` with these parameters.
    pub fn bind(params: Value) -> BindingChange {
        BindingChange { method: "event.bind", params }
    }

    /// `event.unbind` with these parameters.
    pub fn unbind(params: Value) -> BindingChange {
        BindingChange { method: "event.unbind", params }
    }

    /// The event.
    pub fn event(&self) -> &str {
        self.params.get("event").and_then(Value::as_str).unwrap_or_default()
    }
}

impl Portal {
    /// Makes the changes, in this order and one right after the other, so that nothing is unbound for longer than it
    /// takes. A change that fails is repeated alone, as another client may be binding the same at this moment. Returns
    /// those that fail nevertheless. Binding what is bound is no failure. Blocks for a REST call and the repetitions.
    pub fn change_bindings<'a>(&self, changes: &'a [BindingChange]) -> Result<Vec<(&'a BindingChange, Error)>> {
        let mut failures = Vec::new();
        for changes in changes.chunks(MAX_CALLS) {
            // The portal runs commands in the order of their names.
            let named: Vec<_> =
                changes.iter().enumerate().map(|(index, change)| (format!("c{index:02}"), change)).collect();
            let commands: Map<String, Value> = named
                .iter()
                .map(|(name, change)| (name.clone(), command(change.method, &change.params).into()))
                .collect();
            let results = self.run_batch(&Value::Object(commands), false, Repeat::Yes)?;
            for (name, change) in named {
                if results.error(&name).is_none_or(|error| is_bound(&error)) {
                    continue;
                }
                match self.call(change.method, &change.params, Repeat::Yes) {
                    Err(error) if !is_bound(&error) => failures.push((change, error)),
                    _ => {}
                }
            }
        }
        Ok(failures)
    }
}

fn is_bound(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if is_already_bound(&refusal.code, &refusal.text))
}
