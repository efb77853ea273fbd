//! What this door adds to the texts of the core: the function to call next.

use crate::error::Error;

/// The text of an error as C reads it.
pub(super) fn message(error: &Error) -> String {
    match hint(error) {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}

fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::NotConnected => Some("b24_client_connect"),
        Error::HostMustRenew => Some("b24_client_set_tokens"),
        Error::Closed => Some("b24_client_new"),
        Error::Refused(refusal) if refusal.code == "APPLICATION_UNINSTALLED" => Some("b24_client_free, b24_client_new"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_the_function_to_call() {
        assert_eq!(message(&Error::NotConnected), "the client is not connected; connect it first (b24_client_connect)");
        assert!(message(&Error::HostMustRenew).ends_with("set the new pair (b24_client_set_tokens)"));
        assert_eq!(message(&Error::State("as it is".into())), "as it is");
    }
}
