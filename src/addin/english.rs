//! The texts of [`AddinError`] in English.

use super::class::ParamType;
use super::error::{AddinError, Hint};
use super::value::{MAX_LENGTH, Value};
use crate::error::Error;

/// What happened and what to do.
pub(super) fn text(error: &AddinError) -> String {
    match error {
        AddinError::Core(error) => core(error),
        AddinError::WrongType { method, param, found } => {
            format!("{}: {} must be {}, not {}", method.english, param.english, param_type(param.accepts), value(found))
        }
        AddinError::MissingParam { method, param } => {
            format!("{}: {} is missing; it must be {}", method.english, param.english, param_type(param.accepts))
        }
        AddinError::UndefinedForAll { method, param } => {
            format!("{}: {} is Undefined; pass a value, or \"*\" for all", method.english, param.english)
        }
        AddinError::WrongCount { method, given } => {
            format!("{} takes {} parameters, not {given}", method.english, method.params.len())
        }
        AddinError::WrongPropertyType { property, found } => {
            format!("{} must be a string, not {}", property.english, value(found))
        }
        AddinError::NotWritable(property) => format!("{} is read-only", property.english),
        AddinError::NoMethod(number) => format!("B24Events has no method number {number}"),
        AddinError::NoProperty(number) => format!("B24Events has no property number {number}"),
        AddinError::NoMemory => "the platform allocated no memory for the result: either it has none left, or \
                                 setMemManager was not called"
            .into(),
        AddinError::InitFailed => {
            "the object was not initialized, because Init got no connection to 1C; create a new object".into()
        }
        AddinError::Done => "Done has ended this object; create a new one".into(),
        AddinError::NotConnected => "not connected; call Connect first".into(),
        AddinError::Disconnected => "Disconnect, or Connect with new parameters, closed the connection during this \
                                     call; call Connect to continue"
            .into(),
        AddinError::NoBatch(id) => format!(
            "no batch {id:.64} is open; pass the batch_id that NextBatch or Fetch returned. A batch is closed when all \
             its records are acknowledged or marked as failed, and by Disconnect; records that were left in it are \
             redelivered"
        ),
        AddinError::TooManyBatches(max) => {
            format!("{max} batches are open; call Acknowledge or MarkFailed for those that you have finished")
        }
        AddinError::InvalidMessageIds => {
            "MessageIds must be MESSAGE_ID values separated by commas or line breaks, or a \
                                          JSON array of strings"
                .into()
        }
        AddinError::InvalidState => {
            "State must be a value that State returned earlier (a JSON object), or an empty string".into()
        }
        AddinError::NoExternalEvents => "external events need a client application of 1C that has initialized the \
                                         object; on the server, use NextBatch in a background job"
            .into(),
    }
}

fn core(error: &Error) -> String {
    match Hint::of(error) {
        Some(Hint::SetTokens) => format!("{error} (call SetTokens)"),
        Some(Hint::Reconnect) => format!("{error} (call Disconnect, then Connect)"),
        None => error.to_string(),
    }
}

fn param_type(param_type: ParamType) -> String {
    match param_type {
        ParamType::Text => "a string".into(),
        ParamType::Bytes => "a string or binary data".into(),
        ParamType::Integer => "a whole number".into(),
        ParamType::Unsigned(max) => format!("a whole number from 0 to {max}"),
        ParamType::Scalar => "a string, a whole number or a boolean".into(),
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Empty => "Undefined".into(),
        Value::Boolean(_) => "a boolean".into(),
        Value::Integer(number) => format!("the number {number}"),
        Value::Real(number) => format!("the number {number}"),
        Value::Text(_) => "a string".into(),
        Value::Blob(_) => "binary data that is not UTF-8".into(),
        Value::Date(_) => "a date; for a time, pass ToUniversalTime(Date) - Date(1970, 1, 1)".into(),
        Value::Damaged => "a damaged string (half a surrogate pair, or no characters behind a length)".into(),
        Value::TooLong => format!("longer than {MAX_LENGTH} characters or bytes"),
        Value::InvalidDate => "a date that no calendar has".into(),
        Value::Other(kind) => format!("a value of type {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addin::class::METHODS;
    use crate::portal::refusal::to_error;

    #[test]
    fn hints_name_methods_of_the_class() {
        for (code, names) in
            [("expired_token", &["SetTokens"][..]), ("APPLICATION_UNINSTALLED", &["Disconnect", "Connect"])]
        {
            let text = "the portal refused".to_owned();
            let text = core(&to_error(401, code, &text));
            assert!(text.contains("the portal refused"), "{text}");
            for name in names {
                assert!(text.contains(name) && METHODS.iter().any(|method| method.english == *name), "{text}");
            }
        }
    }
}
