use super::*;
use crate::error::Passes;

#[test]
fn each_refusal_of_the_protocol_has_its_meaning() {
    use Passes::{Never, Slowly, Soon};
    for (http_status, code, description, status, passes) in [
        (401, "expired_token", "The access token provided has expired.", Status::Auth, Never),
        (401, "CONNECTION_ERROR", "Error connecting to authorization server", Status::Portal, Soon),
        (503, "QUERY_LIMIT_EXCEEDED", "Too many requests", Status::RateLimit, Soon),
        (429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", Status::RateLimit, Soon),
        (500, "INTERNAL_SERVER_ERROR", "Internal server error", Status::Portal, Soon),
        (200, "INTERNAL_SERVER_ERROR", "as batch tells it", Status::Portal, Soon),
        (502, "SOMETHING_NEW", "", Status::Portal, Soon),
        (403, "PORTAL_DELETED", "Portal was deleted", Status::Portal, Slowly),
        (500, "PORTAL_DELETED", "Portal was deleted", Status::Portal, Slowly),
        (
            400,
            "ERROR_CORE",
            "Unable to set event handler: Process of binding the handler has already started",
            Status::Portal,
            Soon,
        ),
        (400, "ERROR_CORE", "Unable to set event handler: something else", Status::Portal, Never),
        (503, "OVERLOAD_LIMIT", "REST API is blocked due to overload.", Status::RateLimit, Never),
        (401, "NO_AUTH_FOUND", "Wrong authorization data", Status::Auth, Never),
        (401, "invalid_token", "Unable to get application by token", Status::Auth, Never),
        (403, "ACCESS_DENIED", "Access denied! Offline events binding requires …", Status::AccessDenied, Never),
        (401, "ACCESS_DENIED", "REST is available only on commercial plans.", Status::License, Never),
        (401, "ACCESS_DENIED", "Current user can't be authorized in this context", Status::AccessDenied, Never),
        (401, "user_access_error", "The user does not have access to the application.", Status::AccessDenied, Never),
        (401, "authorization_error", "Unable to authorize user", Status::AccessDenied, Never),
        (401, "APPLICATION_NOT_FOUND", "Application not found", Status::Auth, Never),
        (402, "PAYMENT_REQUIRED", "Payment required", Status::License, Never),
        (403, "WRONG_AUTH_TYPE", "Current authorization type is denied for this method", Status::WrongAuthType, Never),
        (403, "WRONG_LICENSE", "… current license: auth_connector", Status::License, Never),
        (403, "WRONG_LICENSE", "… current license: extended offline events handling", Status::License, Never),
        (401, "insufficient_scope", "The request requires higher privileges", Status::AccessDenied, Never),
        (500, "SERVER_ERROR", "Push & Pull server is not configured", Status::Portal, Never),
        (500, "SERVER_ERROR", "something else", Status::Portal, Soon),
        (403, "INVALID_REQUEST", "Https required.", Status::Config, Never),
        (400, "invalid_request", "", Status::Auth, Never),
        (400, "ERROR_EVENT_NOT_FOUND", "Event not found", Status::Portal, Never),
        (400, "invalid_grant", "", Status::Auth, Never),
        (400, "invalid_client", "", Status::Auth, Never),
        (400, "wrong_client", "", Status::Auth, Never),
        (400, "", "Not found", Status::Portal, Never),
        (400, "SOMETHING_NEW", "", Status::Portal, Never),
        (401, "SOMETHING_NEW", "", Status::Auth, Never),
        (403, "SOMETHING_NEW", "", Status::AccessDenied, Never),
        (500, "", "", Status::Portal, Soon),
    ] {
        let error = to_error(http_status, code, description);
        assert_eq!(error.status(), status, "{code} {description}");
        assert_eq!((error.code(), error.http_status()), (code, http_status));
        assert!(error.to_string().contains(code) && error.to_string().contains(description), "{error}");
        assert!(matches!(&error, Error::Refused(refusal) if refusal.meaning.passes == passes), "{code} {description}");
        assert_eq!(error.is_transient(), passes != Never, "{code} {description}");
    }
}

#[test]
fn advice_names_what_to_change() {
    for (http_status, code, description, advice) in [
        (401, "ACCESS_DENIED", "REST is available only on commercial plans", "change the plan"),
        (403, "ACCESS_DENIED", "Access denied!", "administrator's token"),
        (403, "WRONG_LICENSE", "Feature: auth_connector", "connector.id"),
        (403, "WRONG_LICENSE", "Feature: extended offline events handling", "fetch.reserve"),
        (403, "INVALID_REQUEST", "Https required.", "portal.url"),
        (500, "SERVER_ERROR", "Push & Pull server is not configured", "switch it on"),
        (401, "APPLICATION_NOT_FOUND", "", "install it"),
        (400, "", "Not found", "parameters"),
    ] {
        let text = to_error(http_status, code, description).to_string();
        assert!(text.contains(advice), "{text}");
    }
}

#[test]
fn only_a_refused_reservation_is_a_plan_without_them() {
    assert!(is_without_reservations(&to_error(403, "WRONG_LICENSE", "extended offline events handling")));
    for (code, description) in
        [("WRONG_LICENSE", "auth_connector"), ("PAYMENT_REQUIRED", ""), ("ACCESS_DENIED", "only on commercial plans")]
    {
        assert!(!is_without_reservations(&to_error(403, code, description)), "{code}");
    }
}

#[test]
fn every_row_can_be_reached() {
    for row in &ROWS {
        for code in row.codes {
            assert!(std::ptr::eq(meaning_of(0, code, row.words), &row.meaning), "{code} {}", row.words);
            assert_eq!(*code, code.to_ascii_uppercase());
        }
        assert_eq!(row.words, row.words.to_lowercase());
    }
}

#[test]
fn every_meaning_is_told_in_both_languages() {
    let all = ROWS.iter().map(|row| &row.meaning).chain(BY_HTTP_STATUS.iter().map(|(_, meaning)| meaning));
    for meaning in all.chain([&OTHER]) {
        assert!(meaning.english.is_ascii() && !meaning.english.ends_with('.'), "{}", meaning.english);
        assert!(meaning.russian.chars().any(|c| matches!(c, 'а'..='я')), "{}", meaning.russian);
        assert!(!meaning.russian.ends_with('.'), "{}", meaning.russian);
    }
}
