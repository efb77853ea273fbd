//! The parameters of a REST call, and the body that is made from them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// The parameters of a call. Each value keeps the caller's spelling.
pub(super) struct Params<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Params<'a> {
    /// Reads a JSON object, or nothing.
    pub(super) fn parse(method: &str, json: &'a str) -> Result<Params<'a>> {
        // 1C and PHP write an empty map as a list.
        if matches!(json.trim(), "" | "[]" | "null") {
            return Ok(Params(BTreeMap::new()));
        }
        let map: BTreeMap<String, &RawValue> = serde_json::from_str(json).map_err(|error| {
            Error::InvalidArgument(format!("the parameters of {method} must be a JSON object: {error}"))
        })?;
        if map.keys().any(|name| name.eq_ignore_ascii_case("auth")) {
            return Err(Error::InvalidArgument("the library adds the parameter auth; leave it out".into()));
        }
        Ok(Params(map))
    }

    /// The body of the request. A connector id from the caller takes precedence over the configured one.
    pub(super) fn body(&self, token: &Secret, connector_id: &str) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            auth: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            auth_connector: Option<&'a str>,
            #[serde(flatten)]
            params: &'a BTreeMap<String, &'a RawValue>,
        }
        // PHP ignores other spellings of this name.
        let has_own = self.0.contains_key("auth_connector");
        let auth_connector = Some(connector_id).filter(|id| !id.is_empty() && !has_own);
        let body = Body { auth: token.expose(), auth_connector, params: &self.0 };
        // Texts, and values that were parsed from JSON: writing them as JSON cannot fail.
        serde_json::to_string(&body).unwrap_or_default()
    }
}

/// The method's name becomes part of the address, so it must not contain characters with a meaning there.
pub(super) fn check_method(method: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if method.is_empty() || method.len() > 200 || !method.chars().all(allowed) || method.starts_with('.') {
        return Err(Error::InvalidArgument(
            "a method's name consists of letters, digits, dots, hyphens and underscores, such as crm.deal.get".into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_starts_with_token_and_connector_id() {
        let json = r#"{"id": 1.50, "fields":{ "TITLE":"\u2116 \"1\"" ,"TITLE":1e2}}"#;
        let params = Params::parse("m", json).unwrap();
        let body = params.body(&Secret::new("t\"k"), "OneC");
        assert_eq!(
            body,
            r#"{"auth":"t\"k","auth_connector":"OneC","fields":{ "TITLE":"\u2116 \"1\"" ,"TITLE":1e2},"id":1.50}"#
        );
        let repeated = Params::parse("m", r#"{"id":1,"id":2}"#).unwrap();
        assert_eq!(repeated.body(&Secret::new("t"), ""), r#"{"auth":"t","id":2}"#, "as PHP reads it");
    }

    #[test]
    fn a_connector_id_of_the_caller_counts_only_if_the_portal_reads_it() {
        let body = |params: &str| Params::parse("m", params).unwrap().body(&Secret::new("t"), "OneC");
        assert_eq!(body(r#"{"auth_connector":"other"}"#), r#"{"auth":"t","auth_connector":"other"}"#);
        assert_eq!(body(r#"{"auth_connector":""}"#), r#"{"auth":"t","auth_connector":""}"#);
        let ignored = r#"{"auth":"t","auth_connector":"OneC","AUTH_CONNECTOR":"other"}"#;
        assert_eq!(body(r#"{"AUTH_CONNECTOR":"other"}"#), ignored, "the portal does not look at it");
    }

    #[test]
    fn parameters_are_an_object_or_empty() {
        for empty in ["", "[]", " {} ", "null"] {
            let params = Params::parse("m", empty).unwrap();
            assert_eq!(params.body(&Secret::new("t"), ""), r#"{"auth":"t"}"#, "{empty}");
        }
        for invalid in ["[1]", "1", "\"x\"", "{", r#"{"Auth":"x"}"#] {
            assert!(matches!(Params::parse("m", invalid), Err(Error::InvalidArgument(_))), "{invalid}");
        }
    }

    #[test]
    fn a_method_name_cannot_change_the_address() {
        for invalid in ["", "../x", "a/b", "a?b", "a b", "a#b", "метод", ".x", "a%2f"] {
            assert!(check_method(invalid).is_err(), "{invalid}");
        }
        check_method("crm.deal.get").unwrap();
        check_method("event.offline.get").unwrap();
    }
}
