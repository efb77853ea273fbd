//! Everything about the application that the portal tells, in one request that changes nothing.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::unexpected_result;
use super::batch_call::{BatchResults, command};
use super::call::{Portal, Repeat};
use super::offline_events::Binding;
use super::self_check::{Application, Profile};
use crate::clock::Deadline;
use crate::error::{Error, Result};

/// How many records of a queue are in which condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLength {
    /// The next fetch gets them.
    pub free: u64,
    /// Handed out and not acknowledged.
    pub reserved: u64,
    /// Marked as failed.
    pub failed: u64,
}

/// What the portal tells of the application; each part may be refused alone.
#[derive(Debug)]
pub struct Survey {
    /// `app.info`: whether the installation is finished.
    pub installed: Result<bool>,
    /// `app.info`: whether the application has to be paid for.
    pub payment_expired: Result<bool>,
    /// `app.info`: the plan, as the portal names it; empty if it does not.
    pub license: String,
    /// `profile`: whether the token belongs to an administrator.
    pub administrator: Result<bool>,
    /// `scope`: what the application may do.
    pub scopes: Result<Vec<String>>,
    /// `feature.get`: whether the plan has reservations.
    pub reservations: Result<bool>,
    /// `feature.get`: whether the plan has queues with a connector id.
    pub connectors: Result<bool>,
    /// `event.get`.
    pub bindings: Result<Vec<Binding>>,
    /// `event.offline.list`.
    pub queue: Result<QueueLength>,
    /// `pull.application.config.get`, as JSON. Holds the ids of channels, which are secrets.
    pub push_config: Result<String>,
}

impl Portal {
    /// Asks for everything that [`Survey`] has. Fails if the portal does not carry out the request as a whole.
    pub fn survey(&self, with_push_config: bool, deadline: Deadline) -> Result<Survey> {
        let mut commands = json!({
            "application": command("app.info", &json!({})),
            "profile": command("profile", &json!({})),
            "scope": command("scope", &json!({})),
            "reservations": command("feature.get", &json!({"CODE": "rest_offline_extended"})),
            "connectors": command("feature.get", &json!({"CODE": "rest_auth_connector"})),
            "bindings": command("event.get", &json!({})),
            "all": command("event.offline.list", &json!({})),
            "reserved": command("event.offline.list", &json!({"filter": {">PROCESS_ID": "", "ERROR": 0}})),
            "failed": command("event.offline.list", &json!({"filter": {"ERROR": 1}})),
        });
        if with_push_config {
            // As a client asks that connects: the channels that other connections listen to stay as they are.
            commands["push"] = command("pull.application.config.get", &json!({"CACHE": "Y", "REOPEN": "N"})).into();
        }
        self.run_batch_until(&commands, false, Repeat::No, deadline).map(|results| Survey::read(&results))
    }
}

impl Survey {
    fn read(results: &BatchResults) -> Survey {
        let application = read::<Application>(results, "application", "app.info");
        Survey {
            license: application.as_ref().map_or_else(|_| String::new(), |application| application.license.clone()),
            payment_expired: application.as_ref().map(Application::is_payment_expired).map_err(Clone::clone),
            installed: application.map(|application| application.installed),
            administrator: read::<Profile>(results, "profile", "profile").map(|profile| profile.admin),
            scopes: read(results, "scope", "scope"),
            reservations: feature(results, "reservations"),
            connectors: feature(results, "connectors"),
            bindings: read(results, "bindings", "event.get"),
            queue: queue(results),
            push_config: raw(results, "push", "pull.application.config.get").map(str::to_owned),
        }
    }
}

/// Everything but `N` permits it: on-premise, the answer names the installation.
fn feature(results: &BatchResults, name: &str) -> Result<bool> {
    #[derive(Deserialize)]
    struct Feature {
        value: Value,
    }
    read::<Feature>(results, name, "feature.get").map(|feature| feature.value != "N")
}

fn queue(results: &BatchResults) -> Result<QueueLength> {
    let total = |name: &str| -> Result<u64> {
        raw(results, name, "event.offline.list")?;
        let total = results.result_total.get(name).map_or("0", |total| total.get()).trim_matches('"');
        Ok(total.parse().unwrap_or(0))
    };
    let (all, reserved, failed) = (total("all")?, total("reserved")?, total("failed")?);
    Ok(QueueLength { free: all.saturating_sub(reserved + failed), reserved, failed })
}

fn raw<'a>(results: &'a BatchResults, name: &str, method: &str) -> Result<&'a str> {
    match (results.result.get(name), results.error(name)) {
        (_, Some(error)) => Err(error),
        (Some(json), None) => Ok(json.get()),
        (None, None) => Err(Error::protocol(format!("the portal did not answer {method} in a batch; call again"))),
    }
}

fn read<T: DeserializeOwned>(results: &BatchResults, name: &str, method: &str) -> Result<T> {
    serde_json::from_str(raw(results, name, method)?).map_err(|error| unexpected_result(method, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(json: &str) -> Survey {
        Survey::read(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn each_part_is_read_or_refused_alone() {
        let survey = survey(
            r#"{"result":{"application":{"INSTALLED":true,"PAYMENT_EXPIRED":"Y","LICENSE":"ru_pro100"},"profile":{"ADMIN":false},
                "scope":["crm"],"reservations":{"value":"N"},"connectors":{"value":"ru_selfhosted"},
                "bindings":[{"event":"ONCRMDEALADD","connector_id":"OneC","offline":1}],
                "all":[],"reserved":[],"failed":[]},
                "result_error":{"push":{"error":"insufficient_scope","error_description":""}},
                "result_total":{"all":"12","reserved":3,"failed":1}}"#,
        );
        assert_eq!(
            (survey.installed, survey.payment_expired, survey.license.as_str()),
            (Ok(true), Ok(true), "ru_pro100")
        );
        assert_eq!((survey.administrator, survey.scopes), (Ok(false), Ok(vec!["crm".to_owned()])));
        assert_eq!((survey.reservations, survey.connectors), (Ok(false), Ok(true)));
        assert_eq!(survey.bindings.unwrap()[0].event, "ONCRMDEALADD");
        assert_eq!(survey.queue, Ok(QueueLength { free: 8, reserved: 3, failed: 1 }));
        assert_eq!(survey.push_config.unwrap_err().code(), "insufficient_scope");
    }

    #[test]
    fn what_the_portal_does_not_tell_is_an_error() {
        let survey = survey(r#"{"result":[],"result_error":[]}"#);
        assert!(survey.installed.is_err() && survey.administrator.is_err() && survey.queue.is_err());
        assert!(survey.push_config.is_err() && survey.bindings.is_err());
    }
}
