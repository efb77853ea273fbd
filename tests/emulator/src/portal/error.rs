//! Error answers of REST, with the codes and texts of the vendor.

use crate::php::value::{Map, Value, json};
use hyper::StatusCode;

use super::call::Authorization;
use crate::caller::Refusal;

#[derive(Debug)]
pub struct RestError {
    pub status: StatusCode,
    pub code: &'static str,
    pub description: String,
    /// Further keys of the answer, such as `argument`.
    pub additional: Vec<(&'static str, Value)>,
}

impl RestError {
    pub fn new(status: StatusCode, code: &'static str, description: impl Into<String>) -> Self {
        Self { status, code, description: description.into(), additional: Vec::new() }
    }

    pub fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("error".to_owned(), json!(self.code));
        body.insert("error_description".to_owned(), json!(self.description));
        body.extend(self.additional.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Value::Object(body)
    }

    pub fn method_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "ERROR_METHOD_NOT_FOUND", "Method not found!")
    }

    pub fn portal_deleted() -> Self {
        Self::new(StatusCode::FORBIDDEN, "PORTAL_DELETED", "Portal was deleted")
    }

    /// Who calls is not accepted: `OAuthException`.
    fn unauthorized(code: &'static str, description: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, description)
    }

    pub fn no_auth_found() -> Self {
        Self::unauthorized("NO_AUTH_FOUND", "Wrong authorization data")
    }

    pub fn invalid_token() -> Self {
        Self::unauthorized("invalid_token", "Unable to get application by token")
    }

    pub fn expired_token() -> Self {
        Self::unauthorized("expired_token", "The access token provided has expired")
    }

    pub fn connection_error() -> Self {
        Self::unauthorized("CONNECTION_ERROR", "Error connecting to authorization server")
    }

    pub fn license_expired(by: Authorization) -> Self {
        let text = match by {
            Authorization::Application => "REST is available only on commercial plans.",
            Authorization::Webhook => "REST is available only by subscription.",
        };
        Self::unauthorized("ACCESS_DENIED", text)
    }

    pub fn authorization_error() -> Self {
        Self::unauthorized("authorization_error", "Unable to authorize user")
    }

    pub fn invalid_credentials() -> Self {
        Self::unauthorized("INVALID_CREDENTIALS", "Invalid request credentials")
    }

    pub fn insufficient_scope(by: Authorization) -> Self {
        let whose = match by {
            Authorization::Application => "access",
            Authorization::Webhook => "webhook",
        };
        let text = format!("The request requires higher privileges than provided by the {whose} token");
        Self::unauthorized("insufficient_scope", &text)
    }

    /// In a batch the scope is checked elsewhere, and nothing is said about it.
    pub fn insufficient_scope_in_batch() -> Self {
        Self::unauthorized("insufficient_scope", "")
    }

    pub fn push_server_not_configured() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "SERVER_ERROR", "Push & Pull server is not configured")
    }

    /// What the methods of Push&Pull say to a webhook.
    pub fn application_authorization_only() -> Self {
        let text = "Get access to application config available only for application authorization.";
        Self::new(StatusCode::FORBIDDEN, "WRONG_AUTH_TYPE", text)
    }

    pub fn access_denied(reason: &str) -> Self {
        let text = if reason.is_empty() { "Access denied!".to_owned() } else { format!("Access denied! {reason}") };
        Self::new(StatusCode::FORBIDDEN, "ACCESS_DENIED", text)
    }

    pub fn wrong_auth_type() -> Self {
        Self::new(StatusCode::FORBIDDEN, "WRONG_AUTH_TYPE", "Current authorization type is denied for this method")
    }

    pub fn wrong_license(feature: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "WRONG_LICENSE",
            format!("This feature is not enabled for the current license: {feature}"),
        )
    }

    pub fn query_limit_exceeded() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "QUERY_LIMIT_EXCEEDED", "Too many requests")
    }

    pub fn operation_time_limit() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "OPERATION_TIME_LIMIT",
            "Method is blocked due to operation time limit.",
        )
    }

    pub fn event_not_found() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ERROR_EVENT_NOT_FOUND", "Event not found")
    }

    /// A handler's address that the vendor refuses, or one that the emulator cannot call.
    pub fn wrong_handler(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::WrongUrl => Self::new(StatusCode::BAD_REQUEST, "ERROR_WRONG_HANDLER_URL", refusal.to_string()),
            Refusal::UnsupportedProtocol => {
                Self::new(StatusCode::BAD_REQUEST, "ERROR_UNSUPPORTED_PROTOCOL", refusal.to_string())
            }
            Refusal::NotHere(_) => Self::wrong_value("HANDLER", &refusal.to_string()),
        }
    }

    pub fn core(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ERROR_CORE", description)
    }

    /// A bad request whose description is all there is to say; CRM leaves the code empty.
    pub fn bad_request(code: &'static str, description: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, description)
    }

    pub fn wrong_value(argument: &str, description: &str) -> Self {
        let mut error = Self::new(StatusCode::BAD_REQUEST, "ERROR_ARGUMENT", description);
        error.additional.push(("argument", json!(argument)));
        error
    }

    pub fn wrong_type(argument: &str) -> Self {
        Self::wrong_value(argument, &format!("The value of an argument '{argument}' has an invalid type"))
    }

    pub fn missing_argument(argument: &str) -> Self {
        Self::wrong_value(argument, &format!("Argument '{argument}' is null or empty"))
    }

    pub fn bad_query(description: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ERROR_ARGUMENT", description)
    }
}
