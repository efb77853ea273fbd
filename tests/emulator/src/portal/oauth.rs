//! The authorization server: `/oauth/token/`, and its own `/rest/app.info`. The portal's page that gives out codes.

use crate::php::value::{Value, json};
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};

use super::call::Params;
use super::error::RestError;
use super::handler::Form;
use super::tokens::{Access, Tokens};
use super::{ADMINISTRATOR, Portal, rest};
use crate::http::Answer;
use crate::time;

/// The address in the application's settings, to which codes are passed. Nothing has to answer there.
const APPLICATION_ADDRESS: &str = "http://127.0.0.1:8080/b24";

/// Sends the browser of the administrator, who is always logged in here, to the application's address with a code.
pub fn authorize(portal: &mut Portal, params: &Params) -> Answer {
    if params.text("client_id") != portal.application.client_id {
        let (status, body) = refusal("invalid_client", "Invalid client data was provided");
        return rest::answer(status, &body);
    }
    let mut query = Form::of("code", &portal.tokens.new_code(ADMINISTRATOR));
    for (name, value) in [
        ("state", &params.text("state")),
        ("domain", &portal.address),
        ("member_id", &portal.application.member_id),
        ("scope", &portal.scope),
        ("server_domain", &portal.auth_address),
    ] {
        query.put(name, value);
    }
    let mut answer = Answer::new(StatusCode::FOUND, "text/html", "");
    // Every character of a form is allowed in a header.
    if let Ok(location) = HeaderValue::try_from(format!("{APPLICATION_ADDRESS}?{}", query.0)) {
        answer.headers.push((LOCATION, location));
    }
    answer
}

/// Answers a request for tokens.
pub fn token(portal: &mut Portal, params: &Params) -> (StatusCode, Value) {
    let grant_type = params.text("grant_type");
    let application = &portal.application;
    let client_id = params.text("client_id");
    let client_secret = params.text("client_secret");
    if grant_type.is_empty() || client_id.is_empty() || client_secret.is_empty() {
        return refusal("invalid_request", "An incorrectly formatted authorization request was provided");
    }
    if client_id != application.client_id || client_secret != application.client_secret {
        return refusal("invalid_client", "Invalid client data was provided");
    }
    let tokens = match grant_type.as_str() {
        "refresh_token" => portal.tokens.renew(&params.text("refresh_token")),
        "authorization_code" => portal.tokens.exchange_code(&params.text("code")),
        _ => return refusal("invalid_request", "Unknown grant type"),
    };
    match tokens {
        Some(tokens) => {
            portal.renewals += 1;
            (StatusCode::OK, pair(portal, &tokens))
        }
        None => refusal("invalid_grant", "Invalid authorization tokens were provided"),
    }
}

/// What the authorization server knows about a token. Another answer than that of the portal's method of this name.
pub fn app_info(portal: &Portal, params: &Params) -> (StatusCode, Value) {
    let token = params.text("auth");
    let user = match portal.tokens.owner(&token) {
        _ if token.is_empty() => Err(RestError::no_auth_found()),
        Access::User(user) => Ok(user),
        Access::Expired => Err(RestError::expired_token()),
        Access::Unknown | Access::Unchecked => Err(RestError::invalid_token()),
    };
    let user = match user {
        Ok(user) => user,
        Err(error) => return (error.status, error.body()),
    };
    let result = json!({
        "client_id": portal.application.client_id,
        "scope": portal.scope,
        "expires": time::iso(time::unix_now().saturating_add(time::seconds(portal.tokens.ttl()))),
        "install": {
            "installed": portal.conditions.installed,
            "version": "1",
            "status": portal.application.status(),
            "scope": portal.scope,
            "domain": portal.address,
            "client_endpoint": portal.client_endpoint(),
            "member_id": portal.application.member_id,
        },
        "user_id": user,
    });
    (StatusCode::OK, json!({"result": result}))
}

fn pair(portal: &Portal, tokens: &Tokens) -> Value {
    json!({
        "access_token": tokens.access_token,
        "expires": tokens.expires,
        "expires_in": portal.tokens.ttl().as_secs(),
        "scope": "app",
        "domain": portal.auth_address,
        "server_endpoint": portal.server_endpoint(),
        "status": portal.application.status(),
        "client_endpoint": portal.client_endpoint(),
        "member_id": portal.application.member_id,
        "user_id": tokens.user_id,
        "refresh_token": tokens.refresh_token,
    })
}

fn refusal(code: &str, description: &str) -> (StatusCode, Value) {
    (StatusCode::BAD_REQUEST, json!({"error": code, "error_description": description}))
}
