//! When and with what parameters the portal calls an application.

use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::mpsc::UnboundedSender;

use super::Portal;
use super::conditions::AuthServer;
use super::tokens::Tokens;
use crate::caller::{Call, Handler};
use crate::time;

/// Seconds between two calls.
const DEFAULT_TIMEOUT: i64 = 1;
/// PHP's `http_build_query` does not encode these.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The time between two calls of a binding, and its last call.
///
/// PHP stores `options[minTimeout]` of `event.bind`, and does not read it back: in fact it is always the default.
#[derive(Clone, Debug)]
pub struct Pause {
    seconds: i64,
    last: Option<Instant>,
}

impl Pause {
    pub fn new(min_timeout: Option<i64>) -> Self {
        Self { seconds: min_timeout.unwrap_or(DEFAULT_TIMEOUT), last: None }
    }

    /// Whether a call may be made now. One that falls into the pause is not made later either: the vendor's code
    /// refuses it ("Time is not up.") and forgets it, so that the last changes of a burst are not announced.
    fn is_over(&mut self, now: Instant) -> bool {
        let length = Duration::from_secs(u64::try_from(self.seconds).unwrap_or(0));
        let over = self.last.is_none_or(|last| now.saturating_duration_since(last) >= length);
        if over {
            self.last = Some(now);
        }
        over
    }
}

/// What the portal puts into its calls, and who makes them.
pub struct Calling {
    calls: UnboundedSender<Call>,
    /// Whether calls carry an access token, if there is a user whose token it can be.
    pub tokens: bool,
    /// Whether they carry a refresh token too.
    pub refresh_token: bool,
    /// The portal's name in calls; `None`: its address.
    pub domain: Option<String>,
    /// Calls that fell into the pause of their binding, or that nobody could make.
    pub skipped: u64,
}

impl Calling {
    pub fn new(calls: UnboundedSender<Call>, tokens: bool) -> Self {
        Self { calls, tokens, refresh_token: false, domain: None, skipped: 0 }
    }

    fn hand_over(&self, handler: Handler, form: Form) {
        // The receiver is gone only when the emulator is.
        let _ = self.calls.send(Call { handler, form: form.0 });
    }
}

impl Portal {
    /// Calls the handlers of `event`. The user `cause` caused it; 0 for no user.
    pub fn call_handlers(&mut self, event: &str, cause: u32) {
        if !self.conditions.events_are_sent() {
            return;
        }
        let now = Instant::now();
        let reachable = self.conditions.auth_server == AuthServer::Reachable;
        let mut calls = Vec::new();
        // The vendor remembers one "already called" for all bindings without a pause: one call per hit.
        let mut unpaused_called = false;
        for binding in self.bindings.of_mut(event) {
            let Some(handler) = &binding.handler_address else { continue };
            let unpaused = binding.pause.seconds <= 0;
            // The call is lost if the authorization server, which makes it, is not reached.
            if (unpaused && unpaused_called) || !binding.pause.is_over(now) || !reachable {
                self.calling.skipped += 1;
                continue;
            }
            unpaused_called |= unpaused;
            let user = if binding.user > 0 { binding.user } else { cause };
            calls.push((binding.id, handler.clone(), user));
        }
        for (id, handler, user) in calls {
            let tokens = (self.calling.tokens && user > 0).then(|| self.tokens.issue(user));
            let mut form = Form::event(event, id);
            form.put("data", "");
            form.put("ts", &time::unix_now().to_string());
            self.put_auth(&mut form, tokens.as_ref(), self.calling.refresh_token);
            self.calling.hand_over(handler, form);
        }
    }

    /// A user installs the application: its handler receives the first pair of tokens.
    pub fn install(&mut self, handler: Handler, user: u32) {
        let tokens = self.tokens.issue(user);
        self.conditions.installed = true;
        let mut form = Form::event("ONAPPINSTALL", self.bindings.next_id());
        for (name, value) in [("VERSION", "1"), ("ACTIVE", "Y"), ("INSTALLED", "Y"), ("LANGUAGE_ID", "ru")] {
            form.put(&format!("data[{name}]"), value);
        }
        form.put("ts", &time::unix_now().to_string());
        self.put_auth(&mut form, Some(&tokens), true);
        form.put("auth[expires]", &tokens.expires.to_string());
        form.put("auth[scope]", &self.scope);
        form.put("auth[status]", self.application.status());
        form.put("auth[user_id]", &user.to_string());
        form.put("auth[client_id]", &self.application.client_id);
        self.calling.hand_over(handler, form);
    }

    /// The application is removed with its tokens, bindings and queues, and its handler is called.
    pub fn uninstall(&mut self, handler: Handler) {
        self.tokens.revoke();
        self.bindings.clear();
        self.queue.clear();
        let mut form = Form::event("ONAPPUNINSTALL", self.bindings.next_id());
        form.put("data[LANGUAGE_ID]", "ru");
        form.put("data[CLEAN]", "1");
        form.put("ts", &time::unix_now().to_string());
        self.put_auth(&mut form, None, false);
        self.calling.hand_over(handler, form);
    }

    fn put_auth(&self, form: &mut Form, tokens: Option<&Tokens>, refresh_token: bool) {
        let mut put = |name: &str, value: &str| form.put(&format!("auth[{name}]"), value);
        if let Some(tokens) = tokens {
            put("access_token", &tokens.access_token);
            put("expires_in", &self.tokens.ttl().as_secs().to_string());
        }
        put("domain", self.calling.domain.as_ref().unwrap_or(&self.address));
        if let Some(tokens) = tokens {
            put("server_endpoint", &self.server_endpoint());
            put("client_endpoint", &self.client_endpoint());
            if refresh_token {
                put("refresh_token", &tokens.refresh_token);
            }
        }
        put("member_id", &self.application.member_id);
        put("application_token", &self.application.application_token);
    }
}

/// A body in the spelling of PHP's `http_build_query`.
pub struct Form(pub String);

impl Form {
    fn event(name: &str, handler_id: u64) -> Self {
        Self(format!("event={name}&event_handler_id={handler_id}"))
    }

    /// A form with this field, neither of which needs to be encoded.
    pub fn of(name: &str, value: &str) -> Self {
        Self(format!("{name}={value}"))
    }

    pub fn put(&mut self, name: &str, value: &str) {
        let encode = |text| utf8_percent_encode(text, FORM).to_string().replace("%20", "+");
        self.0 = format!("{}&{}={}", self.0, encode(name), encode(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut pause = Pause::new(None);
        assert!(pause.is_over(start));
        assert!(!pause.is_over(after(999)));
        assert!(pause.is_over(after(1000)), "the refused call does not prolong the pause");
        for zero in [0, -5] {
            let mut pause = Pause::new(Some(zero));
            assert!(pause.is_over(start) && pause.is_over(start));
        }
    }

    #[test]
    fn forms() {
        let mut form = Form::event("X", 5);
        form.put("auth[domain]", "127.0.0.1:80 Я");
        assert_eq!(form.0, "event=X&event_handler_id=5&auth%5Bdomain%5D=127.0.0.1%3A80+%D0%AF");
    }
}
