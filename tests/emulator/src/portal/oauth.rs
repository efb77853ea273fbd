//! The authorization server: `/oauth/token/`.

use crate::php::value::{Value, json};
use hyper::StatusCode;

use super::Portal;
use super::call::Params;
use super::tokens::Tokens;

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

fn pair(portal: &Portal, tokens: &Tokens) -> Value {
    json!({
        "access_token": tokens.access_token,
        "expires": tokens.expires,
        "expires_in": portal.tokens.ttl().as_secs(),
        "scope": "app",
        "domain": portal.auth_address,
        "server_endpoint": portal.server_endpoint(),
        "status": "L",
        "client_endpoint": portal.client_endpoint(),
        "member_id": portal.application.member_id,
        "user_id": tokens.user_id,
        "refresh_token": tokens.refresh_token,
    })
}

fn refusal(code: &str, description: &str) -> (StatusCode, Value) {
    (StatusCode::BAD_REQUEST, json!({"error": code, "error_description": description}))
}
