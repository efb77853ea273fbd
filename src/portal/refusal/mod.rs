//! Error answers of the portal and of the authorization server: what they mean, and what to do about them
//! (docs/protocol.md §2, §2.3).

mod markdown;
mod table;

pub use markdown::markdown;

use crate::error::{Error, Meaning, Refusal, Status};
use table::{BY_HTTP_STATUS, OTHER, ROWS};

/// The code of an application whose installation is not finished. The portal itself is silent then.
pub const NOT_INSTALLED: &str = "APPLICATION_NOT_INSTALLED";

/// The error for an answer `{"error": code, "error_description": description}`.
pub fn to_error(http_status: u16, code: &str, description: &str) -> Error {
    let meaning = meaning_of(http_status, code, description);
    let code = short(code, 64);
    let description = short(description, 300);
    let what = match (code.as_str(), description.as_str()) {
        ("", "") => "the portal refused the call".to_owned(),
        ("", description) => format!("the portal refused the call ({description})"),
        (code, description) if description.is_empty() || description == code => format!("the portal answered {code}"),
        (code, description) => format!("the portal answered {code} ({description})"),
    };
    let text = format!("{what}: {}", meaning.english);
    Error::Refused(Box::new(Refusal { meaning, code, http_status, text }))
}

/// A refusal that the library foresees, so that the portal need not say it. `what`: what is wrong.
pub fn foreseen(code: &str, what: &str) -> Error {
    let meaning = meaning_of(0, code, "");
    let text = format!("{what}: {}", meaning.english);
    Error::Refused(Box::new(Refusal { meaning, code: code.to_owned(), http_status: 0, text }))
}

/// Whether the portal's plan lacks reservations (`clear=0`).
pub fn is_without_reservations(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if *refusal.meaning == *meaning_of(0, "WRONG_LICENSE", ""))
}

/// Whether the portal has refused the call before it ran it, because of its limits.
pub fn is_limit(error: &Error) -> bool {
    error.status() == Status::RateLimit && error.is_transient()
}

fn meaning_of(http_status: u16, code: &str, description: &str) -> &'static Meaning {
    let (code, description) = (code.to_ascii_uppercase(), description.to_lowercase());
    let mut rows = ROWS.iter().filter(|row| row.codes.contains(&code.as_str()));
    if let Some(row) = rows.find(|row| description.contains(row.words)) {
        return &row.meaning;
    }
    let by_status = BY_HTTP_STATUS.iter().find(|(statuses, _)| statuses.contains(&http_status));
    by_status.map_or(&OTHER, |(_, meaning)| meaning)
}

/// A text from outside as it may appear in a message: on one line, and not too long.
fn short(text: &str, max_chars: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max_chars).collect()
}

#[cfg(test)]
mod tests;
