//! Error answers of the portal and of the authorization server: what they mean, and what to do about them
//! (docs/protocol.md §2, §2.3).

use crate::error::{Error, Refusal, Status};

/// The error for an answer `{"error": code, "error_description": description}`.
pub fn to_error(http_status: u16, code: &str, description: &str) -> Error {
    let (status, advice) = classify(code, description, http_status);
    let code = short(code, 64);
    let description = short(description, 300);
    let details =
        if description.is_empty() || description == code { String::new() } else { format!(" ({description})") };
    let text = format!("the portal answered {code}{details}: {advice}");
    Error::Refused(Box::new(Refusal { status, code, http_status, text }))
}

/// Whether the portal's plan lacks reservations (`clear=0`).
pub fn is_without_reservations(error: &Error) -> bool {
    error.code() == "WRONG_LICENSE" && !error.to_string().contains("auth_connector")
}

fn classify(code: &str, description: &str, http_status: u16) -> (Status, &'static str) {
    match code.to_ascii_uppercase().as_str() {
        "EXPIRED_TOKEN" => (
            Status::Auth,
            "the access token has expired and cannot be renewed; set auth.refresh_token, auth.client_id and \
             auth.client_secret, or set a new access token",
        ),
        "NO_AUTH_FOUND" | "INVALID_TOKEN" => (
            Status::Auth,
            "the access token is not valid on this portal; check portal.url and auth.access_token, or authorize the \
             application again",
        ),
        "INVALID_GRANT" => (
            Status::Auth,
            "the refresh token was used before or has expired; authorize the application again, and store every new \
             pair that the tokens callback reports",
        ),
        "INVALID_CLIENT" | "WRONG_CLIENT" => {
            (Status::Auth, "the application is unknown; check auth.client_id and auth.client_secret")
        }
        "INVALID_REQUEST" => (
            Status::Auth,
            "the authorization server did not understand the request; check auth.client_id, auth.client_secret and \
             auth.server",
        ),
        "ACCESS_DENIED" => (
            Status::AccessDenied,
            "the token belongs to a user who is not an administrator; use an administrator's token",
        ),
        "INSUFFICIENT_SCOPE" => (
            Status::AccessDenied,
            "the application lacks a scope; add it to the application (pull for the push server, crm for CRM events), \
             and authorize the application again",
        ),
        "WRONG_AUTH_TYPE" => (
            Status::WrongAuthType,
            "this method needs an application's (OAuth) token, not a webhook; register a local application",
        ),
        "WRONG_LICENSE" if description.contains("auth_connector") => (
            Status::License,
            "the portal's plan does not include queues with a connector id; change the plan, or leave connector.id empty",
        ),
        "WRONG_LICENSE" => (
            Status::License,
            "the portal's plan does not include this; to fetch records without it, set fetch.reserve to auto or no",
        ),
        "PAYMENT_REQUIRED" => {
            (Status::License, "the portal's plan or the application's subscription has expired; renew it")
        }
        "QUERY_LIMIT_EXCEEDED" => {
            (Status::RateLimit, "too many requests to this portal from this IP address; wait a few seconds and repeat")
        }
        "OPERATION_TIME_LIMIT" => (
            Status::RateLimit,
            "this method has used up its run time and is blocked for some minutes; repeat it later, and request \
             less at once",
        ),
        "OVERLOAD_LIMIT" => {
            (Status::RateLimit, "REST was blocked by the portal's owner or by Bitrix24; contact Bitrix24 support")
        }
        "ERROR_EVENT_NOT_FOUND" => {
            (Status::Portal, "there is no event with this name; the REST method events lists all of them")
        }
        "ERROR_METHOD_NOT_FOUND" => {
            (Status::Portal, "there is no method with this name, or the application lacks its scope; check both")
        }
        _ if http_status == 401 => {
            (Status::Auth, "the token was not accepted; check auth.access_token, or authorize the application again")
        }
        _ if http_status == 403 => (
            Status::AccessDenied,
            "the token's user or the application lacks the right to do this; check both on the portal",
        ),
        _ if http_status >= 500 => (Status::Portal, "the portal has an internal problem; repeat later"),
        _ => (Status::Portal, "see the documentation of the method"),
    }
}

/// A text from outside as it may appear in a message: on one line, and not too long.
fn short(text: &str, max_chars: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max_chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_a_status_and_advice() {
        for (http_status, code, status) in [
            (401, "expired_token", Status::Auth),
            (401, "NO_AUTH_FOUND", Status::Auth),
            (401, "invalid_token", Status::Auth),
            (400, "invalid_grant", Status::Auth),
            (403, "ACCESS_DENIED", Status::AccessDenied),
            (403, "insufficient_scope", Status::AccessDenied),
            (403, "WRONG_AUTH_TYPE", Status::WrongAuthType),
            (403, "WRONG_LICENSE", Status::License),
            (503, "QUERY_LIMIT_EXCEEDED", Status::RateLimit),
            (429, "OPERATION_TIME_LIMIT", Status::RateLimit),
            (503, "OVERLOAD_LIMIT", Status::RateLimit),
            (400, "ERROR_EVENT_NOT_FOUND", Status::Portal),
            (400, "SOMETHING_NEW", Status::Portal),
            (403, "SOMETHING_NEW", Status::AccessDenied),
        ] {
            let error = to_error(http_status, code, "as the portal says");
            assert_eq!(error.status(), status, "{code}");
            assert_eq!((error.code(), error.http_status()), (code, http_status));
            assert!(error.to_string().contains(code) && error.to_string().contains("as the portal says"), "{error}");
        }
    }

    #[test]
    fn only_what_can_pass_without_a_change_is_transient() {
        assert!(to_error(503, "QUERY_LIMIT_EXCEEDED", "").is_transient());
        assert!(to_error(500, "INTERNAL", "").is_transient());
        for (http_status, code) in [(403, "ACCESS_DENIED"), (400, "invalid_grant"), (400, "X")] {
            assert!(!to_error(http_status, code, "").is_transient(), "{code}");
        }
    }
}
