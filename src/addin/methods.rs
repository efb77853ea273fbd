//! What the methods and properties of the class do. Both matches are exhaustive: a method of the table that does
//! nothing does not compile.

use std::ffi::c_long;
use std::sync::Arc;

use super::arguments::{Arguments, accept};
use super::class::{ALL, METHODS, Method, MethodId, PROPERTIES, ParamType, Property, PropertyId};
use super::component::Component;
use super::error::AddinError;
use super::json;
use super::session::{ClientCall, Session};
use super::value::Value;
use crate::client::Client;
use crate::clock::Timeout;
use crate::delivery::Batch;

/// What a method returns.
pub(super) struct Outcome {
    pub(super) value: Value,
    /// The batch that the method opened, if any. 1C has to get its id, or nobody can acknowledge it.
    pub(super) batch_id: Option<String>,
}

impl Outcome {
    fn text(text: String) -> Outcome {
        Value::Text(text).into()
    }
}

impl From<Value> for Outcome {
    fn from(value: Value) -> Outcome {
        Outcome { value, batch_id: None }
    }
}

/// The method with this number, if there is one.
pub(super) fn method(number: c_long) -> Option<&'static Method> {
    METHODS.get(usize::try_from(number).ok()?)
}

/// The property with this number, if there is one.
pub(super) fn property(number: c_long) -> Option<&'static Property> {
    PROPERTIES.get(usize::try_from(number).ok()?)
}

/// Calls a method with values as the platform passed them.
pub(super) fn call(component: &Component, method: &'static Method, values: Vec<Value>) -> Result<Outcome, AddinError> {
    let mut args = Arguments::check(method, values)?;
    let (session, platform) = (&component.session, &component.platform);
    match method.id {
        MethodId::SetParameter => session.set_parameter(&args.text(0), &args.text(1))?,
        MethodId::GetParameter => return Ok(Outcome::text(session.parameter(&args.text(0))?)),
        MethodId::Connect => session.connect(timeout(args.integer(0)), platform)?,
        MethodId::BindEvent => session.client()?.bind_event(&args.text(0))?,
        MethodId::UnbindEvent => session.client()?.unbind_event(&args.text(0))?,
        MethodId::WaitEvent => return wait_event(session, timeout(args.integer(0))),
        MethodId::Fetch => return fetch(session, args.unsigned(0), Client::fetch),
        MethodId::FetchFailed => return fetch(session, args.unsigned(0), Client::fetch_failed),
        MethodId::NextBatch => return next_batch(session, timeout(args.integer(0))),
        MethodId::Acknowledge => acknowledge(session, &args.text(0), &args.text(1))?,
        MethodId::MarkFailed => mark_failed(session, &args.text(0), &args.text(1))?,
        MethodId::GetObjects => return objects(session, &args.text(0)),
        MethodId::FindLost => {
            let found = session.client()?.recover()?;
            return Ok(Value::Integer(i64::try_from(found).unwrap_or(i64::MAX)).into());
        }
        MethodId::CallMethod => {
            return Ok(Outcome::text(session.client()?.call(&args.text(0), &args.text(1))?));
        }
        MethodId::CallMethods => return Ok(Outcome::text(session.client()?.call_batch(&args.text(0), false)?)),
        MethodId::Authorize => session.client()?.authorize(&args.text(0))?,
        MethodId::SetTokens => {
            let expires = args.unsigned(2);
            session.client()?.set_tokens(&args.text(0), &args.text(1), expires.into())?;
        }
        MethodId::BindHandler => {
            let min_pause = args.unsigned(1);
            session.client()?.bind_handler(&args.text(0), min_pause)?;
        }
        MethodId::UnbindHandler => {
            let url = args.text(0);
            session.client()?.unbind_handler(Some(url.as_str()).filter(|url| *url != ALL))?;
        }
        MethodId::AcceptHandlerCall => {
            let status = session.client()?.accept_handler_call(&args.bytes(0), "")?;
            return Ok(Value::Integer(status.into()).into());
        }
        MethodId::EnableNotifications => session.enable_notifications(platform)?,
        MethodId::DisableNotifications => session.disable_notifications(),
        MethodId::Diagnose => return Ok(Outcome::text(session.client()?.diagnose(timeout(args.integer(0)))?)),
        MethodId::Disconnect => session.disconnect(),
    }
    Ok(Value::Empty.into())
}

/// Reads a property. This works in every phase of the object, and leaves `LastError` alone.
pub(super) fn get(component: &Component, number: c_long) -> Result<Value, AddinError> {
    let (session, platform) = (&component.session, &component.platform);
    Ok(match property(number).ok_or(AddinError::NoProperty(number))?.id {
        PropertyId::Version => Value::Text(env!("CARGO_PKG_VERSION").into()),
        PropertyId::Connected => Value::Boolean(session.is_connected()),
        PropertyId::State => Value::Text(session.state()),
        PropertyId::Statistics => Value::Text(session.statistics()),
        PropertyId::AuthorizationAddress => Value::Text(session.authorization_address()?),
        PropertyId::LastError => Value::Text(platform.last_error().text),
        PropertyId::LastErrorCode => Value::Text(platform.last_error().code),
        PropertyId::IsTransient => Value::Boolean(platform.last_error().is_transient),
    })
}

/// Writes a property.
pub(super) fn set(component: &Component, number: c_long, value: Value) -> Result<(), AddinError> {
    let property = property(number).ok_or(AddinError::NoProperty(number))?;
    match property.id {
        PropertyId::State => match accept(ParamType::Text, value) {
            Ok(Value::Text(text)) => set_state(&component.session, text),
            Ok(found) | Err(found) => Err(AddinError::WrongPropertyType { property, found }),
        },
        _ => Err(AddinError::NotWritable(property)),
    }
}

fn set_state(session: &Session, text: String) -> Result<(), AddinError> {
    if !text.is_empty() && serde_json::from_str::<serde_json::Map<_, _>>(&text).is_err() {
        return Err(AddinError::InvalidState);
    }
    session.set_state(text);
    Ok(())
}

fn wait_event(session: &Session, timeout: Timeout) -> Result<Outcome, AddinError> {
    let client = session.connected_client()?;
    let notification = client.wait(timeout)?;
    let text = notification.map(|notification| json::notification(client.connector_id(), notification));
    Ok(Outcome::text(text.unwrap_or_default()))
}

fn fetch(
    session: &Session,
    limit: u32,
    fetch: fn(&Client, u32) -> crate::error::Result<Batch>,
) -> Result<Outcome, AddinError> {
    session.check_batch_limit()?;
    let client = session.client()?;
    let batch = fetch(&client, limit)?;
    if batch.is_empty() { Ok(Outcome::text(json::empty_batch())) } else { open_batch(session, &client, batch) }
}

fn next_batch(session: &Session, timeout: Timeout) -> Result<Outcome, AddinError> {
    session.check_batch_limit()?;
    let client = session.connected_client()?;
    match client.next(timeout)? {
        Some(batch) => open_batch(session, &client, batch),
        None => Ok(Outcome::text(String::new())),
    }
}

fn open_batch(session: &Session, client: &ClientCall, batch: Batch) -> Result<Outcome, AddinError> {
    let batch = Arc::new(batch);
    let id = session.open_batch(client, batch.clone())?;
    let text = json::batch(&id, batch.json());
    // The session has to be its only owner.
    drop(batch);
    // Nobody would know the id of a batch whose text cannot be written.
    let text = text.inspect_err(|_| session.return_batch(&id))?;
    Ok(Outcome { value: Value::Text(text), batch_id: Some(id) })
}

fn acknowledge(session: &Session, batch_id: &str, message_ids: &str) -> Result<(), AddinError> {
    match message_ids.trim() {
        ALL => update_batch(session, batch_id, |batch| Ok(batch.acknowledge()?)),
        list => {
            let ids = read_message_ids(list)?;
            update_batch(session, batch_id, |batch| Ok(batch.acknowledge_records(&borrowed(&ids))?))
        }
    }
}

fn mark_failed(session: &Session, batch_id: &str, message_ids: &str) -> Result<(), AddinError> {
    let ids = read_message_ids(message_ids)?;
    update_batch(session, batch_id, |batch| Ok(batch.fail_records(&borrowed(&ids))?))
}

fn objects(session: &Session, batch_id: &str) -> Result<Outcome, AddinError> {
    if batch_id.is_empty() {
        return Ok(Outcome::text("{}".into()));
    }
    let batch = session.batch(batch_id)?;
    Ok(Outcome::text(batch.objects(batch.json())?))
}

/// An empty `batch_id` is that of an empty batch: a loop need not check whether there were records.
fn update_batch(
    session: &Session,
    batch_id: &str,
    update: impl FnOnce(&Batch) -> Result<(), AddinError>,
) -> Result<(), AddinError> {
    if batch_id.is_empty() { Ok(()) } else { session.update_batch(batch_id, update) }
}

/// Negative milliseconds mean without a limit.
fn timeout(millis: i64) -> Timeout {
    Timeout::from_millis(i32::try_from(millis).unwrap_or(if millis < 0 { -1 } else { i32::MAX }))
}

/// Reads a JSON array of strings, or ids separated by commas, semicolons or white space.
fn read_message_ids(list: &str) -> Result<Vec<String>, AddinError> {
    if list.trim_start().starts_with('[') {
        return serde_json::from_str(list).map_err(|_| AddinError::InvalidMessageIds);
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
            assert_eq!(read_message_ids(list).unwrap(), ["a", "b"], "{list:?}");
        }
        for list in ["", " \n", "[]"] {
            assert!(read_message_ids(list).unwrap().is_empty(), "{list:?}");
        }
        assert!(read_message_ids("[1]").is_err() && read_message_ids("[\"a\"").is_err());
    }

    #[test]
    fn timeouts_of_any_size_are_accepted() {
        use std::time::Duration;
        assert_eq!(timeout(0), Timeout::After(Duration::ZERO));
        assert_eq!(timeout(-1), Timeout::Never);
        assert_eq!(timeout(i64::MIN), Timeout::Never);
        assert_eq!(timeout(i64::MAX), Timeout::After(Duration::from_millis(i32::MAX as u64)));
    }

    #[test]
    fn only_properties_that_the_table_calls_writable_can_be_written() {
        let component = Component::default();
        for (number, property) in PROPERTIES.iter().enumerate() {
            let written = set(&component, number as c_long, Value::Text(String::new()));
            assert_eq!(written.is_ok(), property.is_writable, "{}", property.english);
        }
    }
}
