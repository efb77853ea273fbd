//! The authorization server, which sells pairs of tokens (docs/protocol.md §2.3).

use std::sync::Arc;
use std::time::Duration;

use once_cell::sync::OnceCell;
use serde::Deserialize;

use crate::cancel::Cancellation;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::net::http::Http;
use crate::portal::{php, refusal};
use crate::secret::Secret;
use crate::state::tokens::TokenPair;

/// Sells pairs of tokens. `now` is in seconds since 1970.
pub trait TokenServer: Send + Sync {
    /// The application's secret, to be kept out of texts.
    fn client_secret(&self) -> &Secret;

    /// The first pair, for an authorization code, which lives for 30 seconds.
    fn exchange_code(&self, code: &str, now: u64) -> Result<TokenPair>;

    /// The pair that follows; the refresh token is dead afterwards.
    fn refresh(&self, refresh: &Secret, now: u64) -> Result<TokenPair>;
}

/// The vendor's authorization server.
pub struct AuthServer {
    settings: Arc<Settings>,
    /// Not interrupted by the client's end: an answer that gets lost takes the application's tokens with it. Made when it
    /// is needed, as many clients never renew.
    http: OnceCell<Http>,
}

/// The longest that a request may take. The end of a client waits a little longer, as the answer has to be stored.
const TIMEOUT: Duration = Duration::from_secs(15);

impl TokenServer for AuthServer {
    fn client_secret(&self) -> &Secret {
        &self.settings.client_secret
    }

    fn exchange_code(&self, code: &str, now: u64) -> Result<TokenPair> {
        self.request("authorization_code", ("code", code), now)
    }

    fn refresh(&self, refresh: &Secret, now: u64) -> Result<TokenPair> {
        self.request("refresh_token", ("refresh_token", refresh.expose()), now)
    }
}

impl AuthServer {
    /// As configured.
    pub fn new(settings: &Arc<Settings>) -> AuthServer {
        AuthServer { settings: settings.clone(), http: OnceCell::new() }
    }

    fn request(&self, grant: &str, with: (&str, &str), now: u64) -> Result<TokenPair> {
        if self.settings.client_id.is_empty() || self.settings.client_secret.is_empty() {
            return Err(Error::Config(
                "auth.client_id and auth.client_secret are not set; set both, tokens cannot be had without them".into(),
            ));
        }
        // In the body: addresses land in logs.
        let url = format!("{}/oauth/token/", self.settings.auth_server.origin());
        let fields = [
            ("grant_type", grant),
            ("client_id", &self.settings.client_id),
            ("client_secret", self.settings.client_secret.expose()),
            with,
        ];
        let http = self.http.get_or_init(|| Http::new(&self.settings, Cancellation::default(), None));
        let answer = http.post_form(&url, &fields, TIMEOUT)?;
        self.read(answer.status, &answer.body, now)
    }

    fn read(&self, http_status: u16, body: &[u8], now: u64) -> Result<TokenPair> {
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
        }
        let unreadable = || Error::Protocol {
            text: format!(
                "the authorization server {} answered HTTP {http_status} without tokens; check auth.server",
                self.settings.auth_server
            ),
            http_status,
        };
        let answer: Answer = serde_json::from_slice(body).map_err(|_| unreadable())?;
        if !answer.error.is_empty() {
            // Its description is left out: it could quote what was sent, and the code says it all.
            return Err(refusal::to_error(http_status, &answer.error, ""));
        }
        match (answer.access_token, answer.refresh_token) {
            (Some(access), Some(refresh)) if !access.is_empty() && !refresh.is_empty() => Ok(TokenPair {
                access,
                refresh,
                // By our own clock: the server's may differ by hours.
                expires: if answer.expires_in == 0 { 0 } else { now.saturating_add(answer.expires_in) },
                lifetime: answer.expires_in,
                client_endpoint: answer.client_endpoint,
                member_id: answer.member_id,
            }),
            _ => Err(unreadable()),
        }
    }
}
