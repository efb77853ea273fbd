//! Finds out whose a token from outside is (docs/protocol.md §2.1, §4).

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::answer::{Answer, unexpected_result};
use super::batch_call::{BatchResults, command};
use super::call::Portal;
use super::php;
use crate::config::Address;
use crate::error::Result;
use crate::secret::{self, Secret};

/// While the portal installs an application, it waits for the handler; a later answer would be too late.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the portal says about a token.
pub struct TokenOwner {
    /// The application's code: the `client_id` of a local application, another name for one of the Marketplace.
    pub code: String,
    /// Whether its user is an administrator.
    pub is_admin: bool,
}

/// What the authorization server says about a token.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Registration {
    /// The application.
    #[serde(deserialize_with = "php::text")]
    pub client_id: String,
    #[serde(deserialize_with = "php::map")]
    install: Install,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Install {
    #[serde(deserialize_with = "php::text")]
    member_id: String,
}

impl Registration {
    /// The portal on which the application is installed.
    pub fn member_id(&self) -> &str {
        &self.install.member_id
    }
}

impl Portal {
    /// Asks the portal for the application and the user of a token: `app.info` and `profile`, in one request.
    pub fn owner_of(&self, access: &Secret) -> Result<TokenOwner> {
        #[derive(Deserialize, Default)]
        struct Application {
            #[serde(rename = "CODE", default, deserialize_with = "php::text")]
            code: String,
        }
        #[derive(Deserialize, Default)]
        struct Profile {
            #[serde(rename = "ADMIN", default, deserialize_with = "php::text")]
            admin: String,
        }
        let calls = json!({"app": command("app.info", &json!({})), "user": command("profile", &json!({}))});
        let params = json!({"halt": 1, "cmd": calls}).to_string();
        let answer = self.call_with_token(access, "batch", &params, TIMEOUT)?;
        let results: BatchResults = read("batch", answer.result())?;
        let application: Application = result(&results, "app", "app.info")?;
        let profile: Profile = result(&results, "user", "profile")?;
        Ok(TokenOwner { code: application.code, is_admin: matches!(profile.admin.as_str(), "1" | "Y" | "true") })
    }

    /// Asks the authorization server for the application and the portal of a token. Its `app.info` is another method
    /// than the portal's, and the one that the vendor's own SDK trusts.
    pub fn registration_of(&self, auth_server: &Address, access: &Secret) -> Result<Registration> {
        let url = format!("{}/rest/app.info", auth_server.origin());
        let response = self.post_form(&url, &[("auth", access.expose())], TIMEOUT)?;
        let redact = |text: &str| secret::redact(text, &[access], |_| false);
        let answer = Answer::read("app.info", response.status, response.body, redact)?;
        read("app.info", answer.result())
    }
}

fn result<T: DeserializeOwned + Default>(results: &BatchResults, name: &str, method: &str) -> Result<T> {
    match (results.error(name), results.result.get(name)) {
        (Some(error), _) => Err(error),
        (None, Some(json)) => read(method, json.get()),
        (None, None) => Ok(T::default()),
    }
}

fn read<T: DeserializeOwned>(method: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| unexpected_result(method, &error))
}
