//! A call of the portal as it stands in its body, not believed yet.

use serde::Deserialize;
use serde_json::Value;

use crate::portal::php;
use crate::secret::Secret;
use crate::state::tokens::TokenPair;

/// What the body says.
#[derive(Deserialize)]
pub struct Call {
    #[serde(deserialize_with = "php::text")]
    event: String,
    /// When the portal made the call, seconds since 1970; 0 when it does not say.
    #[serde(default, deserialize_with = "php::number")]
    pub ts: u64,
    /// Who calls, and tokens.
    #[serde(default, deserialize_with = "php::map")]
    pub auth: Auth,
}

/// The part `auth`.
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
    /// The portal's lasting id.
    #[serde(deserialize_with = "php::text")]
    pub member_id: String,
    #[serde(deserialize_with = "php::text")]
    application_token: String,
}

impl Call {
    /// `None` when it is no call of a portal at all.
    pub fn parse(tree: Value) -> Option<Call> {
        // serde's text could quote a token.
        serde_json::from_value::<Call>(tree).ok().filter(|call| !call.event.is_empty())
    }

    /// The event's name in capitals.
    pub fn event(&self) -> String {
        self.event.to_ascii_uppercase()
    }
}

impl Auth {
    /// What is to prove the sender.
    pub fn application_token(&self) -> Secret {
        Secret::new(self.application_token.as_str())
    }

    /// The tokens, if there are any. `now`: seconds since 1970. `is_portal`: an address of somebody else is not followed.
    pub fn tokens(&self, now: u64, is_portal: impl Fn(&str) -> bool) -> Option<TokenPair> {
        let endpoint = Some(self.client_endpoint.as_str()).filter(|endpoint| is_portal(endpoint)).unwrap_or_default();
        (!self.access_token.is_empty()).then(|| TokenPair {
            access: Secret::new(self.access_token.as_str()),
            refresh: Secret::new(self.refresh_token.as_str()),
            // By our own clock, as for every pair.
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
    fn a_call_is_read_as_php_spells_it() {
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
    fn what_is_no_call_is_none() {
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
