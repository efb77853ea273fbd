//! What a diagnosis has found, as JSON and as text in both languages. No I/O.

use serde_json::{Value, json};

use crate::error::Error;

/// A text in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) english: String,
    pub(super) russian: String,
}

impl Text {
    pub(super) fn new(english: impl Into<String>, russian: impl Into<String>) -> Text {
        Text { english: english.into(), russian: russian.into() }
    }

    fn to_json(&self) -> Value {
        json!({"english": self.english, "russian": self.russian})
    }
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Ok,
    /// Not checked: it does not matter here, or another check has failed.
    Skipped,
    /// It works, but somebody should look at it.
    Warning,
    /// Because of this, events do not come.
    Failed,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Skipped => "skipped",
            Outcome::Warning => "warning",
            Outcome::Failed => "failed",
        }
    }

    fn russian(self) -> &'static str {
        match self {
            Outcome::Ok => "хорошо",
            Outcome::Skipped => "не проверено",
            Outcome::Warning => "внимание",
            Outcome::Failed => "ошибка",
        }
    }
}

/// Lists the checks in their order: `Variant => id, title, Russian title`.
macro_rules! checks {
    ($($id:ident => $name:literal, $english:literal, $russian:literal;)*) => {
        /// Names a check.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum CheckId { $($id),* }

        impl CheckId {
            /// Every check, in the order in which one depends on another.
            pub(super) const ALL: &'static [CheckId] = &[$(CheckId::$id),*];

            /// For programs.
            pub(super) fn name(self) -> &'static str {
                match self { $(CheckId::$id => $name,)* }
            }

            /// For people.
            pub(super) fn title(self) -> Text {
                match self { $(CheckId::$id => Text::new($english, $russian),)* }
            }
        }
    };
}

checks! {
    Proxy => "proxy", "proxy", "прокси";
    Name => "name", "name resolution", "имя портала";
    Network => "network", "network", "сеть";
    Tls => "tls", "TLS", "TLS";
    Clock => "clock", "clock", "часы";
    Token => "token", "token", "токен";
    Rest => "rest", "REST", "REST";
    Installation => "installation", "installation", "установка приложения";
    Administrator => "administrator", "administrator", "администратор";
    Scopes => "scopes", "scopes", "права приложения";
    Plan => "plan", "plan", "тариф";
    Push => "push_server", "push server", "сервер push";
    WebSocket => "websocket", "WebSocket", "WebSocket";
    Handler => "handler", "handler", "обработчик";
    Bindings => "bindings", "bound events", "привязанные события";
    Queue => "queue", "queue", "очередь";
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) id: CheckId,
    pub(super) outcome: Outcome,
    /// What was seen.
    pub(super) seen: Text,
    /// What to do, if something is to be done.
    pub(super) next_step: Option<Text>,
}

impl Check {
    pub(super) fn ok(id: CheckId, seen: Text) -> Check {
        Check { id, outcome: Outcome::Ok, seen, next_step: None }
    }

    pub(super) fn skipped(id: CheckId, why: Text) -> Check {
        Check { id, outcome: Outcome::Skipped, seen: why, next_step: None }
    }

    pub(super) fn warning(id: CheckId, seen: Text, next_step: Text) -> Check {
        Check { id, outcome: Outcome::Warning, seen, next_step: Some(next_step) }
    }

    pub(super) fn failed(id: CheckId, seen: Text, next_step: Text) -> Check {
        Check { id, outcome: Outcome::Failed, seen, next_step: Some(next_step) }
    }

    /// Not checked because the check `because` has not succeeded.
    pub(super) fn depends(id: CheckId, because: CheckId) -> Check {
        let title = because.title();
        let why = Text::new(
            format!("not checked: it depends on \"{}\"", title.english),
            format!("не проверено: зависит от пункта «{}»", title.russian),
        );
        Check::skipped(id, why)
    }

    /// Failed with an error. The advice for a refusal comes from the table of refusals; `advice` is for other errors.
    pub(super) fn error(id: CheckId, error: &Error, advice: Text) -> Check {
        let Error::Refused(refusal) = error else {
            let seen = Text::new(error.to_string(), format!("{} Подробности (англ.): {error}", kind(error)));
            return Check::failed(id, seen, advice);
        };
        let meaning = refusal.meaning;
        let what = refusal.text.strip_suffix(meaning.english).unwrap_or(&refusal.text).trim_end_matches([':', ' ']);
        let code = Some(refusal.code.as_str()).filter(|code| !code.is_empty()).unwrap_or("без кода");
        let seen = Text::new(what, format!("Портал отказал: {code}. Подробности (англ.): {what}"));
        Check::failed(id, seen, Text::new(meaning.english, meaning.russian))
    }

    fn to_json(&self) -> Value {
        json!({
            "id": self.id.name(),
            "status": self.outcome.name(),
            "title": self.id.title().to_json(),
            "seen": self.seen.to_json(),
            "next_step": self.next_step.as_ref().map(Text::to_json),
        })
    }
}

/// What an error is about, in Russian.
fn kind(error: &Error) -> &'static str {
    match error {
        Error::Unreachable(_) | Error::Network(_) => "Соединение не удалось.",
        Error::Tls(_) => "Защищённое соединение не удалось.",
        Error::Protocol { .. } => "Ответ не соответствует протоколу.",
        Error::HostMustRenew => "Срок действия токена истёк, а продлевает его сама программа (auth.renew=host).",
        Error::Config(_) => "Ошибка в настройках.",
        _ => "Проверка не удалась.",
    }
}

/// All checks of one diagnosis.
pub(super) struct Report {
    portal: String,
    checks: Vec<Check>,
}

impl Report {
    /// Of a portal; nothing is checked yet.
    pub(super) fn new(portal: &str) -> Report {
        let over = || Text::new("not checked: the time was over", "не проверено: время вышло");
        let checks = CheckId::ALL.iter().map(|id| Check::skipped(*id, over())).collect();
        Report { portal: portal.to_owned(), checks }
    }

    pub(super) fn add(&mut self, check: Check) {
        self.checks.iter_mut().filter(|known| known.id == check.id).for_each(|known| *known = check.clone());
    }

    pub(super) fn to_json(&self) -> String {
        let checks: Vec<_> = self.checks.iter().map(Check::to_json).collect();
        json!({
            "status": self.worst().name(),
            "portal": self.portal,
            "checks": checks,
            "text": self.text().to_json(),
        })
        .to_string()
    }

    /// The one status of them all: that something was not checked does not matter if nothing else is wrong.
    fn worst(&self) -> Outcome {
        let outcomes = self.checks.iter().map(|check| check.outcome);
        let worst = outcomes.clone().max().unwrap_or(Outcome::Ok);
        // If not even one check has succeeded, nothing is known.
        let nothing_is_ok = !outcomes.into_iter().any(|outcome| outcome == Outcome::Ok);
        if worst == Outcome::Skipped && !nothing_is_ok { Outcome::Ok } else { worst }
    }

    fn text(&self) -> Text {
        let count = |outcome| self.checks.iter().filter(|check| check.outcome == outcome).count();
        let (failed, warnings) = (count(Outcome::Failed), count(Outcome::Warning));
        let version = env!("CARGO_PKG_VERSION");
        let mut text = Text::new(
            format!("b24events {version}, portal {}: failed: {failed}, warnings: {warnings}\n", self.portal),
            format!("b24events {version}, портал {}: ошибок: {failed}, предупреждений: {warnings}\n", self.portal),
        );
        for check in &self.checks {
            let title = check.id.title();
            text.english += &format!("[{}] {}: {}\n", check.outcome.name(), title.english, check.seen.english);
            text.russian += &format!("[{}] {}: {}\n", check.outcome.russian(), title.russian, check.seen.russian);
            if let Some(next_step) = &check.next_step {
                text.english += &format!("    -> {}\n", next_step.english);
                text.russian += &format!("    -> {}\n", next_step.russian);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::refusal;

    fn text(text: &str) -> Text {
        Text::new(text, text)
    }

    #[test]
    fn the_report_has_every_check_once_in_its_order() {
        let mut report = Report::new("https://my.bitrix24.ru");
        report.add(Check::ok(CheckId::Queue, text("empty")));
        report.add(Check::failed(CheckId::Push, text("off"), text("switch it on")));
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        let ids: Vec<_> =
            json["checks"].as_array().unwrap().iter().map(|check| check["id"].as_str().unwrap()).collect();
        let expected: Vec<_> = CheckId::ALL.iter().map(|id| id.name()).collect();
        assert_eq!((ids, &json["status"]), (expected, &json!("failed")));
        for language in ["english", "russian"] {
            let lines = json["text"][language].as_str().unwrap();
            assert_eq!(lines.lines().count(), CheckId::ALL.len() + 2, "a line for each, the head and a next step");
            assert!(lines.contains("-> switch it on"), "{lines}");
        }
        assert!(json["text"]["russian"].as_str().unwrap().contains("[ошибка] сервер push: off"));
    }

    #[test]
    fn the_status_is_the_worst_one() {
        let status = |checks: &[Check]| {
            let mut report = Report::new("");
            checks.iter().for_each(|check| report.add(check.clone()));
            report.worst()
        };
        let warning = Check::warning(CheckId::Clock, text(""), text(""));
        assert_eq!(status(&[]), Outcome::Skipped);
        assert_eq!(status(&[Check::ok(CheckId::Proxy, text(""))]), Outcome::Ok);
        assert_eq!(status(std::slice::from_ref(&warning)), Outcome::Warning);
        assert_eq!(status(&[warning, Check::failed(CheckId::Tls, text(""), text(""))]), Outcome::Failed);
    }

    #[test]
    fn the_advice_for_a_refusal_is_that_of_the_table() {
        let refused = refusal::to_error(500, "SERVER_ERROR", "Push & Pull server is not configured");
        let check = Check::error(CheckId::Push, &refused, text("unused"));
        let next_step = check.next_step.unwrap();
        assert!(next_step.english.contains("switch it on") && next_step.russian.contains("source = handler"));
        assert_eq!(check.seen.english, "the portal answered SERVER_ERROR (Push & Pull server is not configured)");
        assert!(check.seen.russian.contains("SERVER_ERROR"), "{}", check.seen.russian);
        let other = Check::error(CheckId::Network, &Error::Network("broke; repeat".into()), text("advice"));
        assert_eq!((other.seen.english.as_str(), other.next_step), ("broke; repeat", Some(text("advice"))));
    }
}
