//! `event.bind`, `event.unbind`, `event.get`, `events`: the events that an application wants.

use crate::php::value::{Value, json};

use super::call::{Caller, Outcome, Params};
use super::error::RestError;
use super::handler::Pause;
use super::{Portal, crm};
use crate::caller::Handler;
use crate::php;

/// Events of every application.
const GLOBAL_EVENTS: [&str; 6] =
    ["ONAPPINSTALL", "ONAPPUNINSTALL", "ONAPPUPDATE", "ONAPPPAYMENT", "ONOFFLINEEVENT", "ONUSERADD"];
/// It announces that the queue grew, so it is not queued itself.
pub const OFFLINE_EVENT: &str = "ONOFFLINEEVENT";

#[derive(Clone, Debug)]
pub struct Binding {
    pub event: String,
    /// Empty for an offline event.
    pub handler: String,
    /// Where the handler is called; `None` for an offline event.
    pub handler_address: Option<Handler>,
    pub pause: Pause,
    /// The user whose token the handler gets; 0 is the user who caused the event.
    pub user: u32,
    pub connector: String,
}

impl Binding {
    pub fn is_offline(&self) -> bool {
        self.handler.is_empty()
    }
}

/// The events that the application's scope allows.
fn available(portal: &Portal) -> Vec<String> {
    let crm = portal.has_scope("crm").then(crm::event_names).unwrap_or_default();
    crm.into_iter().chain(GLOBAL_EVENTS.map(str::to_owned)).collect()
}

pub fn events(portal: &Portal, caller: &Caller) -> Outcome {
    caller.require_application()?;
    Ok(json!(available(portal)).into())
}

/// The parameters that `event.bind` and `event.unbind` share.
struct Target {
    event: String,
    handler: String,
    offline: bool,
}

impl Target {
    fn parse(caller: &Caller, params: &Params, refusal: &str) -> Result<Self, RestError> {
        let event = params.text("event").to_uppercase();
        if event.is_empty() {
            return Err(RestError::missing_argument("EVENT"));
        }
        let offline = match params.text("event_type").to_lowercase().as_str() {
            "" | "online" => false,
            "offline" => true,
            _ => return Err(RestError::wrong_value("EVENT_TYPE", "Value must be one of {online|offline}")),
        };
        if offline {
            caller.require_admin(refusal)?;
            return Ok(Self { event, handler: String::new(), offline });
        }
        let handler = params.text("handler");
        if handler.is_empty() {
            return Err(RestError::missing_argument("HANDLER"));
        }
        Ok(Self { event, handler, offline })
    }
}

pub fn bind(portal: &mut Portal, caller: &Caller, params: &Params) -> Outcome {
    caller.require_application()?;
    let mut user = wanted_user(params).unwrap_or(0);
    if user > 0 && user != caller.user {
        caller.require_admin("Event binding with AUTH_TYPE requires administrator access rights")?;
    }
    if user == 0 && !caller.is_admin {
        user = caller.user;
    }
    let target = Target::parse(caller, params, "Offline events binding requires administrator access rights")?;
    let handler_address = if target.offline {
        None
    } else {
        Some(Handler::parse(&target.handler).map_err(|reason| RestError::wrong_value("HANDLER", &reason))?)
    };
    if !available(portal).contains(&target.event) {
        return Err(RestError::event_not_found());
    }
    if target.offline && target.event == OFFLINE_EVENT {
        return Err(RestError::bad_query("Offline event cannot be registered for this event.".to_owned()));
    }
    let binding = Binding {
        event: target.event,
        handler: target.handler,
        handler_address,
        pause: Pause::new(params.get("options").and_then(|options| options.get("minTimeout")).map(php::int)),
        user: if target.offline { 0 } else { user },
        connector: caller.connector.clone(),
    };
    let already = portal.bindings.iter().any(|known| {
        known.event == binding.event
            && known.handler == binding.handler
            && known.user == binding.user
            && known.connector == binding.connector
    });
    if already {
        return Err(RestError::core("Unable to set event handler: Handler already binded"));
    }
    portal.bindings.push(binding);
    Ok(json!(true).into())
}

pub fn unbind(portal: &mut Portal, caller: &Caller, params: &Params) -> Outcome {
    caller.require_application()?;
    let target = Target::parse(caller, params, "Offline events unbinding requires administrator access rights")?;
    let user = match wanted_user(params) {
        Some(user) if user != caller.user => {
            caller.require_admin("Event unbinding with AUTH_TYPE requires administrator access rights")?;
            Some(user)
        }
        None if !caller.is_admin => Some(caller.user),
        wanted => wanted,
    };
    let before = portal.bindings.len();
    portal.bindings.retain(|binding| {
        let same = binding.event == target.event && binding.handler == target.handler;
        let own = if target.offline {
            binding.connector == caller.connector
        } else {
            user.is_none_or(|user| binding.user == user)
        };
        !(same && own)
    });
    Ok(json!({"count": before - portal.bindings.len()}).into())
}

pub fn get(portal: &Portal, caller: &Caller) -> Outcome {
    caller.require_application()?;
    let visible = portal.bindings.iter().filter(|binding| caller.is_admin || binding.user == caller.user);
    let bindings: Vec<Value> = visible
        .map(|binding| {
            if binding.is_offline() {
                json!({"event": binding.event, "connector_id": binding.connector, "offline": 1})
            } else {
                json!({
                    "event": binding.event,
                    "handler": binding.handler,
                    "auth_type": binding.user.to_string(),
                    "offline": 0,
                })
            }
        })
        .collect();
    Ok(Value::Array(bindings).into())
}

fn wanted_user(params: &Params) -> Option<u32> {
    params.int("auth_type").map(|user| u32::try_from(user).unwrap_or(0))
}
