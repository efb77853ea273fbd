//! The application's tokens and their renewal (protocol.md §2.3).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;

use super::http::Http;
use super::{php, refusal};
use crate::clock::Clock;
use crate::config::{Address, Settings};
use crate::error::{Error, Result};
use crate::lock;
use crate::secret::Secret;

/// A pair of tokens and what came with it.
#[derive(Clone, Debug)]
pub struct TokenPair {
    /// Sent with every call.
    pub access: Secret,
    /// Buys the next pair, once.
    pub refresh: Secret,
    /// When `access` expires by this computer's clock, seconds since 1970; 0 when not known.
    pub expires: u64,
    /// The portal's REST address, or empty when the answer did not name it.
    pub client_endpoint: String,
    /// The portal's lasting id, or empty.
    pub member_id: String,
}

/// Told of every new pair before it is used, so that it is stored first. An error keeps the pair from being lost
/// silently: it is used all the same, because the old one is dead, and the error is logged.
pub type TokensSink = Arc<dyn Fn(&TokenPair) -> Result<()> + Send + Sync>;

/// A token is renewed this long before it expires, so that it does not expire on the way.
const MARGIN: Duration = Duration::from_secs(30);

/// Holds the current pair; renews it one at a time.
pub struct Tokens {
    current: Mutex<TokenPair>,
    renewing: Mutex<()>,
    client_id: String,
    client_secret: Secret,
    server: Address,
    sink: TokensSink,
    clock: Arc<dyn Clock>,
}

impl Tokens {
    /// The pair that the settings hold.
    pub fn new(settings: &Settings, sink: TokensSink, clock: Arc<dyn Clock>) -> Tokens {
        Tokens {
            current: Mutex::new(TokenPair {
                access: settings.access_token.clone(),
                refresh: settings.refresh_token.clone(),
                expires: settings.expires,
                client_endpoint: String::new(),
                member_id: String::new(),
            }),
            renewing: Mutex::new(()),
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone(),
            server: settings.auth_server.clone(),
            sink,
            clock,
        }
    }

    /// The pair in use.
    pub fn pair(&self) -> TokenPair {
        lock(&self.current).clone()
    }

    /// Uses this pair from now on.
    pub fn replace(&self, pair: TokenPair) {
        *lock(&self.current) = pair;
    }

    /// The access token to use now.
    pub fn access(&self) -> Secret {
        lock(&self.current).access.clone()
    }

    /// Whether the current token is about to expire and can be renewed.
    pub fn is_due(&self) -> bool {
        let current = lock(&self.current);
        let known = current.expires != 0 && !current.refresh.is_empty();
        known && self.clock.unix() + MARGIN.as_secs() >= current.expires
    }

    /// Whether there is what a renewal needs.
    pub fn can_renew(&self) -> bool {
        !lock(&self.current).refresh.is_empty()
    }

    /// Replaces every secret of ours in a text that came from outside.
    pub fn redact(&self, text: &str) -> String {
        let current = lock(&self.current);
        let secrets = [&current.access, &current.refresh, &self.client_secret];
        secrets
            .into_iter()
            .filter(|secret| !secret.is_empty())
            .fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "***"))
    }

    /// Renews the pair, unless another thread has done so since `stale` was read. Returns the new pair when this call
    /// made it, and whether it could be stored. Only one renewal runs at a time: a refresh token works once.
    pub fn renew(&self, stale: &Secret, http: &Http, timeout: Duration) -> Result<Option<(TokenPair, Result<()>)>> {
        let _alone = lock(&self.renewing);
        let refresh = {
            let current = lock(&self.current);
            if current.access != *stale {
                return Ok(None);
            }
            current.refresh.clone()
        };
        let url = format!("{}/oauth/token/", self.server.origin());
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.expose()),
            ("refresh_token", refresh.expose()),
        ];
        let answer = http.post_form(&url, &fields, timeout)?;
        let pair = self.read(answer.status, &answer.body)?;
        // Stored before it is used: if we die now, the new pair is not lost with us.
        let stored = (self.sink)(&pair);
        *lock(&self.current) = pair.clone();
        Ok(Some((pair, stored)))
    }

    fn read(&self, http_status: u16, body: &[u8]) -> Result<TokenPair> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: Option<Secret>,
            refresh_token: Option<Secret>,
            #[serde(default, deserialize_with = "php::number")]
            expires_in: u64,
            #[serde(default, deserialize_with = "php::text")]
            client_endpoint: String,
            #[serde(default, deserialize_with = "php::text")]
            member_id: String,
            #[serde(default, deserialize_with = "php::text")]
            error: String,
            #[serde(default, deserialize_with = "php::text")]
            error_description: String,
        }
        let unreadable = || Error::Protocol {
            text: format!(
                "the authorization server {} answered HTTP {http_status} without tokens; check auth.server",
                self.server
            ),
            http_status,
        };
        let answer: Answer = serde_json::from_slice(body).map_err(|_| unreadable())?;
        if !answer.error.is_empty() {
            return Err(refusal::refused(http_status, &answer.error, &self.redact(&answer.error_description)));
        }
        match (answer.access_token, answer.refresh_token) {
            (Some(access), Some(refresh)) if !access.is_empty() && !refresh.is_empty() => Ok(TokenPair {
                access,
                refresh,
                // By our own clock: the server's may differ by hours.
                expires: if answer.expires_in == 0 { 0 } else { self.clock.unix() + answer.expires_in },
                client_endpoint: answer.client_endpoint,
                member_id: answer.member_id,
            }),
            _ => Err(unreadable()),
        }
    }
}
