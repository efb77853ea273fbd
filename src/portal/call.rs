//! One REST call: body, answer, error, and what is repeated when (protocol.md §2).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::http::Http;
use super::tokens::{TokenPair, Tokens, TokensSink};
use super::{php, refusal};
use crate::clock::Clock;
use crate::closing::Closing;
use crate::config::{Address, Level, Settings};
use crate::error::{Error, Result, Status};
use crate::lock;
use crate::log::Log;
use crate::secret::Secret;
use crate::stats::Stats;

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
    /// `https://…/rest`, without a slash at the end.
    rest: Mutex<Arc<str>>,
    connector_id: String,
    allow_plain: bool,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    closing: Closing,
    log: Log,
    stats: Arc<Stats>,
}

/// What every room below the client shares.
#[derive(Clone)]
pub struct Surroundings {
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// The end of the client.
    pub closing: Closing,
    /// The host's log.
    pub log: Log,
    /// The client's counters.
    pub stats: Arc<Stats>,
}

/// A successful answer: the whole JSON text, and where its `result` is.
#[derive(Debug)]
pub struct Answer {
    text: String,
    result: std::ops::Range<usize>,
}

impl Answer {
    /// The value of `result` as JSON.
    pub fn result(&self) -> &str {
        self.text.get(self.result.clone()).unwrap_or("null")
    }

    /// The whole answer: `{"result":…,"total":…,"next":…,"time":…}`.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The value of `result` alone, without copying it.
    pub fn into_result(mut self) -> String {
        self.text.truncate(self.result.end);
        self.text.drain(..self.result.start);
        self.text
    }
}

impl Portal {
    /// Nothing is sent yet.
    pub fn new(settings: &Settings, tokens_sink: TokensSink, around: Surroundings) -> Portal {
        Portal {
            http: Http::new(settings, around.closing.clone(), None),
            tokens: Tokens::new(settings, tokens_sink, around.clock.clone()),
            rest: Mutex::new(format!("{}/rest", settings.portal.origin()).into()),
            connector_id: settings.connector_id.clone(),
            allow_plain: settings.allow_plain,
            timeout: settings.call_timeout,
            clock: around.clock,
            closing: around.closing,
            log: around.log,
            stats: around.stats,
        }
    }

    /// The source key of this client's queue, `""` for the queue without one.
    pub fn connector_id(&self) -> &str {
        &self.connector_id
    }

    /// Interrupts calls in flight.
    pub fn shutdown(&self) {
        self.http.shutdown();
    }

    /// Calls a method with parameters that serialize to a JSON object. Token and source key are added.
    /// Blocks for at most `http.timeout_ms`, repeats and pauses included.
    pub fn call(&self, method: &str, params: &impl serde::Serialize, repeat: Repeat) -> Result<Answer> {
        let params = serde_json::to_string(params)
            .map_err(|error| Error::InvalidArgument(format!("parameters of {method}: {error}")))?;
        self.call_json(method, &params, repeat)
    }

    /// The same with the parameters as JSON text: an object, or `[]` or nothing for none.
    pub fn call_json(&self, method: &str, params: &str, repeat: Repeat) -> Result<Answer> {
        check_method(method)?;
        let params = Params::parse(method, params)?;
        let deadline = self.clock.now() + self.timeout;
        let mut renewed = false;
        let mut attempt = 0;
        loop {
            self.closing.check()?;
            let token = self.token(deadline)?;
            let failure = match self.send(method, &params, &token, deadline) {
                Ok(answer) => return Ok(answer),
                Err(failure)
                    if failure.error.code().eq_ignore_ascii_case("expired_token")
                        && !renewed
                        && self.tokens.can_renew() =>
                {
                    renewed = true;
                    self.renew(&token, deadline)?;
                    continue;
                }
                Err(failure) => failure,
            };
            let pause = self.pause_before_repeat(&failure, repeat, attempt, deadline).ok_or(failure.error)?;
            self.closing.pause(pause)?;
            attempt += 1;
        }
    }

    fn token(&self, deadline: Instant) -> Result<Secret> {
        let token = self.tokens.access();
        if token.is_empty() {
            return Err(Error::Config(
                "auth.access_token is not set; set it, or restore a state that holds tokens".into(),
            ));
        }
        if !self.tokens.is_due() {
            return Ok(token);
        }
        self.renew(&token, deadline)?;
        Ok(self.tokens.access())
    }

    fn renew(&self, stale: &Secret, deadline: Instant) -> Result<()> {
        let Some((pair, stored)) = self.tokens.renew(stale, &self.http, self.left(deadline))? else {
            return Ok(());
        };
        self.stats.renewals.add(1);
        self.log.line(Level::Info, || "tokens renewed".into());
        if let Err(error) = stored {
            self.log.line(Level::Error, || format!("the new tokens could not be kept: {error}"));
        }
        self.follow(&pair);
        Ok(())
    }

    /// The pair in use.
    pub fn tokens(&self) -> TokenPair {
        self.tokens.pair()
    }

    /// Uses these tokens from now on.
    pub fn use_tokens(&self, pair: TokenPair) {
        self.follow(&pair);
        self.tokens.replace(pair);
    }

    /// The portal may have been renamed; its authorization server tells the address that is right now.
    fn follow(&self, pair: &TokenPair) {
        if let Ok(address) = Address::parse(&pair.client_endpoint, self.allow_plain) {
            let rest = format!("{}{}", address.origin(), address.path().trim_end_matches('/'));
            *lock(&self.rest) = rest.into();
        }
    }

    fn left(&self, deadline: Instant) -> Duration {
        // ureq takes zero for "no time at all"; the call then fails with its own text.
        deadline.saturating_duration_since(self.clock.now())
    }

    fn send(&self, method: &str, params: &Params, token: &Secret, deadline: Instant) -> Result<Answer, Failure> {
        let body = params.with(token, &self.connector_id);
        let url = format!("{}/{method}.json", lock(&self.rest));
        self.stats.requests.add(1);
        let answer = self.http.post_json(&url, &body, self.left(deadline)).map_err(Failure::plain)?;
        self.log.line(Level::Debug, || format!("{method}: HTTP {}, {} bytes", answer.status, answer.body.len()));
        self.read(method, answer.status, answer.body)
    }

    fn read(&self, method: &str, http_status: u16, body: Vec<u8>) -> Result<Answer, Failure> {
        #[derive(Deserialize)]
        struct Outline<'a> {
            #[serde(borrow)]
            result: Option<&'a RawValue>,
            #[serde(default, deserialize_with = "php::text")]
            error: String,
            #[serde(default, deserialize_with = "php::text")]
            error_description: String,
            #[serde(default, deserialize_with = "php::map")]
            time: Time,
        }
        let protocol = |text: String| Failure::plain(Error::Protocol { text, http_status });
        if (300..=399).contains(&http_status) {
            return Err(protocol(format!(
                "the portal answered {method} with a redirect (HTTP {http_status}), which is not followed because the token would go with it; set portal.url to the portal's present address"
            )));
        }
        let text = String::from_utf8(body)
            .map_err(|_| protocol(format!("the answer to {method} (HTTP {http_status}) is not UTF-8")))?;
        let Ok(outline) = serde_json::from_str::<Outline>(&text) else {
            let kind = if text.trim_start().starts_with('<') { "HTML" } else { "no complete JSON" };
            return Err(protocol(format!(
                "the portal answered {method} with {kind} (HTTP {http_status}, {} bytes); if that stays, check that portal.url is a Bitrix24 portal",
                text.len()
            )));
        };
        if !outline.error.is_empty() {
            let error = refusal::refused(http_status, &outline.error, &self.tokens.redact(&outline.error_description));
            return Err(Failure { error, blocked_until: outline.time.operating_reset_at });
        }
        // Both are slices of one text, so the difference of their addresses is the place of `result` in it.
        let place = outline.result.filter(|_| http_status < 400).map(|result| {
            let start = result.get().as_ptr() as usize - text.as_ptr() as usize;
            start..start + result.get().len()
        });
        match place {
            Some(result) => Ok(Answer { text, result }),
            None => {
                Err(protocol(format!("the answer to {method} (HTTP {http_status}) holds neither result nor error")))
            }
        }
    }

    /// How long to wait before the call is sent again; `None` when it is not.
    fn pause_before_repeat(
        &self,
        failure: &Failure,
        repeat: Repeat,
        attempt: u32,
        deadline: Instant,
    ) -> Option<Duration> {
        let error = &failure.error;
        let limited = error.status() == Status::RateLimit && error.is_transient();
        if !limited && (repeat == Repeat::No || !error.is_transient() || attempt >= MOST_REPEATS) {
            return None;
        }
        let growing = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(attempt)).min(LONGEST_PAUSE);
        let until_free = Duration::from_secs(failure.blocked_until.saturating_sub(self.clock.unix()));
        let pause = if error.code() == "OPERATION_TIME_LIMIT" { growing.max(until_free) } else { growing };
        if pause >= self.left(deadline) {
            return None;
        }
        self.log.line(Level::Warning, || format!("repeating in {} ms: {error}", pause.as_millis()));
        Some(pause)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Time {
    #[serde(deserialize_with = "php::number")]
    operating_reset_at: u64,
}

/// Why one attempt failed.
struct Failure {
    error: Error,
    /// When the portal lets the method run again, seconds since 1970; 0 when it did not say.
    blocked_until: u64,
}

impl Failure {
    fn plain(error: Error) -> Failure {
        Failure { error, blocked_until: 0 }
    }
}

/// The parameters of a call, each value as the caller spelled it.
struct Params<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Params<'a> {
    fn parse(method: &str, json: &'a str) -> Result<Params<'a>> {
        // 1C and PHP spell an empty map as a list.
        if matches!(json.trim(), "" | "[]" | "null") {
            return Ok(Params(BTreeMap::new()));
        }
        let map: BTreeMap<String, &RawValue> = serde_json::from_str(json).map_err(|error| {
            Error::InvalidArgument(format!("the parameters of {method} must be a JSON object: {error}"))
        })?;
        if map.keys().any(|name| name.eq_ignore_ascii_case("auth")) {
            return Err(Error::InvalidArgument("the parameter auth is added by the library; leave it out".into()));
        }
        Ok(Params(map))
    }

    /// The body of the request. A source key given by the caller wins over the configured one.
    fn with(&self, token: &Secret, connector_id: &str) -> String {
        let has_connector = self.0.keys().any(|name| name.eq_ignore_ascii_case("auth_connector"));
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut body = format!("{{\"auth\":{}", quoted(token.expose()));
        if !connector_id.is_empty() && !has_connector {
            body.push_str(&format!(",\"auth_connector\":{}", quoted(connector_id)));
        }
        for (name, value) in &self.0 {
            body.push(',');
            body.push_str(&quoted(name));
            body.push(':');
            body.push_str(value.get());
        }
        body.push('}');
        body
    }
}

/// A method's name becomes part of the address, so it may not hold anything that means something there.
fn check_method(method: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if method.is_empty() || method.len() > 200 || !method.chars().all(plain) || method.starts_with('.') {
        return Err(Error::InvalidArgument(
            "a method's name is letters, digits and points, such as crm.deal.get".into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_holds_token_and_source_key() {
        let json = r#"{"id": 1.50, "fields":{"TITLE":"№ \"1\""}}"#;
        let params = Params::parse("m", json).unwrap();
        let body = params.with(&Secret::new("t\"k"), "OneC");
        assert_eq!(body, r#"{"auth":"t\"k","auth_connector":"OneC","fields":{"TITLE":"№ \"1\""},"id":1.50}"#);
        let own = Params::parse("m", r#"{"AUTH_CONNECTOR":"other"}"#).unwrap();
        assert_eq!(own.with(&Secret::new("t"), "OneC"), r#"{"auth":"t","AUTH_CONNECTOR":"other"}"#);
    }

    #[test]
    fn parameters_are_an_object_or_nothing() {
        for nothing in ["", "[]", " {} ", "null"] {
            assert_eq!(
                Params::parse("m", nothing).unwrap().with(&Secret::new("t"), ""),
                r#"{"auth":"t"}"#,
                "{nothing}"
            );
        }
        for bad in ["[1]", "1", "\"x\"", "{", r#"{"Auth":"x"}"#] {
            assert!(matches!(Params::parse("m", bad), Err(Error::InvalidArgument(_))), "{bad}");
        }
    }

    #[test]
    fn a_method_cannot_change_the_address() {
        for bad in ["", "../x", "a/b", "a?b", "a b", "a#b", "метод", ".x", "a%2f"] {
            assert!(check_method(bad).is_err(), "{bad}");
        }
        check_method("crm.deal.get").unwrap();
        check_method("event.offline.get").unwrap();
    }

    #[test]
    fn the_result_is_cut_out_without_its_surroundings() {
        let text = r#"{"result":{"a":[1]},"time":{}}"#.to_owned();
        let answer = Answer { result: 10..19, text };
        assert_eq!(answer.result(), r#"{"a":[1]}"#);
        assert_eq!(answer.into_result(), r#"{"a":[1]}"#);
    }
}
