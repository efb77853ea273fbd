//! `event.bind`, `event.unbind`, `event.get`, `events`: the events that an application wants.

use std::collections::HashSet;

use crate::php::value::{Value, json};

use super::call::{Caller, Outcome, Params};
use super::error::RestError;
use super::handler::Pause;
use super::hit::Hit;
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
    /// `event_handler_id`; 0 until it is stored.
    pub id: u64,
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

#[derive(Default)]
pub struct Bindings {
    bound: Vec<Binding>,
    last_id: u64,
    /// Those that are being stored at this moment.
    locks: HashSet<String>,
}

impl Bindings {
    pub fn of<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Binding> {
        self.bound.iter().filter(move |binding| binding.event == event)
    }

    pub fn of_mut<'a>(&'a mut self, event: &'a str) -> impl Iterator<Item = &'a mut Binding> {
        self.bound.iter_mut().filter(move |binding| binding.event == event)
    }

    pub fn clear(&mut self) {
        self.bound.clear();
    }

    /// A new `event_handler_id`.
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Stores a binding, unless there is one like it.
    fn add(&mut self, binding: Binding) -> Result<(), &'static str> {
        if self.bound.iter().any(|known| known.lock_key() == binding.lock_key()) {
            return Err("Handler already binded");
        }
        let id = self.next_id();
        self.bound.push(Binding { id, ..binding });
        Ok(())
    }
}

impl Binding {
    /// Equal for bindings of which there can be only one.
    fn lock_key(&self) -> String {
        format!("{}|{}|{}|{}", self.event, self.handler, self.connector, self.user)
    }
}

/// The events that the application's scope allows.
fn available(portal: &Portal) -> Vec<String> {
    let crm = portal.grants("crm").then(crm::event_names).unwrap_or_default();
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

pub fn bind(hit: &mut Hit, caller: &Caller, params: &Params) -> Outcome {
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
        Some(Handler::parse(&target.handler).map_err(|refusal| RestError::wrong_handler(&refusal))?)
    };
    if !available(hit).contains(&target.event) {
        return Err(RestError::event_not_found());
    }
    if target.offline && target.event == OFFLINE_EVENT {
        return Err(RestError::bad_query("Offline event cannot be registered for this event.".to_owned()));
    }
    let min_timeout = params.get("options").and_then(|options| options.get("minTimeout")).map(php::int);
    let binding = Binding {
        id: 0,
        event: target.event,
        handler: target.handler,
        handler_address,
        pause: Pause::new(min_timeout.filter(|_| hit.obey_min_timeout)),
        user: if target.offline { 0 } else { user },
        connector: caller.connector.clone(),
    };
    store(hit, binding).map_err(|reason| RestError::core(format!("Unable to set event handler: {reason}")))?;
    Ok(json!(true).into())
}

/// Stores a binding under a lock. Whoever asks for the same one meanwhile is refused and does not wait.
fn store(hit: &mut Hit, binding: Binding) -> Result<(), &'static str> {
    let key = binding.lock_key();
    if !hit.bindings.locks.insert(key.clone()) {
        return Err("Process of binding the handler has already started");
    }
    let time = hit.timing.binding;
    if !time.is_zero() {
        hit.let_others_in(time);
    }
    let stored = hit.bindings.add(binding);
    hit.bindings.locks.remove(&key);
    stored
}

pub fn unbind(portal: &mut Portal, caller: &Caller, params: &Params) -> Outcome {
    caller.require_application()?;
    let target = Target::parse(caller, params, "Offline events unbinding requires administrator access rights")?;
    // The vendor compares with the user's number without a conversion, and a text is none.
    let is_own = |user: u32| {
        user == caller.user && params.get("auth_type").is_some_and(|value| matches!(value, Value::Number(_)))
    };
    let user = match wanted_user(params) {
        Some(user) if !is_own(user) => {
            caller.require_admin("Event unbinding with AUTH_TYPE requires administrator access rights")?;
            Some(user)
        }
        None if !caller.is_admin => Some(caller.user),
        wanted => wanted,
    };
    let bound = &mut portal.bindings.bound;
    let before = bound.len();
    bound.retain(|binding| {
        let same = binding.event == target.event && binding.handler == target.handler;
        let own = if target.offline {
            binding.connector == caller.connector
        } else {
            user.is_none_or(|user| binding.user == user)
        };
        !(same && own)
    });
    Ok(json!({"count": before - bound.len()}).into())
}

pub fn get(portal: &Portal, caller: &Caller) -> Outcome {
    caller.require_application()?;
    let visible = portal.bindings.bound.iter().filter(|binding| caller.is_admin || binding.user == caller.user);
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
