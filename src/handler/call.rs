//! A call of the portal as its body states it. Nothing is verified yet.

use serde::Deserialize;
use serde_json::Value;

use crate::portal::php;
use crate::secret::Secret;
use crate::state::tokens::TokenPair;

/// The body of a call.
#[derive(Deserialize)]
pub struct Call {
    #[serde(deserialize_with = "php::text")]
    event: String,
    /// When the portal made the call, seconds since 1970; 0 if not stated.
    #[serde(default, deserialize_with = "php::number")]
    pub ts: u64,
    /// The sender and its tokens.
    #[serde(default, deserialize_with = "php::map")]
    pub auth: Auth,
}

/// The field `auth`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Auth {
    #[serde(deserialize_with = "php::text")]
    access_token: String,
    #[serde(deserialize_with = "php::text")]
    refresh_token: String,
    #[serde(deserialize_with = "php::number")]
    expires_in: u64,
    #[serde(deserialize_with = "php::text")]
    client_endpoint: String,
    /// Host and port of the portal.
    #[serde(deserialize_with = "php::text")]
    pub domain: String,
    /// The portal's permanent id.
    #[serde(deserialize_with = "php::text")]
    pub member_id: String,
    #[serde(deserialize_with = "php::text")]
    application_token: String,
}

impl Call {
    /// Reads a decoded body; `None` if it is not a call of a portal.
    pub fn parse(tree: Value) -> Option<Call> {
        // serde's error is dropped, because its text could quote a token.
        serde_json::from_value::<Call>(tree).ok().filter(|call| !call.event.is_empty())
    }

    /// The event's name in capitals.
    pub fn event(&self) -> String {
        self.event.to_ascii_uppercase()
    }
}

impl Auth {
    /// The token that proves the sender.
    pub fn application_token(&self) -> Secret {
        Secret::new(self.application_token.as_str())
    }

    /// The tokens, if there are any. `now`: seconds since 1970. `is_portal`: whether an address is the portal's; others
    /// are ignored.
    pub fn tokens(&self, now: u64, is_portal: impl Fn(&str) -> bool) -> Option<TokenPair> {
        let endpoint = Some(self.client_endpoint.as_str()).filter(|endpoint| is_portal(endpoint)).unwrap_or_default();
        (!self.access_token.is_empty()).then(|| TokenPair {
            access: Secret::new(self.access_token.as_str()),
            refresh: Secret::new(self.refresh_token.as_str()),
            // By our own clock, like the expiry of every pair.
            expires: if self.expires_in == 0 { 0 } else { now.saturating_add(self.expires_in) },
            lifetime: self.expires_in,
            client_endpoint: endpoint.to_owned(),
            member_id: self.member_id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_call_is_read_as_php_writes_it() {
        let call = Call::parse(json!({
            "event": "OnOfflineEvent", "data": "", "ts": "1466439714",
            "auth": {"access_token": "a", "expires_in": "3600", "domain": "my.bitrix24.ru", "member_id": "m",
                     "client_endpoint": "https://evil.example/rest/", "application_token": "t"},
        }))
        .unwrap();
        assert_eq!((call.event().as_str(), call.ts), ("ONOFFLINEEVENT", 1466439714));
        assert_eq!((call.auth.domain.as_str(), call.auth.member_id.as_str()), ("my.bitrix24.ru", "m"));
        assert_eq!(call.auth.application_token().expose(), "t");
        let pair = call.auth.tokens(100, |_| false).unwrap();
        assert_eq!((pair.access.expose(), pair.refresh.expose(), pair.expires), ("a", "", 3700));
        assert_eq!(pair.client_endpoint, "");
        assert_eq!(call.auth.tokens(100, |_| true).unwrap().client_endpoint, "https://evil.example/rest/");
    }

    #[test]
    fn bodies_without_an_event_are_not_calls() {
        for other in [json!({}), json!({"event": ""}), json!({"event": {}}), json!({"event": "X", "auth": "x"})] {
            assert!(Call::parse(other.clone()).is_none(), "{other}");
        }
        for bare in [json!({"event": "X"}), json!({"event": "X", "auth": []}), json!({"event": "X", "ts": {}, "a": 1})]
        {
            let call = Call::parse(bare.clone());
            assert_eq!(call.is_some(), bare["ts"].is_null(), "{bare}");
            assert!(call.is_none_or(|call| call.auth.tokens(0, |_| true).is_none()));
        }
    }
}
