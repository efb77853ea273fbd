//! Whether the application can receive events at all, before anybody waits for them, and which it has bound (`app.info`,
//! `profile`, `scope`, `event.get`; docs/protocol.md §2.1).

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::batch_call::{BatchResults, command};
use super::call::{Portal, Repeat};
use super::offline_events::Binding;
use super::{php, refusal};
use crate::clock::Deadline;
use crate::error::{Error, Result};

/// `app.info`.
#[derive(Deserialize)]
pub(super) struct Application {
    #[serde(rename = "INSTALLED", default = "yes")]
    pub(super) installed: bool,
    #[serde(rename = "PAYMENT_EXPIRED", default, deserialize_with = "php::text")]
    payment_expired: String,
    #[serde(rename = "LICENSE", default, deserialize_with = "php::text")]
    pub(super) license: String,
}

impl Application {
    pub(super) fn is_payment_expired(&self) -> bool {
        self.payment_expired.eq_ignore_ascii_case("Y")
    }
}

/// `profile`.
#[derive(Deserialize)]
pub(super) struct Profile {
    #[serde(rename = "ADMIN")]
    pub(super) admin: bool,
}

fn yes() -> bool {
    true
}

/// What the portal tells about the application.
pub struct SelfCheck {
    /// What would keep events from coming.
    pub obstacle: Option<Error>,
    /// What is bound; `None`: the portal did not tell.
    pub bindings: Option<Vec<Binding>>,
}

impl Portal {
    /// Checks the application with one request. `needs_pull`: the application listens to the push server.
    pub fn check_application(&self, needs_pull: bool, deadline: Deadline) -> Result<SelfCheck> {
        let commands = json!({
            "application": command("app.info", &json!({})),
            "profile": command("profile", &json!({})),
            "scope": command("scope", &json!({})),
            "bindings": command("event.get", &json!({})),
        });
        let results = self.run_batch_until(&commands, false, Repeat::No, deadline)?;
        let bindings = read(&results, "bindings");
        Ok(SelfCheck { obstacle: obstacle(&results, needs_pull), bindings })
    }
}

/// The error that the host has to learn of, if there is one. What the portal does not tell is no obstacle.
fn obstacle(results: &BatchResults, needs_pull: bool) -> Option<Error> {
    let application = read::<Application>(results, "application");
    let has_pull = |scopes: &Vec<String>| scopes.iter().any(|scope| scope.eq_ignore_ascii_case("pull"));
    let (code, what) = if application.as_ref().is_some_and(|application| !application.installed) {
        (refusal::NOT_INSTALLED, "the application's installation is not finished")
    } else if application.as_ref().is_some_and(Application::is_payment_expired) {
        ("PAYMENT_REQUIRED", "the application is not paid for")
    } else if read::<Profile>(results, "profile").is_some_and(|profile| !profile.admin) {
        ("ACCESS_DENIED", "the token belongs to a user who is not an administrator")
    } else if needs_pull && read::<Vec<String>>(results, "scope").is_some_and(|scopes| !has_pull(&scopes)) {
        ("insufficient_scope", "the application does not have the scope pull, which the push server needs")
    } else {
        return None;
    };
    Some(refusal::foreseen(code, what))
}

fn read<T: DeserializeOwned>(results: &BatchResults, name: &str) -> Option<T> {
    serde_json::from_str(results.result.get(name)?.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code of the obstacle in these results.
    fn code(application: &str, profile: &str, scope: &str, needs_pull: bool) -> String {
        let json = format!(r#"{{"result":{{"application":{application},"profile":{profile},"scope":{scope}}}}}"#);
        let error = obstacle(&serde_json::from_str(&json).unwrap(), needs_pull);
        error.map(|error| error.code().to_owned()).unwrap_or_default()
    }

    #[test]
    fn each_obstacle_has_its_code() {
        const FINE: &str = r#"{"INSTALLED":true,"PAYMENT_EXPIRED":"N","CODE":"local.1"}"#;
        const ADMIN: &str = r#"{"ID":"1","ADMIN":true}"#;
        const SCOPES: &str = r#"["crm","pull"]"#;
        assert_eq!(code(FINE, ADMIN, SCOPES, true), "");
        assert_eq!(code(r#"{"INSTALLED":false}"#, ADMIN, SCOPES, true), refusal::NOT_INSTALLED);
        assert_eq!(code(r#"{"INSTALLED":true,"PAYMENT_EXPIRED":"Y"}"#, ADMIN, SCOPES, true), "PAYMENT_REQUIRED");
        assert_eq!(code(FINE, r#"{"ID":"7","ADMIN":false}"#, SCOPES, true), "ACCESS_DENIED");
        assert_eq!(code(FINE, ADMIN, r#"["crm"]"#, true), "insufficient_scope");
        assert_eq!(code(FINE, ADMIN, r#"["crm"]"#, false), "", "the handler needs no scope");
    }

    #[test]
    fn what_the_portal_does_not_tell_is_no_obstacle() {
        assert_eq!(code("{}", "{}", "{}", true), "");
        assert_eq!(code("null", "[]", "null", true), "");
        assert!(obstacle(&serde_json::from_str(r#"{"result":[],"result_error":[]}"#).unwrap(), true).is_none());
    }
}
