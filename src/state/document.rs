//! The state as JSON, for `state.dir`, the host's own database and `auth.tokens_file`. Holds tokens.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::family::TokenFamily;
use super::strangers::StoredStrangers;
use super::tokens::TokenPair;
use crate::config::{Address, PlainHttp};
use crate::secret::Secret;

/// The version that is written. Version 1 is read too; a later one may hold what this version would lose.
const VERSION: u32 = 2;

/// The document. Missing parts are empty.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct Document {
    version: u32,
    /// Whose state this is; documents of version 1 do not say it.
    #[serde(skip_serializing_if = "PortalName::is_empty")]
    pub(super) portal: PortalName,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) client_id: String,
    pub(super) connector_id: String,
    tokens: Option<Tokens>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) application_token: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reservations: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) failed_reservations: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) removed: Vec<Vec<Box<RawValue>>>,
    #[serde(skip_serializing_if = "StoredStrangers::is_empty")]
    pub(super) strangers: StoredStrangers,
}

/// What names a portal: its address and its lasting id, either of which may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortalName {
    /// Scheme, host and port.
    pub origin: String,
    /// `member_id`, which stays when a portal is renamed.
    pub member_id: String,
}

impl PortalName {
    fn is_empty(&self) -> bool {
        self.origin.is_empty() && self.member_id.is_empty()
    }

    /// The name to store together with a token family, which may know the lasting id.
    pub(super) fn with_member_id_of(&self, family: &TokenFamily) -> PortalName {
        let known = Some(family.pair().member_id.as_str()).filter(|id| !id.is_empty());
        PortalName { origin: self.origin.clone(), member_id: known.unwrap_or(&self.member_id).to_owned() }
    }

    /// Whether `stored`, which was found with `family`, names this portal. A portal is the same under the same
    /// `member_id`; where that is not known on both sides, under the same address or the one that its tokens name.
    pub(super) fn is_portal_of(&self, stored: &PortalName, family: &TokenFamily) -> bool {
        if !stored.member_id.is_empty() && !self.member_id.is_empty() {
            return stored.member_id.eq_ignore_ascii_case(&self.member_id);
        }
        let named = Address::parse(&family.pair().client_endpoint, PlainHttp::Always);
        stored.origin.is_empty()
            || stored.origin.eq_ignore_ascii_case(&self.origin)
            || named.is_ok_and(|address| address.origin().eq_ignore_ascii_case(&self.origin))
    }
}

impl std::fmt::Display for PortalName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.origin.as_str(), self.member_id.as_str()) {
            (origin, "") => f.write_str(origin),
            (origin, member_id) => write!(f, "{origin} (member_id {member_id})"),
        }
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Tokens {
    authorizations: u64,
    generation: u64,
    access_token: String,
    refresh_token: String,
    expires: u64,
    lifetime: u64,
    client_endpoint: String,
    member_id: String,
    ancestors: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    renewal_begun: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refresh_refused: bool,
    /// Version 1: earlier access tokens in full.
    #[serde(rename = "roots", skip_serializing)]
    earlier: Vec<String>,
    /// Version 1, in a tokens file.
    #[serde(skip_serializing)]
    client_id: String,
}

/// Why a text is no document of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is cut, or something else. Nothing of it may be quoted.
    NoState,
    /// It was written by another version of the library.
    Version(u32),
}

impl Document {
    /// Reads a state.
    pub(super) fn read(text: &str) -> Result<Document, Unreadable> {
        let document: Document = serde_json::from_str(without_mark(text)).map_err(|_| Unreadable::NoState)?;
        match document.version {
            0 => Err(Unreadable::NoState),
            1 | VERSION => Ok(document),
            version => Err(Unreadable::Version(version)),
        }
    }

    /// Reads a tokens file, which was a bare pair of tokens in version 1.
    pub(super) fn read_tokens(text: &str) -> Result<Document, Unreadable> {
        #[derive(Deserialize)]
        struct Version {
            version: Option<u32>,
        }
        let text = without_mark(text);
        if let Ok(Version { version: Some(_) }) = serde_json::from_str(text) {
            return Document::read(text);
        }
        let tokens: Tokens = serde_json::from_str(text).map_err(|_| Unreadable::NoState)?;
        if tokens.access_token.is_empty() {
            return Err(Unreadable::NoState);
        }
        Ok(Document { client_id: tokens.client_id.clone(), tokens: Some(tokens), ..Document::default() })
    }

    /// The token family it holds.
    pub(super) fn family(&self) -> Result<TokenFamily, Unreadable> {
        let Some(tokens) = &self.tokens else { return Ok(TokenFamily::none()) };
        let pair = if tokens.access_token.is_empty() {
            TokenPair::none()
        } else {
            TokenPair {
                access: Secret::new(tokens.access_token.as_str()),
                refresh: Secret::new(tokens.refresh_token.as_str()),
                expires: tokens.expires,
                lifetime: tokens.lifetime,
                client_endpoint: tokens.client_endpoint.clone(),
                member_id: tokens.member_id.clone(),
            }
        };
        if self.version == VERSION {
            let family = TokenFamily::stored(tokens.generation, pair, &tokens.ancestors).ok_or(Unreadable::NoState)?;
            return Ok(family.with_notes(tokens.authorizations, tokens.renewal_begun, tokens.refresh_refused));
        }
        let mut family = TokenFamily::none();
        for token in tokens.earlier.iter().filter(|token| !token.is_empty() && **token != tokens.access_token) {
            family.succeed(TokenPair { access: Secret::new(token.as_str()), ..TokenPair::none() });
        }
        if pair.is_none() {
            // It was uninstalled.
            family.retire();
        } else {
            family.succeed(pair);
        }
        Ok(family)
    }

    /// A document with this family.
    pub(super) fn with(family: &TokenFamily) -> Document {
        let pair = family.pair();
        let tokens = Tokens {
            authorizations: family.authorizations(),
            generation: family.generation(),
            access_token: pair.access.expose().to_owned(),
            refresh_token: pair.refresh.expose().to_owned(),
            expires: pair.expires,
            lifetime: pair.lifetime,
            client_endpoint: pair.client_endpoint.clone(),
            member_id: pair.member_id.clone(),
            ancestors: family.ancestors(),
            renewal_begun: family.renewal_begun(),
            refresh_refused: family.is_refused(),
            ..Tokens::default()
        };
        let tokens = Some(tokens).filter(|_| family.generation() > 0);
        Document { version: VERSION, tokens, ..Document::default() }
    }

    /// Puts another family in the place of the one it holds.
    pub(super) fn set_family(&mut self, family: &TokenFamily) {
        let Document { version, tokens, .. } = Document::with(family);
        (self.version, self.tokens) = (version, tokens);
    }

    /// The JSON.
    pub(super) fn to_json(&self) -> String {
        // Texts, numbers and JSON that was read as such: nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Editors and some hosts put a byte order mark in front of UTF-8.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let mut family = TokenFamily::new(TokenPair { access: Secret::new("t1"), ..TokenPair::none() });
        family.succeed(TokenPair { access: Secret::new("t2"), expires: 7, ..TokenPair::none() });
        family.begin_renewal(5);
        family.refuse();
        let written =
            Document { connector_id: "OneC".into(), reservations: vec!["p".into()], ..Document::with(&family) };
        for text in [written.to_json(), format!("\u{feff}{}", written.to_json())] {
            let read = Document::read(&text).unwrap();
            let family = read.family().unwrap();
            assert_eq!((family.pair().access.expose(), family.pair().expires, family.generation()), ("t2", 7, 2));
            assert!(family.is_refused());
            assert_eq!((family.renewal_begun(), read.connector_id.as_str()), (Some(5), "OneC"));
            assert_eq!(read.reservations, ["p"]);
        }
        assert!(!written.to_json().contains("t1"), "ancestors are hashes");
        assert_eq!(Document::with(&TokenFamily::none()).to_json(), r#"{"version":2,"connector_id":"","tokens":null}"#);
    }

    #[test]
    fn version_1_is_carried_over() {
        let tokens = r#"{"roots":["t0","t1"],"access_token":"t1","refresh_token":"r","expires":7,"lifetime":3600,
            "client_endpoint":"https://x/rest/","member_id":"m","client_id":"app"}"#;
        let state = format!(
            r#"{{"version":1,"connector_id":"OneC","tokens":{tokens},"reservations":["p"],"removed":[],"seen":{{}}}}"#
        );
        let state = Document::read(&state).unwrap();
        let file = Document::read_tokens(tokens).unwrap();
        assert_eq!(file.client_id, "app");
        for family in [state.family().unwrap(), file.family().unwrap()] {
            assert_eq!((family.pair().access.expose(), family.generation()), ("t1", 2));
            assert!(family.knows(&Secret::new("t0")));
            assert_eq!((family.pair().refresh.expose(), family.pair().member_id.as_str()), ("r", "m"));
        }
    }

    #[test]
    fn an_uninstallation_of_version_1_leaves_no_pair() {
        let state = r#"{"version":1,"tokens":{"roots":["t0","t1"],"access_token":""}}"#;
        let family = Document::read(state).unwrap().family().unwrap();
        assert!(family.pair().is_none() && family.knows(&Secret::new("t1")));
    }

    #[test]
    fn what_came_with_no_access_token_is_nothing() {
        let text = r#"{"version":2,"tokens":{"refresh_token":"r","expires":7,"member_id":"m"}}"#;
        assert_eq!(Document::read(text).unwrap().family().unwrap(), TokenFamily::none());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "planted", "{}", "[]", r#"{"version":2,"tokens":"planted"}"#, r#"{"version":1"#] {
            assert!(Document::read(text).is_err(), "{text}");
            assert!(Document::read_tokens(text).is_err(), "{text}");
        }
        assert_eq!(Document::read(r#"{"version":3}"#).err(), Some(Unreadable::Version(3)));
        assert_eq!(Document::read_tokens(r#"{"version":3}"#).err(), Some(Unreadable::Version(3)));
        let bad = r#"{"version":2,"tokens":{"access_token":"t","ancestors":"?"}}"#;
        assert!(Document::read(bad).unwrap().family().is_err());
    }
}
