//! Who calls? (protocol.md §4)
//!
//! Everybody can reach a handler. What proves the portal is the `application_token`; nothing of a call that does not hold
//! it is believed.

use super::call::Call;
use crate::secret::Secret;

/// A call older or newer than this (seconds, by our clock) is a recording that somebody plays again.
const MOST_AGE: u64 = 600;

/// What we know of the portal.
pub struct Known<'a> {
    /// Empty: none yet.
    pub application_token: &'a Secret,
    /// Empty: not known.
    pub member_id: &'a str,
    /// Whether a domain is the portal's.
    pub is_domain: &'a dyn Fn(&str) -> bool,
    /// Seconds since 1970.
    pub now: u64,
}

/// What a call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `ONOFFLINEEVENT`: the queue grew.
    QueueGrew,
    /// `ONAPPINSTALL`. `proved`: it holds the stored token; else there is none, and its `access_token` has to prove it.
    Installed {
        /// Whether the sender is proved.
        proved: bool,
    },
    /// `ONAPPUNINSTALL`.
    Uninstalled,
}

/// What the call means, or why it is refused.
pub fn check(call: &Call, known: &Known) -> Result<Event, &'static str> {
    let proved = known.application_token.matches(&call.auth.application_token());
    if !(known.is_domain)(&call.auth.domain) {
        return Err("it comes from another domain; if the portal was renamed, set portal.url to its present address");
    }
    let same_portal = !call.auth.member_id.is_empty()
        && (known.member_id.is_empty() || known.member_id.eq_ignore_ascii_case(&call.auth.member_id));
    if !same_portal {
        return Err("its member_id is not the portal's; check handler.member_id");
    }
    if known.now.abs_diff(call.ts) > MOST_AGE {
        return Err("it is not of now; if this is the portal's own call, set this computer's clock");
    }
    match call.event().as_str() {
        "ONAPPINSTALL" if proved => Ok(Event::Installed { proved }),
        "ONAPPINSTALL" if known.application_token.is_empty() => match call.auth.application_token().is_empty() {
            false => Ok(Event::Installed { proved }),
            true => Err("an installation without application_token"),
        },
        _ if known.application_token.is_empty() => Err(
            "no application_token is known yet; set handler.application_token, or install the application while the client listens",
        ),
        _ if !proved => Err(
            "its application_token is another one; if the application was installed anew, set handler.application_token",
        ),
        "ONOFFLINEEVENT" => Ok(Event::QueueGrew),
        "ONAPPUNINSTALL" => Ok(Event::Uninstalled),
        _ => Err("its event is not one of ONOFFLINEEVENT, ONAPPINSTALL, ONAPPUNINSTALL; bind other events offline"),
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
        Call::read(json!({"event": event, "ts": ts, "auth": auth})).unwrap()
    }

    fn checked(token: &str, member_id: &str, call: &Call) -> Result<Event, &'static str> {
        let known = Known {
            application_token: &Secret::new(token),
            member_id,
            is_domain: &|domain| domain == "my.bitrix24.ru",
            now: NOW,
        };
        check(call, &known)
    }

    #[test]
    fn the_portals_own_calls_are_taken() {
        for member_id in ["m1", "M1", ""] {
            let check = |event| checked("proof", member_id, &call(event, json!({})));
            assert_eq!(check("ONOFFLINEEVENT"), Ok(Event::QueueGrew));
            assert_eq!(check("OnOfflineEvent"), Ok(Event::QueueGrew));
            assert_eq!(check("ONAPPINSTALL"), Ok(Event::Installed { proved: true }));
            assert_eq!(check("ONAPPUNINSTALL"), Ok(Event::Uninstalled));
        }
        for ts in [NOW - 600, NOW + 600] {
            assert!(checked("proof", "m1", &call("ONOFFLINEEVENT", json!({"ts": ts.to_string()}))).is_ok());
        }
    }

    #[test]
    fn everything_else_is_refused_whatever_the_event() {
        for event in ["ONOFFLINEEVENT", "ONAPPINSTALL", "ONAPPUNINSTALL"] {
            for wrong in [
                json!({"application_token": "guess"}),
                json!({"application_token": "proof "}),
                json!({"application_token": ""}),
                json!({"application_token": null}),
                json!({"domain": "evil.example"}),
                json!({"domain": ""}),
                json!({"member_id": "m2"}),
                json!({"member_id": ""}),
                json!({"ts": NOW - 601}),
                json!({"ts": NOW + 601}),
                json!({"ts": 0}),
                json!({"ts": u64::MAX}),
            ] {
                assert!(checked("proof", "m1", &call(event, wrong.clone())).is_err(), "{event} {wrong}");
            }
        }
        for event in ["ONCRMDEALADD", "ONAPPUPDATE", "X"] {
            assert!(checked("proof", "m1", &call(event, json!({}))).is_err(), "{event}");
        }
    }

    #[test]
    fn without_a_stored_token_only_an_installation_is_heard_and_not_believed() {
        assert_eq!(checked("", "", &call("ONAPPINSTALL", json!({}))), Ok(Event::Installed { proved: false }));
        for (event, changes) in [
            ("ONAPPINSTALL", json!({"application_token": ""})),
            ("ONAPPINSTALL", json!({"domain": "evil.example"})),
            ("ONOFFLINEEVENT", json!({})),
            ("ONOFFLINEEVENT", json!({"application_token": ""})),
            ("ONAPPUNINSTALL", json!({"application_token": ""})),
        ] {
            assert!(checked("", "", &call(event, changes.clone())).is_err(), "{event} {changes}");
        }
        assert!(checked("", "m2", &call("ONAPPINSTALL", json!({}))).is_err(), "of another portal");
    }
}
