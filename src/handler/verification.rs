//! Verifies the sender of a call (docs/protocol.md §4).
//!
//! Anybody can reach a handler. The `application_token`, with the `member_id`, proves that the portal calls; nothing in
//! a call without it is trusted. Its `domain` proves nothing: it is the name under which somebody works in the portal,
//! or empty.

use super::call::Call;
use crate::secret::Secret;

/// How far the time of a call may be from our clock, in seconds. Beyond that it counts as a replay.
const MAX_AGE_S: u64 = 600;

/// What a call of the portal must match.
pub struct ExpectedSender<'a> {
    /// Empty: none is known yet.
    pub application_token: &'a Secret,
    /// Empty: not known.
    pub member_id: &'a str,
    /// Seconds since 1970.
    pub now: u64,
}

/// What a call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `ONOFFLINEEVENT`: the queue has grown.
    QueueGrew,
    /// `ONAPPINSTALL`: the application was installed. The call holds the known `application_token`, or none is known
    /// yet. Either way its `access_token` has to prove the installation.
    Installed,
    /// `ONAPPUPDATE`: the application was updated, which ends its bindings.
    Updated,
    /// `ONAPPUNINSTALL`: the application was uninstalled.
    Uninstalled,
}

/// Returns what the call means, or why it is rejected.
pub fn verify(call: &Call, expected: &ExpectedSender) -> Result<Event, &'static str> {
    let verified = expected.application_token.matches(&call.auth.application_token());
    let same_portal = !call.auth.member_id.is_empty()
        && (expected.member_id.is_empty() || expected.member_id.eq_ignore_ascii_case(&call.auth.member_id));
    if !same_portal {
        return Err("its member_id is not the portal's; check handler.member_id");
    }
    if expected.now.abs_diff(call.ts) > MAX_AGE_S {
        return Err(
            "its time (ts) is more than 10 minutes away from this computer's; if the portal sent it, set the clock",
        );
    }
    match call.event().as_str() {
        "ONAPPINSTALL" if verified => Ok(Event::Installed),
        "ONAPPINSTALL" if expected.application_token.is_empty() => match call.auth.application_token().is_empty() {
            false => Ok(Event::Installed),
            true => Err("the installation has no application_token"),
        },
        _ if expected.application_token.is_empty() => Err(
            "no application_token is known yet; set handler.application_token, or install the application while the \
             client is connected",
        ),
        _ if !verified => {
            Err("its application_token is not the expected one; if the application was installed again, set \
             handler.application_token")
        }
        "ONOFFLINEEVENT" => Ok(Event::QueueGrew),
        "ONAPPUPDATE" => Ok(Event::Updated),
        "ONAPPUNINSTALL" => Ok(Event::Uninstalled),
        _ => Err("its event is not ONOFFLINEEVENT, ONAPPINSTALL, ONAPPUPDATE or ONAPPUNINSTALL; bind other events as \
             offline events"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: u64 = 1_800_000_000;

    fn call(event: &str, changes: Value) -> Call {
        let mut auth = json!({"domain": "my.bitrix24.ru", "member_id": "m1", "application_token": "proof"});
        let mut ts = json!(NOW);
        for (name, value) in changes.as_object().unwrap() {
            match name.as_str() {
                "ts" => ts = value.clone(),
                name => auth[name] = value.clone(),
            }
        }
        Call::parse(json!({"event": event, "ts": ts, "auth": auth})).unwrap()
    }

    fn verified(token: &str, member_id: &str, call: &Call) -> Result<Event, &'static str> {
        verify(call, &ExpectedSender { application_token: &Secret::new(token), member_id, now: NOW })
    }

    #[test]
    fn calls_of_the_portal_are_accepted() {
        for member_id in ["m1", "M1", ""] {
            let check = |event| verified("proof", member_id, &call(event, json!({})));
            assert_eq!(check("ONOFFLINEEVENT"), Ok(Event::QueueGrew));
            assert_eq!(check("OnOfflineEvent"), Ok(Event::QueueGrew));
            assert_eq!(check("ONAPPINSTALL"), Ok(Event::Installed));
            assert_eq!(check("ONAPPUPDATE"), Ok(Event::Updated));
            assert_eq!(check("ONAPPUNINSTALL"), Ok(Event::Uninstalled));
        }
        for domain in ["another.name.example", ""] {
            let call = call("ONOFFLINEEVENT", json!({"domain": domain}));
            assert_eq!(verified("proof", "m1", &call), Ok(Event::QueueGrew), "{domain:?}");
        }
        for ts in [NOW - 600, NOW + 600] {
            assert!(verified("proof", "m1", &call("ONOFFLINEEVENT", json!({"ts": ts.to_string()}))).is_ok());
        }
    }

    #[test]
    fn other_calls_are_rejected_whatever_the_event() {
        for event in ["ONOFFLINEEVENT", "ONAPPINSTALL", "ONAPPUPDATE", "ONAPPUNINSTALL"] {
            for wrong in [
                json!({"application_token": "guess"}),
                json!({"application_token": "proof "}),
                json!({"application_token": ""}),
                json!({"application_token": null}),
                json!({"member_id": "m2"}),
                json!({"member_id": ""}),
                json!({"ts": NOW - 601}),
                json!({"ts": NOW + 601}),
                json!({"ts": 0}),
                json!({"ts": u64::MAX}),
            ] {
                assert!(verified("proof", "m1", &call(event, wrong.clone())).is_err(), "{event} {wrong}");
            }
        }
        for event in ["ONCRMDEALADD", "ONAPPPAYMENT", "X"] {
            assert!(verified("proof", "m1", &call(event, json!({}))).is_err(), "{event}");
        }
    }

    #[test]
    fn without_a_known_token_only_an_installation_is_accepted_unverified() {
        assert_eq!(verified("", "", &call("ONAPPINSTALL", json!({}))), Ok(Event::Installed));
        for (event, changes) in [
            ("ONAPPINSTALL", json!({"application_token": ""})),
            ("ONOFFLINEEVENT", json!({})),
            ("ONOFFLINEEVENT", json!({"application_token": ""})),
            ("ONAPPUPDATE", json!({})),
            ("ONAPPUNINSTALL", json!({"application_token": ""})),
        ] {
            assert!(verified("", "", &call(event, changes.clone())).is_err(), "{event} {changes}");
        }
        assert!(verified("", "m2", &call("ONAPPINSTALL", json!({}))).is_err(), "of another portal");
    }
}
