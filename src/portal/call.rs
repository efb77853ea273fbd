//! REST calls: request limits, tokens, and when a call is repeated (docs/protocol.md §2).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::answer::Answer;
use super::limiter::Limiter;
use super::oauth::Tokens;
use super::operating::{self, Operating, RunTime};
use super::params::{Params, check_method};
use super::refusal;
use super::reserving::Reserving;
use crate::clock::Deadline;
use crate::config::object_methods::ObjectMethod;
use crate::config::{Address, PlainHttp, Settings};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lock;
use crate::log::Level;
use crate::net::http::{Http, HttpResponse};
use crate::retry::{Backoff, Schedule, jittered};
use crate::secret::Secret;
use crate::state::family::TokenFamily;
use crate::state::tokens::TokenPair;

/// Whether a call is repeated if it is unknown whether the portal has run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Running it twice has the same effect as running it once.
    Yes,
    /// It is repeated only if the portal has certainly not run it.
    No,
}

/// The pauses before repeats.
const PAUSES: Schedule = Schedule::Doubling { first: Duration::from_millis(500), max: Duration::from_secs(10) };
/// The maximum number of repeats after a failure of the network or the portal. Repeats after the portal's limits are
/// bounded by the call's deadline instead.
const MAX_REPEATS: u32 = 3;

/// Where the portal is.
struct RestAddress {
    /// The `client_endpoint` that this is from.
    endpoint: String,
    /// `https://…/rest`, without a trailing slash.
    url: Arc<str>,
}

/// One client's access to the portal's REST interface. Calls block; any number of threads may make them at once.
pub struct Portal {
    http: Http,
    tokens: Tokens,
    limiter: Option<Arc<Limiter>>,
    pub(super) operating: Operating,
    pub(super) reserving: Reserving,
    /// What the host has configured.
    pub(super) object_methods: Vec<ObjectMethod>,
    rest_address: Mutex<RestAddress>,
    connector_id: String,
    /// Host and port of `portal.url`, as [`domain_of`] spells them.
    domain: String,
    plain_http: PlainHttp,
    timeout: Duration,
    pub(super) ctx: Context,
}

impl Portal {
    /// Sends nothing yet.
    pub fn new(settings: &Settings, tokens: Tokens, ctx: Context) -> Portal {
        let now = ctx.clock.now();
        let limiter = (settings.rate_per_second > 0.0)
            .then(|| Limiter::shared(settings.portal.origin(), settings.rate_burst, settings.rate_per_second, now));
        let url = format!("{}/rest", settings.portal.origin()).into();
        Portal {
            http: Http::new(settings, ctx.cancel.clone(), None),
            limiter,
            operating: Operating::default(),
            reserving: Reserving::new(),
            object_methods: settings.object_methods.clone(),
            rest_address: Mutex::new(RestAddress { endpoint: String::new(), url }),
            connector_id: settings.connector_id.clone(),
            domain: domain_of(settings.portal.origin()),
            plain_http: settings.plain_when_named(),
            timeout: settings.call_timeout,
            tokens,
            ctx,
        }
    }

    /// The connector id of this client's queue; `""` for the queue without one.
    pub fn connector_id(&self) -> &str {
        &self.connector_id
    }

    /// The agent that makes the calls; [`Portal::shutdown`] interrupts it.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// Interrupts all calls.
    pub fn shutdown(&self) {
        self.http.shutdown();
    }

    /// The current pair of tokens.
    pub fn tokens(&self) -> TokenPair {
        self.tokens.pair()
    }

    /// The token family in use.
    pub fn token_family(&self) -> TokenFamily {
        self.tokens.to_carry()
    }

    /// Uses a token family that comes from another state, unless ours is newer.
    pub fn restore_tokens(&self, family: TokenFamily) -> Result<()> {
        self.tokens.restore(family)
    }

    /// Uses tokens that come from the host (`by_host`) or from an installation, unless they are known to be
    /// outdated. If they cannot be stored, that is the error, but they are used nevertheless.
    pub fn present_tokens(&self, pair: TokenPair, by_host: bool) -> Result<()> {
        self.tokens.present(pair, by_host)
    }

    /// Discards the tokens, because the application was uninstalled.
    pub fn retire_tokens(&self) {
        self.tokens.retire();
    }

    /// Ends the client's part in its tokens: waits for a renewal under way, for 20 s at most, and reports nothing more.
    pub fn end_tokens(&self) {
        self.tokens.end();
    }

    /// Exchanges an authorization code for the first pair of tokens, and uses it.
    pub fn authorize(&self, code: &str) -> Result<()> {
        self.ctx.cancel.check()?;
        self.tokens.authorize(code)
    }

    /// Whether there is a token for calls.
    pub fn has_token(&self) -> bool {
        !self.tokens.access().is_empty() || self.tokens.has_fallback()
    }

    /// Whether this access token is the current one or an earlier one.
    pub fn knows_token(&self, access: &Secret) -> bool {
        self.tokens.knows(access)
    }

    /// Offers a pair that came with an event. It is used if ours has expired and cannot be renewed.
    pub fn offer_fallback_tokens(&self, pair: TokenPair) {
        self.tokens.offer_fallback(pair);
    }

    /// Whether this is the portal's host (and port), according to `portal.url` or to the portal's present address.
    pub fn is_domain(&self, domain: &str) -> bool {
        let domain = domain_of(domain);
        !domain.is_empty() && (domain == self.domain || domain == domain_of(&self.rest_url()))
    }

    /// Calls a method once, with a token other than the client's. `params` as for [`Portal::call_json`].
    pub(super) fn call_with_token(
        &self,
        token: &Secret,
        method: &str,
        params: &str,
        timeout: Duration,
    ) -> Result<Answer> {
        self.ctx.cancel.check()?;
        let deadline = Deadline::after(timeout.min(self.timeout), self.ctx.clock.now());
        if let Some(limiter) = &self.limiter {
            limiter.acquire(deadline, &*self.ctx.clock, &self.ctx.cancel)?;
        }
        self.send(method, &Params::parse(method, params)?, token, deadline)
    }

    /// Sends a form to another server than the portal.
    pub(super) fn post_form(&self, url: &str, fields: &[(&str, &str)], timeout: Duration) -> Result<HttpResponse> {
        self.ctx.cancel.check()?;
        self.http.post_form(url, fields, timeout.min(self.timeout))
    }

    /// Calls a method. `params` is a JSON object; token and connector id are added. Blocks for at most
    /// `http.timeout_ms`, including repeats and pauses.
    pub fn call(&self, method: &str, params: &serde_json::Value, repeat: Repeat) -> Result<Answer> {
        self.call_json(method, &params.to_string(), repeat)
    }

    /// Like [`Portal::call`], with the parameters as JSON text: an object, or `[]` or nothing if there are none.
    pub fn call_json(&self, method: &str, params: &str, repeat: Repeat) -> Result<Answer> {
        self.call_until(method, params, repeat, self.deadline())
    }

    /// The deadline of a call that begins now.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout, self.ctx.clock.now())
    }

    pub(super) fn call_until(&self, method: &str, params: &str, repeat: Repeat, deadline: Deadline) -> Result<Answer> {
        check_method(method)?;
        let params = Params::parse(method, params)?;
        let mut renewed = false;
        let mut backoff = Backoff::new(PAUSES);
        loop {
            self.ctx.cancel.check()?;
            let blocked_for = self.operating.blocked_for(method, self.ctx.clock.now());
            if !blocked_for.is_zero() {
                if blocked_for >= self.time_left(deadline) {
                    return Err(operating::too_late(method, blocked_for));
                }
                self.ctx.cancel.sleep(blocked_for)?;
            }
            if let Some(limiter) = &self.limiter {
                limiter.acquire(deadline, &*self.ctx.clock, &self.ctx.cancel)?;
            }
            // Read the token only now: the limiter may have waited longer than it is valid.
            let token = self.token(deadline)?;
            let error = match self.send(method, &params, &token, deadline) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let expired = error.code().eq_ignore_ascii_case("expired_token");
            if expired && !renewed && self.tokens.can_renew() {
                renewed = true;
                self.renew(&token, deadline)?;
                continue;
            }
            let blocked_for = self.operating.blocked_for(method, self.ctx.clock.now());
            let pause = self.pause_before_repeat(&error, blocked_for, repeat, &mut backoff, deadline).ok_or(error)?;
            self.ctx.cancel.sleep(pause)?;
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
                "auth.access_token is not set; set it, restore a state with tokens, use an authorization code, or \
                 install the application while the handler is running"
                    .into(),
            ));
        }
        if !self.tokens.expires_soon() {
            return Ok(token);
        }
        match self.renew(&token, deadline) {
            // The token is still valid for a moment, and the next call tries again.
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
        self.ctx.cancel.check()
    }

    /// The portal's present address, which the authorization server returns with each pair, whoever has bought it. The
    /// portal may have been renamed.
    fn rest_url(&self) -> Arc<str> {
        let endpoint = self.tokens.pair().client_endpoint;
        let mut known = lock(&self.rest_address);
        if known.endpoint != endpoint {
            if let Ok(address) = Address::parse(&endpoint, self.plain_http) {
                known.url = format!("{}{}", address.origin(), address.path().trim_end_matches('/')).into();
            }
            known.endpoint = endpoint;
        }
        known.url.clone()
    }

    /// Replaces every secret of ours in a text that came with an answer.
    pub(super) fn redact(&self, text: &str) -> String {
        self.tokens.redact(text, &self.tokens.access())
    }

    fn time_left(&self, deadline: Deadline) -> Duration {
        // With a timeout of zero, ureq fails at once and says so.
        deadline.left(self.ctx.clock.now())
    }

    fn send(&self, method: &str, params: &Params, token: &Secret, deadline: Deadline) -> Result<Answer> {
        let body = params.body(token, &self.connector_id);
        let url = format!("{}/{method}.json", self.rest_url());
        self.ctx.stats.requests.add(1);
        let response = self.http.post_json(&url, &body, self.time_left(deadline))?;
        let (status, length) = (response.status, response.body.len());
        self.ctx.log.write(Level::Debug, || format!("{method}: HTTP {status}, {length} bytes"));
        let outcome = Answer::read(method, status, response.body, |text| self.tokens.redact(text, token));
        self.note_run_time(method, outcome.as_ref().map(|answer| answer.time));
        if let Some(limiter) = &self.limiter {
            match &outcome {
                Err(error) if error.code() == "QUERY_LIMIT_EXCEEDED" => limiter.slow_down(self.ctx.clock.now()),
                _ => limiter.speed_up(),
            }
        }
        outcome
    }

    /// Remembers what an answer tells about the run time of its method.
    pub(super) fn note_run_time(&self, method: &str, outcome: Result<RunTime, &Error>) {
        let now = self.ctx.clock.now();
        match outcome {
            Ok(time) => self.operating.succeeded(method, time, now, self.ctx.clock.unix()),
            Err(error) if error.code() == "OPERATION_TIME_LIMIT" => self.operating.refused(method, now),
            Err(_) => {}
        }
    }

    /// The run time of methods, for the statistics.
    pub fn operating(&self) -> serde_json::Value {
        self.operating.to_json(self.ctx.clock.now())
    }

    /// How long to wait before the call is repeated; `None`: it is not repeated.
    fn pause_before_repeat(
        &self,
        error: &Error,
        blocked_for: Duration,
        repeat: Repeat,
        backoff: &mut Backoff,
        deadline: Deadline,
    ) -> Option<Duration> {
        let may_repeat = repeat == Repeat::Yes && backoff.failures() < MAX_REPEATS;
        let passes_soon = error.is_transient() && error.min_pause().is_zero();
        let is_repeated = refusal::is_limit(error) || (may_repeat && passes_soon);
        if !is_repeated {
            return None;
        }
        let pause = jittered(backoff.failed(), self.ctx.clock.random()).max(blocked_for);
        if pause >= self.time_left(deadline) {
            return None;
        }
        self.ctx.log.write(Level::Warning, || format!("repeating in {} ms: {error}", pause.as_millis()));
        Some(pause)
    }
}

/// Host and port of an address, or of what the portal calls `domain`: in lower case, without the default port.
fn domain_of(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let authority = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let default_port = if scheme == "http" { ":80" } else { ":443" };
    authority.strip_suffix(default_port).unwrap_or(&authority).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_the_same_in_every_spelling() {
        for spelling in
            ["my.bitrix24.ru", "MY.Bitrix24.ru:443", "https://my.bitrix24.ru/rest/", "https://my.bitrix24.ru:443"]
        {
            assert_eq!(domain_of(spelling), "my.bitrix24.ru", "{spelling}");
        }
        assert_eq!(domain_of("http://127.0.0.1:8080/rest"), domain_of("127.0.0.1:8080"));
        assert_eq!(domain_of("http://portal:80"), "portal");
        assert_ne!(domain_of("my.bitrix24.ru.evil.example"), domain_of("my.bitrix24.ru"));
    }
}
