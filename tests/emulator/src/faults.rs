//! Faults that wait for a request they apply to.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::php::value::json;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::http::Answer;
use crate::portal::rest;

/// Requests a fault is for: a REST method, `oauth`, `sub`; `None` is any.
pub type Target = Option<String>;

fn once() -> u32 {
    1
}

/// The next requests are answered with an error and not handled.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailNext {
    #[serde(default)]
    pub method: Target,
    #[serde(default = "once")]
    pub times: u32,
    /// 500 stands in for an invalid status.
    pub status: u16,
    #[serde(default)]
    pub error: String,
    #[serde(default)]
    pub description: String,
    /// Replaces the JSON, such as the HTML of a gateway.
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl Default for FailNext {
    fn default() -> Self {
        Self {
            method: None,
            times: 1,
            status: 500,
            error: String::new(),
            description: String::new(),
            body: None,
            headers: BTreeMap::new(),
        }
    }
}

/// The next requests lose their connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropNext {
    #[serde(default)]
    pub method: Target,
    #[serde(default = "once")]
    pub times: u32,
    pub when: DropWhen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DropWhen {
    /// The portal never sees the request.
    BeforeHandling,
    /// The portal has done what was asked; the answer is lost.
    AfterHandling,
    /// The answer breaks off after this many bytes of its body.
    MidAnswer { after_bytes: usize },
}

/// The next requests are handled, and their answers are delayed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelayNext {
    #[serde(default)]
    pub method: Target,
    #[serde(default = "once")]
    pub times: u32,
    pub ms: u64,
}

/// What happens to one request.
#[derive(Debug, Default)]
pub struct Fate {
    pub fail: Option<Answer>,
    pub drop: Option<DropWhen>,
    pub delay: Duration,
}

#[derive(Default)]
pub struct Faults {
    /// Failures and drops, in the order they were asked for: a request meets one of them.
    endings: Vec<Armed<Ending>>,
    delays: Vec<Armed<Duration>>,
    pub applied: u64,
}

struct Armed<T> {
    target: Target,
    left: u32,
    effect: T,
}

#[derive(Clone)]
enum Ending {
    Fail(FailNext),
    Drop(DropWhen),
}

impl Faults {
    pub fn fail_next(&mut self, fail: FailNext) {
        self.endings.push(Armed { target: lower(&fail.method), left: fail.times, effect: Ending::Fail(fail) });
    }

    pub fn drop_next(&mut self, drop: &DropNext) {
        self.endings.push(Armed { target: lower(&drop.method), left: drop.times, effect: Ending::Drop(drop.when) });
    }

    pub fn delay_next(&mut self, delay: &DelayNext) {
        let effect = Duration::from_millis(delay.ms);
        self.delays.push(Armed { target: lower(&delay.method), left: delay.times, effect });
    }

    pub fn clear(&mut self) {
        self.endings.clear();
        self.delays.clear();
    }

    pub fn fate(&mut self, target: &str) -> Fate {
        let end = take(&mut self.endings, target);
        let delay = take(&mut self.delays, target);
        self.applied += u64::from(end.is_some()) + u64::from(delay.is_some());
        let mut fate = Fate { delay: delay.unwrap_or_default(), ..Fate::default() };
        match end {
            Some(Ending::Fail(fail)) => fate.fail = Some(fail.answer()),
            Some(Ending::Drop(when)) => fate.drop = Some(when),
            None => {}
        }
        fate
    }
}

fn lower(target: &Target) -> Target {
    target.as_ref().map(|method| method.to_lowercase())
}

fn take<T: Clone>(armed: &mut Vec<Armed<T>>, target: &str) -> Option<T> {
    armed.retain(|fault| fault.left > 0);
    let fault = armed.iter_mut().find(|fault| fault.target.as_deref().is_none_or(|method| method == target))?;
    fault.left -= 1;
    Some(fault.effect.clone())
}

impl FailNext {
    fn answer(&self) -> Answer {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = match &self.body {
            Some(body) => Answer::new(status, "text/html", body.clone()),
            None => rest::answer(status, &json!({"error": self.error, "error_description": self.description})),
        };
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                answer.headers.retain(|(known, _)| *known != name);
                answer.headers.push((name, value));
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_meets_one_end_at_a_time() {
        let mut faults = Faults::default();
        faults.fail_next(FailNext { method: Some("Profile".into()), times: 2, status: 502, ..FailNext::default() });
        faults.drop_next(&DropNext { method: None, times: 1, when: DropWhen::AfterHandling });
        assert_eq!(faults.fate("profile").fail.unwrap().status, 502);
        assert_eq!(faults.fate("sub").drop, Some(DropWhen::AfterHandling));
        assert!(faults.fate("sub").drop.is_none());
        assert!(faults.fate("profile").fail.is_some());
        assert!(faults.fate("profile").fail.is_none());
        assert_eq!(faults.applied, 3);
    }
}
