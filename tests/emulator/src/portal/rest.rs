//! A REST request: its parameters, its caller, its answer.

use std::sync::Mutex;

use crate::php::value::{Map, Value, json};
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};

use super::call::{Authorization, Caller, Params};
use super::error::RestError;
use super::hit::Hit;
use super::tokens::Access;
use super::{ADMINISTRATOR, Portal, methods};
use crate::http::{Answer, Request};
use crate::php;

/// What the path of a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// In lower case.
    pub method: String,
    /// User and secret.
    pub webhook: Option<(String, String)>,
}

impl Route {
    /// Reads `/rest/{method}` and `/rest/{user}/{secret}/{method}`, with or without `.json`.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/rest/")?;
        let segments: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
        let (method, webhook) = match segments[..] {
            [method] => (method, None),
            [user, secret, method] => (method, Some((user.to_owned(), secret.to_owned()))),
            _ => return None,
        };
        let method = php::params::decode(method).to_lowercase();
        Some(Self { method: method.strip_suffix(".json").unwrap_or(&method).to_owned(), webhook })
    }
}

/// Parameters of the query and of the body, JSON or form; the body wins.
pub fn params(request: &Request) -> Params {
    let mut params = php::params::parse(&request.query);
    let is_json = request.header(&CONTENT_TYPE).to_lowercase().starts_with("application/json");
    params.extend(if is_json { json_body(&request.body) } else { form_body(&request.body) });
    Params::new(params)
}

/// Anything but a JSON map is no parameters, as in PHP.
fn json_body(body: &[u8]) -> Map {
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn form_body(body: &[u8]) -> Map {
    php::params::parse(&String::from_utf8_lossy(body))
}

/// Runs one hit.
pub fn handle(portal: &Mutex<Portal>, route: &Route, request: &Request) -> Answer {
    let mut hit = Hit::begin(portal);
    *hit.calls.entry(route.method.clone()).or_default() += 1;
    hit.clean_queue();
    let outcome = call(&mut hit, route, request);
    hit.end_hit();
    match outcome {
        Ok(body) => answer(StatusCode::OK, &body),
        Err(error) => answer(error.status, &error.body()),
    }
}

fn call(hit: &mut Hit, route: &Route, request: &Request) -> Result<Value, RestError> {
    if !hit.admit() {
        return Err(RestError::query_limit_exceeded());
    }
    if hit.conditions.closed {
        return Err(RestError::portal_deleted());
    }
    if methods::scope_of(&route.method).is_none() {
        return Err(RestError::method_not_found());
    }
    let mut params = params(request);
    let caller = authorize(hit, route, request, &mut params)?;
    let timed = methods::run(hit, &caller, &route.method, params)?;
    let mut body = Map::new();
    body.insert("result".to_owned(), timed.success.result);
    if let Some(next) = timed.success.next {
        body.insert("next".to_owned(), json!(next));
    }
    if let Some(total) = timed.success.total {
        body.insert("total".to_owned(), json!(total));
    }
    body.insert("time".to_owned(), timed.time);
    Ok(Value::Object(body))
}

/// The checks in the vendor's order.
fn authorize(portal: &mut Portal, route: &Route, request: &Request, params: &mut Params) -> Result<Caller, RestError> {
    let by = if route.webhook.is_some() { Authorization::Webhook } else { Authorization::Application };
    let access = match &route.webhook {
        Some((user, secret)) if *secret == portal.webhook_secret && user.parse() == Ok(ADMINISTRATOR) => {
            Access::User(ADMINISTRATOR)
        }
        Some(_) => return Err(RestError::invalid_credentials()),
        None => {
            let token = token(request, params).ok_or_else(RestError::no_auth_found)?;
            portal.tokens.check(&token, portal.conditions.auth_server)
        }
    };
    let user = match access {
        Access::Unchecked => return Err(RestError::connection_error()),
        Access::Unknown => return Err(RestError::invalid_token()),
        Access::User(_) | Access::Expired if portal.conditions.license_expired => {
            return Err(RestError::license_expired(by));
        }
        Access::Expired => return Err(RestError::expired_token()),
        Access::User(user) => user,
    };
    let scope = methods::scope_of(&route.method).unwrap_or_default();
    if !portal.grants(scope) {
        return Err(RestError::insufficient_scope(by));
    }
    if by == Authorization::Application && portal.conditions.user_dismissed {
        return Err(RestError::authorization_error());
    }
    // Webhooks have no connectors; for them it is a parameter that no method knows.
    let connector = match by {
        Authorization::Application => params.take_exact("auth_connector").and_then(|connector| php::text(&connector)),
        Authorization::Webhook => None,
    };
    if connector.is_some() && !portal.plan.auth_connector {
        return Err(RestError::wrong_license("auth_connector"));
    }
    Ok(Caller { user, is_admin: user == ADMINISTRATOR, by, connector: connector.unwrap_or_default() })
}

/// The token in the header counts more than those in the parameters.
fn token(request: &Request, params: &mut Params) -> Option<String> {
    let parameters = ["auth", "access_token"].map(|name| params.take_exact(name));
    let header = request.header(&AUTHORIZATION);
    let bearer = header.split_at_checked("Bearer".len()).filter(|(scheme, token)| {
        scheme.eq_ignore_ascii_case("Bearer") && token.starts_with(|c: char| c.is_ascii_whitespace())
    });
    let token = match bearer {
        Some((_, token)) => Some(token.trim_start().to_owned()),
        None => parameters.iter().flatten().find_map(php::text),
    };
    token.filter(|token| !token.is_empty())
}

pub fn answer(status: StatusCode, body: &Value) -> Answer {
    Answer::new(status, "application/json; charset=utf-8", php::json::encode(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let method = |path| Route::parse(path).map(|route| route.method);
        assert_eq!(method("/rest/Event.Offline.Get.json").as_deref(), Some("event.offline.get"));
        assert_eq!(method("/rest/1/secret/crm.deal.add/").as_deref(), Some("crm.deal.add"));
        assert_eq!(Route::parse("/rest/1/secret/profile").unwrap().webhook, Some(("1".into(), "secret".into())));
        assert_eq!(method("/rest/a/b/c/d"), None);
        assert_eq!(method("/sub/"), None);
    }
}
