//! REST calls: limits, tokens, and what is repeated when (protocol.md §2).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::answer::{Answer, Failure};
use super::limiter::Limiter;
use super::oauth::Tokens;
use super::params::{Params, check_method};
use crate::clock::Deadline;
use crate::config::{Address, Settings};
use crate::context::Context;
use crate::error::{Error, Result, Status};
use crate::lock;
use crate::log::Level;
use crate::net::http::Http;
use crate::secret::Secret;
use crate::state::family::TokenFamily;
use crate::state::tokens::TokenPair;

/// Whether a call may run twice when it is not known if it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Running it twice does the same as once.
    Yes,
    /// It is only repeated when the portal has surely not run it.
    No,
}

/// Pauses before repeats: this, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Repeats after a trouble of the network or the portal; limits are waited for until the call's time is over.
const MOST_REPEATS: u32 = 3;
/// The longest pause between two repeats.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The portal's REST interface as one client uses it. Blocking; safe for any number of threads.
pub struct Portal {
    http: Http,
    tokens: Tokens,
    limiter: Option<Arc<Limiter>>,
    /// `https://…/rest`, without a slash at the end.
    rest: Mutex<Arc<str>>,
    connector_id: String,
    /// Host and port of `portal.url`, as [`domain_of`] spells them.
    domain: String,
    allow_plain: bool,
    timeout: Duration,
    ctx: Context,
}

impl Portal {
    /// Nothing is sent yet.
    pub fn new(settings: &Settings, tokens: Tokens, ctx: Context) -> Portal {
        let now = ctx.clock.now();
        let limiter = (settings.rate_per_second > 0.0)
            .then(|| Limiter::of(settings.portal.origin(), settings.rate_burst, settings.rate_per_second, now));
        let portal = Portal {
            http: Http::new(settings, ctx.cancel.clone(), None),
            limiter,
            rest: Mutex::new(format!("{}/rest", settings.portal.origin()).into()),
            connector_id: settings.connector_id.clone(),
            domain: domain_of(settings.portal.origin()),
            allow_plain: settings.allow_plain,
            timeout: settings.call_timeout,
            tokens,
            ctx,
        };
        portal.follow(&portal.tokens.pair());
        portal
    }

    /// The source key of this client's queue, `""` for the queue without one.
    pub fn connector_id(&self) -> &str {
        &self.connector_id
    }

    /// Interrupts calls in flight.
    pub fn shutdown(&self) {
        self.http.shutdown();
    }

    /// The pair of tokens in use.
    pub fn tokens(&self) -> TokenPair {
        self.tokens.pair()
    }

    /// The token family in use.
    pub fn token_family(&self) -> TokenFamily {
        self.tokens.to_carry()
    }

    /// Uses a token family that was carried from elsewhere, unless ours is newer.
    pub fn restore_tokens(&self, family: TokenFamily) -> Result<()> {
        let stored = self.tokens.restore(family);
        self.follow(&self.tokens.pair());
        stored
    }

    /// Uses tokens that the host (`by_host`) or an installation has brought, unless they are known and outdated. They are
    /// used even when they cannot be stored, which is the error then.
    pub fn present_tokens(&self, pair: TokenPair, by_host: bool) -> Result<()> {
        let stored = self.tokens.present(pair, by_host);
        self.follow(&self.tokens.pair());
        stored
    }

    /// The application was uninstalled: its tokens are dead.
    pub fn retire_tokens(&self) {
        self.tokens.retire();
    }

    /// Waits for a renewal of the tokens that is under way, for 20 s at most.
    pub fn wait_for_renewal(&self) {
        self.tokens.wait_for_renewal();
    }

    /// Buys the first pair of tokens with an authorization code and uses it.
    pub fn authorize(&self, code: &str) -> Result<()> {
        self.ctx.cancel.check()?;
        let stored = self.tokens.authorize(code);
        self.follow(&self.tokens.pair());
        stored
    }

    /// Whether there is a token to make calls with.
    pub fn has_token(&self) -> bool {
        !self.tokens.access().is_empty() || self.tokens.has_fallback()
    }

    /// Whether this access token is the one in use, or was.
    pub fn knows_token(&self, access: &Secret) -> bool {
        self.tokens.knows(access)
    }

    /// A pair that came with an event; it stands in when ours has expired and cannot be renewed.
    pub fn offer_fallback_tokens(&self, pair: TokenPair) {
        self.tokens.offer_fallback(pair);
    }

    /// Whether this is the portal's host (and port), by its configured address or by the one it has now.
    pub fn is_domain(&self, domain: &str) -> bool {
        let domain = domain_of(domain);
        !domain.is_empty() && (domain == self.domain || domain == domain_of(&lock(&self.rest)))
    }

    /// Calls a method without parameters once, with a token that is not ours.
    pub(super) fn call_as(&self, token: &Secret, method: &str, timeout: Duration) -> Result<Answer> {
        self.ctx.cancel.check()?;
        let deadline = Deadline::after(timeout.min(self.timeout), self.ctx.clock.now());
        if let Some(limiter) = &self.limiter {
            limiter.turn(deadline, &*self.ctx.clock, &self.ctx.cancel)?;
        }
        self.send(method, &Params::parse(method, "")?, token, deadline).map_err(|failure| failure.error)
    }

    /// Calls a method with parameters that serialize to a JSON object. Token and source key are added.
    /// Blocks for at most `http.timeout_ms`, repeats and pauses included.
    pub fn call(&self, method: &str, params: &serde_json::Value, repeat: Repeat) -> Result<Answer> {
        self.call_json(method, &params.to_string(), repeat)
    }

    /// The same with the parameters as JSON text: an object, or `[]` or nothing for none.
    pub fn call_json(&self, method: &str, params: &str, repeat: Repeat) -> Result<Answer> {
        check_method(method)?;
        let params = Params::parse(method, params)?;
        let deadline = Deadline::after(self.timeout, self.ctx.clock.now());
        let mut renewed = false;
        let mut attempt = 0;
        loop {
            self.ctx.cancel.check()?;
            if let Some(limiter) = &self.limiter {
                limiter.turn(deadline, &*self.ctx.clock, &self.ctx.cancel)?;
            }
            // Read after the turn has come: it may have taken longer than the token lived.
            let token = self.token(deadline)?;
            let failure = match self.send(method, &params, &token, deadline) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let expired = failure.error.code().eq_ignore_ascii_case("expired_token");
            if expired && !renewed && self.tokens.can_renew() {
                renewed = true;
                self.renew(&token, deadline)?;
                continue;
            }
            let pause = self.pause_before_repeat(&failure, repeat, attempt, deadline).ok_or(failure.error)?;
            self.ctx.cancel.sleep(pause)?;
            attempt += 1;
        }
    }

    fn token(&self, deadline: Deadline) -> Result<Secret> {
        let mut token = self.tokens.access();
        if token.is_empty() && self.tokens.has_fallback() {
            self.renew(&token, deadline)?;
            token = self.tokens.access();
        }
        if token.is_empty() {
            return Err(Error::Config(
                "auth.access_token is not set; set it, restore a state that holds tokens, authorize with a code, or let the handler take the application's installation"
                    .into(),
            ));
        }
        if !self.tokens.expires_soon() {
            return Ok(token);
        }
        match self.renew(&token, deadline) {
            // It is good for a little longer, and a repeat comes with the next call.
            Err(error) if error.is_transient() => Ok(token),
            Err(error) => Err(error),
            Ok(()) => Ok(self.tokens.access()),
        }
    }

    fn renew(&self, stale: &Secret, deadline: Deadline) -> Result<()> {
        if self.tokens.renew(stale, deadline)? {
            self.ctx.stats.renewals.add(1);
            self.ctx.log.write(Level::Info, || "tokens renewed".into());
        }
        // Whoever has bought the pair: it tells where the portal is now.
        self.follow(&self.tokens.pair());
        self.ctx.cancel.check()
    }

    /// The portal may have been renamed; its authorization server tells the address that is right now.
    fn follow(&self, pair: &TokenPair) {
        if let Ok(address) = Address::parse(&pair.client_endpoint, self.allow_plain) {
            let rest = format!("{}{}", address.origin(), address.path().trim_end_matches('/'));
            *lock(&self.rest) = rest.into();
        }
    }

    fn left(&self, deadline: Deadline) -> Duration {
        // ureq takes zero for "no time at all"; the call then fails with its own text.
        deadline.left(self.ctx.clock.now())
    }

    fn send(&self, method: &str, params: &Params, token: &Secret, deadline: Deadline) -> Result<Answer, Failure> {
        let body = params.with(token, &self.connector_id);
        let url = format!("{}/{method}.json", lock(&self.rest));
        self.ctx.stats.requests.add(1);
        let answer = self.http.post_json(&url, &body, self.left(deadline)).map_err(Failure::plain)?;
        self.ctx.log.write(Level::Debug, || format!("{method}: HTTP {}, {} bytes", answer.status, answer.body.len()));
        let outcome = Answer::read(method, answer.status, answer.body, |text| self.tokens.redact(text));
        if let Some(limiter) = &self.limiter {
            match &outcome {
                Err(failure) if failure.error.code() == "QUERY_LIMIT_EXCEEDED" => limiter.refused(self.ctx.clock.now()),
                _ => limiter.passed(),
            }
        }
        outcome
    }

    /// How long to wait before the call is sent again; `None` when it is not.
    fn pause_before_repeat(
        &self,
        failure: &Failure,
        repeat: Repeat,
        attempt: u32,
        deadline: Deadline,
    ) -> Option<Duration> {
        let error = &failure.error;
        let limited = error.status() == Status::RateLimit && error.is_transient();
        if !limited && (repeat == Repeat::No || !error.is_transient() || attempt >= MOST_REPEATS) {
            return None;
        }
        let growing = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(attempt)).min(LONGEST_PAUSE);
        let until_free = Duration::from_secs(failure.blocked_until.saturating_sub(self.ctx.clock.unix()));
        let pause = if error.code() == "OPERATION_TIME_LIMIT" { growing.max(until_free) } else { growing };
        if pause >= self.left(deadline) {
            return None;
        }
        self.ctx.log.write(Level::Warning, || format!("repeating in {} ms: {error}", pause.as_millis()));
        Some(pause)
    }
}

/// Host and port of an address or of what the portal calls `domain`: in small letters, without a port that goes without
/// saying.
fn domain_of(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let authority = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let usual = if scheme == "http" { ":80" } else { ":443" };
    authority.strip_suffix(usual).unwrap_or(&authority).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_the_same_in_every_spelling() {
        for same in
            ["my.bitrix24.ru", "MY.Bitrix24.ru:443", "https://my.bitrix24.ru/rest/", "https://my.bitrix24.ru:443"]
        {
            assert_eq!(domain_of(same), "my.bitrix24.ru", "{same}");
        }
        assert_eq!(domain_of("http://127.0.0.1:8080/rest"), domain_of("127.0.0.1:8080"));
        assert_eq!(domain_of("http://portal:80"), "portal");
        assert_ne!(domain_of("my.bitrix24.ru.evil.example"), domain_of("my.bitrix24.ru"));
    }
}
