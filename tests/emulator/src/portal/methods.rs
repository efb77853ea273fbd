//! The table of methods and how one of them is run.

use std::time::{Duration, Instant};

use crate::php::value::{Map, Value, json};

use super::call::{Caller, Outcome, Params, Success};
use super::error::RestError;
use super::hit::Hit;
use super::{Portal, application, batch, bindings, crm, offline_methods, pull};
use crate::time;

/// Methods and the scope they need; the empty one is everybody's.
const METHODS: [(&str, &str); 18] = [
    ("batch", ""),
    ("methods", ""),
    ("scope", ""),
    ("server.time", ""),
    ("app.info", ""),
    ("profile", ""),
    ("feature.get", ""),
    ("user.current", "user_brief"),
    ("events", ""),
    ("event.bind", ""),
    ("event.unbind", ""),
    ("event.get", ""),
    ("event.offline.get", ""),
    ("event.offline.list", ""),
    ("event.offline.clear", ""),
    ("event.offline.error", ""),
    ("pull.application.config.get", "pull"),
    ("pull.application.event.add", "pull"),
];

/// A successful call with its `time`.
#[derive(Debug)]
pub struct Timed {
    pub success: Success,
    pub time: Value,
}

/// The scope of a method, `None` when there is no such method.
pub fn scope_of(method: &str) -> Option<&'static str> {
    let listed = METHODS.iter().find(|(name, _)| *name == method).map(|(_, scope)| *scope);
    listed.or_else(|| crm::method_names().iter().any(|name| name == method).then_some("crm"))
}

/// Runs a method whose name is in lower case, for a caller who may call it.
pub fn run(hit: &mut Hit, caller: &Caller, method: &str, mut params: Params) -> Result<Timed, RestError> {
    let started = time::now();
    let clock = Instant::now();
    if hit.operating.is_blocked(method) {
        hit.operating_refusals += 1;
        return Err(RestError::operation_time_limit());
    }
    let start = params.take_exact("start").map_or(0, |start| crate::php::int(&start));
    let success = dispatch(hit, caller, method, &params, start)?;
    let operating = hit.operating.add(method, clock.elapsed());
    // The vendor's limiter of load is off on portals on-premise.
    let operating = (!hit.on_premise).then_some(operating);
    Ok(Timed { success, time: times(started, clock.elapsed(), operating) })
}

fn dispatch(hit: &mut Hit, caller: &Caller, method: &str, params: &Params, start: i64) -> Outcome {
    match method {
        "batch" => return batch::batch(hit, caller, params),
        "event.bind" => return bindings::bind(hit, caller, params),
        "event.offline.get" => return offline_methods::get(hit, caller, params),
        _ => {}
    }
    let portal: &mut Portal = hit;
    match method {
        "methods" => Ok(names(portal).into()),
        "scope" => application::scope(portal, params),
        "server.time" => application::server_time(),
        "app.info" => application::app_info(portal, caller),
        "profile" => application::profile(caller),
        "user.current" => application::user_current(caller),
        "feature.get" => application::feature_get(portal, params),
        "events" => bindings::events(portal, caller),
        "event.unbind" => bindings::unbind(portal, caller, params),
        "event.get" => bindings::get(portal, caller),
        "event.offline.list" => offline_methods::list(portal, caller, params, start),
        "event.offline.clear" => offline_methods::clear(portal, caller, params),
        "event.offline.error" => offline_methods::error(portal, caller, params),
        "pull.application.config.get" => pull::config_get(portal, caller),
        "pull.application.event.add" => pull::event_add(portal, caller, params),
        _ => crm::call(portal, caller, method, params, start).unwrap_or_else(|| Err(RestError::method_not_found())),
    }
}

fn names(portal: &Portal) -> Value {
    let plain = METHODS.iter().filter(|(_, scope)| portal.grants(scope));
    let crm = portal.grants("crm").then(crm::method_names).unwrap_or_default();
    plain.map(|(name, _)| json!(name)).chain(crm.into_iter().map(Value::String)).collect()
}

fn times(started: Duration, ran: Duration, operating: Option<(f64, i64)>) -> Value {
    let finished = started + ran;
    let mut times = Map::new();
    times.insert("start".to_owned(), json!(started.as_secs_f64()));
    times.insert("finish".to_owned(), json!(finished.as_secs_f64()));
    times.insert("duration".to_owned(), json!(ran.as_secs_f64()));
    times.insert("processing".to_owned(), json!(ran.as_secs_f64()));
    times.insert("date_start".to_owned(), json!(time::iso(time::seconds(started))));
    times.insert("date_finish".to_owned(), json!(time::iso(time::seconds(finished))));
    if let Some((operating, reset_at)) = operating {
        times.insert("operating_reset_at".to_owned(), json!(reset_at));
        times.insert("operating".to_owned(), json!(operating));
    }
    Value::Object(times)
}
