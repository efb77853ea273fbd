//! What the portal tells of the application, judged. No I/O.

use super::report::{Check, CheckId, Outcome, Text};
use crate::config::{Reserve, Settings, Source};
use crate::error::{Error, Status};
use crate::handler::binding::QUEUE_EVENT;
use crate::portal::offline_events::Binding;
use crate::portal::refusal;
use crate::portal::survey::Survey;
use crate::state::tokens::TokenPair;

/// The checks that depend on an answer of the portal's REST interface.
pub(super) const BY_REST: [CheckId; 10] = [
    CheckId::Token,
    CheckId::Rest,
    CheckId::Installation,
    CheckId::Administrator,
    CheckId::Scopes,
    CheckId::Plan,
    CheckId::Push,
    CheckId::WebSocket,
    CheckId::Bindings,
    CheckId::Queue,
];

/// There is no token to call the portal with.
pub(super) fn without_token(settings: &Settings) -> Check {
    let seen = Text::new("there are no tokens yet", "токенов ещё нет");
    let next_step = match settings.authorization_address("") {
        Ok(address) => Text::new(
            format!(
                "open {address} as an administrator, copy code from the address that the browser then shows, and \
                 authorize with it within 30 s"
            ),
            format!(
                "Откройте от имени администратора {address}, скопируйте code из адреса, который затем покажет браузер, \
                 и авторизуйтесь с ним в течение 30 секунд"
            ),
        ),
        Err(_) => Text::new(
            "set auth.client_id and auth.client_secret and authorize the application, or set auth.access_token",
            "Задайте auth.client_id и auth.client_secret и авторизуйте приложение или задайте auth.access_token",
        ),
    };
    if settings.source == Source::Push {
        Check::failed(CheckId::Token, seen, next_step)
    } else {
        // The handler may be what the installation waits for.
        Check::warning(CheckId::Token, seen, next_step)
    }
}

/// The token has just been accepted. `now` is in seconds since 1970.
pub(super) fn token(pair: &TokenPair, settings: &Settings, now: u64) -> Check {
    let (english, russian) = match pair.expires {
        0 => ("it is not known when it expires".to_owned(), "когда истекает, неизвестно".to_owned()),
        expires => {
            let minutes = expires.saturating_sub(now) / 60;
            (format!("it expires in {minutes} min"), format!("истекает через {minutes} мин"))
        }
    };
    let accepted = |english_renewal: &str, russian_renewal: &str| {
        Text::new(
            format!("the portal accepts it; {english}; {english_renewal}"),
            format!("портал его принимает; {russian}; {russian_renewal}"),
        )
    };
    if settings.renewed_by_host {
        return Check::ok(
            CheckId::Token,
            accepted("the host renews it (auth.renew=host)", "продлевает его сама программа (auth.renew=host)"),
        );
    }
    if pair.refresh.is_empty() && settings.tokens_file.is_none() {
        return Check::warning(
            CheckId::Token,
            accepted("it cannot be renewed: there is no refresh token", "продлить его нельзя: нет токена обновления"),
            Text::new(
                "set auth.refresh_token, or authorize the application again",
                "Задайте auth.refresh_token или авторизуйте приложение заново",
            ),
        );
    }
    if settings.client_id.is_empty() || settings.client_secret.is_empty() {
        return Check::warning(
            CheckId::Token,
            accepted("it cannot be renewed", "продлить его нельзя"),
            Text::new("set auth.client_id and auth.client_secret", "Задайте auth.client_id и auth.client_secret"),
        );
    }
    Check::ok(CheckId::Token, accepted("it can be renewed", "продлить его можно"))
}

/// The check that a failure of the whole request belongs to.
pub(super) fn blamed(error: &Error) -> CheckId {
    match (error.status(), error.code().to_ascii_uppercase().as_str()) {
        (_, "APPLICATION_NOT_FOUND" | "APPLICATION_NOT_INSTALLED" | "APPLICATION_UNINSTALLED") => CheckId::Installation,
        (_, "INSUFFICIENT_SCOPE") => CheckId::Scopes,
        (Status::License, _) => CheckId::Plan,
        (Status::AccessDenied, _) => CheckId::Administrator,
        (_, "INVALID_REQUEST") => CheckId::Rest,
        (Status::Auth | Status::WrongAuthType | Status::Config | Status::State, _) => CheckId::Token,
        _ => CheckId::Rest,
    }
}

/// The request as a whole has failed: its check fails, and the others cannot be made.
pub(super) fn refused(error: &Error) -> Vec<Check> {
    let blamed = blamed(error);
    let advice = Text::new(
        "follow the text of the error, then diagnose again",
        "Исправьте то, о чём говорит текст ошибки, и проверьте снова",
    );
    let judge = |id: &CheckId| match *id == blamed {
        true => Check::error(*id, error, advice.clone()),
        false => Check::depends(*id, blamed),
    };
    BY_REST.iter().map(judge).collect()
}

/// Everything that the survey tells, except of the push server.
pub(super) fn judge(survey: &Survey, settings: &Settings) -> Vec<Check> {
    let rest = Text::new("the portal answers calls", "портал отвечает на вызовы");
    vec![
        Check::ok(CheckId::Rest, rest),
        installation(survey, settings),
        administrator(survey),
        scopes(survey, settings),
        plan(survey, settings),
        bindings(survey, settings),
        queue(survey, settings),
    ]
}

/// Something that the portal does not say itself; the advice is that of the table of refusals.
fn foreseen(id: CheckId, code: &str, seen: Text) -> Check {
    let check = Check::error(id, &refusal::foreseen(code, &seen.english), seen.clone());
    Check { seen, ..check }
}

/// A part of the survey was refused, which says nothing of the rest.
fn not_told(id: CheckId, error: &Error) -> Check {
    let advice = Text::new("diagnose again later", "Повторите проверку позже");
    Check { outcome: Outcome::Warning, ..Check::error(id, error, advice) }
}

fn installation(survey: &Survey, settings: &Settings) -> Check {
    match &survey.installed {
        Ok(true) => Check::ok(CheckId::Installation, Text::new("it is finished", "завершена")),
        Ok(false) => {
            let seen = Text::new("the application's installation is not finished", "установка приложения не завершена");
            let check = foreseen(CheckId::Installation, refusal::NOT_INSTALLED, seen);
            if settings.source == Source::Push { check } else { Check { outcome: Outcome::Warning, ..check } }
        }
        Err(error) => not_told(CheckId::Installation, error),
    }
}

fn administrator(survey: &Survey) -> Check {
    match &survey.administrator {
        Ok(true) => Check::ok(
            CheckId::Administrator,
            Text::new("the token belongs to an administrator", "токен принадлежит администратору"),
        ),
        Ok(false) => foreseen(
            CheckId::Administrator,
            "ACCESS_DENIED",
            Text::new(
                "the token belongs to a user who is not an administrator",
                "токен принадлежит пользователю, который не администратор",
            ),
        ),
        Err(error) => not_told(CheckId::Administrator, error),
    }
}

/// Whether the application lacks the scope that the push server needs.
pub(super) fn lacks_pull(survey: &Survey, settings: &Settings) -> bool {
    let has_pull = |scopes: &Vec<String>| scopes.iter().any(|scope| scope.eq_ignore_ascii_case("pull"));
    settings.source != Source::Handler && survey.scopes.as_ref().is_ok_and(|scopes| !has_pull(scopes))
}

fn scopes(survey: &Survey, settings: &Settings) -> Check {
    match &survey.scopes {
        Ok(scopes) if lacks_pull(survey, settings) => {
            let list = scopes.join(", ");
            let seen = Text::new(
                format!("the application does not have the scope pull, which the push server needs; it has: {list}"),
                format!("у приложения нет права (scope) pull, без которого сервер push недоступен; есть: {list}"),
            );
            foreseen(CheckId::Scopes, "insufficient_scope", seen)
        }
        Ok(scopes) => Check::ok(CheckId::Scopes, Text::new(scopes.join(", "), scopes.join(", "))),
        Err(error) => not_told(CheckId::Scopes, error),
    }
}

fn plan(survey: &Survey, settings: &Settings) -> Check {
    if survey.payment_expired == Ok(true) {
        let seen = Text::new("the application is not paid for", "приложение не оплачено");
        return foreseen(CheckId::Plan, "PAYMENT_REQUIRED", seen);
    }
    let (reservations, connectors) = match (&survey.reservations, &survey.connectors) {
        (Ok(reservations), Ok(connectors)) => (*reservations, *connectors),
        (Err(error), _) | (_, Err(error)) => return not_told(CheckId::Plan, error),
    };
    let word = |is: bool| if is { ("yes", "да") } else { ("no", "нет") };
    let (has_reservations, has_connectors) = (word(reservations), word(connectors));
    let license = Some(survey.license.as_str()).filter(|license| !license.is_empty()).unwrap_or("?");
    let seen = Text::new(
        format!("{license}; reservations: {}; queues with a connector id: {}", has_reservations.0, has_connectors.0),
        format!(
            "{license}; резервирование записей: {}; очереди с идентификатором коннектора: {}",
            has_reservations.1, has_connectors.1
        ),
    );
    if !connectors && !settings.connector_id.is_empty() {
        let next_step =
            Text::new("leave connector.id empty, or change the plan", "Оставьте connector.id пустым или смените тариф");
        return Check::failed(CheckId::Plan, seen, next_step);
    }
    match (reservations, settings.reserve) {
        (true, _) | (false, Reserve::No) => Check::ok(CheckId::Plan, seen),
        (false, Reserve::Yes) => Check::failed(
            CheckId::Plan,
            seen,
            Text::new(
                "set fetch.reserve to auto or no, or change the plan",
                "Задайте fetch.reserve = auto или no или смените тариф",
            ),
        ),
        (false, Reserve::Auto) => Check::warning(
            CheckId::Plan,
            seen,
            Text::new(
                "the portal deletes records when it hands them out, and an answer that is lost takes its records with \
                 it: keep the state (state.dir), or change the plan",
                "Портал удаляет записи при выдаче, и с потерянным ответом пропадут и его записи: храните состояние \
                 (state.dir) или смените тариф",
            ),
        ),
    }
}

/// A part that only an administrator's token can read.
fn for_administrators(id: CheckId, survey: &Survey, error: &Error) -> Check {
    match survey.administrator {
        Ok(false) => Check::depends(id, CheckId::Administrator),
        _ => not_told(id, error),
    }
}

fn bindings(survey: &Survey, settings: &Settings) -> Check {
    let bindings = match &survey.bindings {
        // Others are shown only what they have bound themselves.
        Ok(_) if survey.administrator == Ok(false) => {
            return Check::depends(CheckId::Bindings, CheckId::Administrator);
        }
        Ok(bindings) => bindings,
        Err(error) => return for_administrators(CheckId::Bindings, survey, error),
    };
    let is_offline = |binding: &&Binding| binding.offline == 1;
    let mut own: Vec<_> = bindings
        .iter()
        .filter(is_offline)
        .filter(|binding| binding.connector_id == settings.connector_id)
        .map(|binding| binding.event.as_str())
        .collect();
    own.sort_unstable();
    own.dedup();
    if !own.is_empty() {
        return Check::ok(CheckId::Bindings, Text::new(own.join(", "), own.join(", ")));
    }
    let mut others: Vec<_> =
        bindings.iter().filter(is_offline).map(|binding| format!("{:?}", binding.connector_id)).collect();
    others.sort_unstable();
    others.dedup();
    let seen = match others.is_empty() {
        true => Text::new("none, so nothing will ever come", "ни одного, поэтому ничего не придёт"),
        false => Text::new(
            format!(
                "none for connector.id={:?}, so nothing will ever come; other queues have some: {}",
                settings.connector_id,
                others.join(", ")
            ),
            format!(
                "ни одного для connector.id={:?}, поэтому ничего не придёт; есть для других очередей: {}",
                settings.connector_id,
                others.join(", ")
            ),
        ),
    };
    let next_step = Text::new(
        "bind the events that you need, with the connector.id of the client that fetches them",
        "Подпишитесь на нужные события с тем же connector.id, с которым их получаете",
    );
    Check::failed(CheckId::Bindings, seen, next_step)
}

fn queue(survey: &Survey, settings: &Settings) -> Check {
    if survey.connectors == Ok(false) && !settings.connector_id.is_empty() {
        return Check::depends(CheckId::Queue, CheckId::Plan);
    }
    let length = match &survey.queue {
        Ok(length) => length,
        Err(error) => return for_administrators(CheckId::Queue, survey, error),
    };
    let seen = Text::new(
        format!("free records: {}, reserved: {}, failed: {}", length.free, length.reserved, length.failed),
        format!("записей свободных: {}, занятых: {}, ошибочных: {}", length.free, length.reserved, length.failed),
    );
    if length.failed == 0 {
        return Check::ok(CheckId::Queue, seen);
    }
    let next_step = Text::new(
        "fetch the failed records and acknowledge them; until then later changes of their objects do not come",
        "Получите ошибочные записи и подтвердите их: до этого новые изменения тех же объектов не приходят",
    );
    Check::warning(CheckId::Queue, seen, next_step)
}

/// Where the portal calls: `None` if that is not known.
pub(super) fn called(survey: Option<&Survey>) -> Option<Vec<String>> {
    let survey = survey.filter(|survey| survey.administrator == Ok(true))?;
    let origin = |binding: &Binding| origin(&binding.handler);
    let calls = |binding: &&Binding| {
        binding.offline == 0 && !binding.handler.is_empty() && binding.event.eq_ignore_ascii_case(QUEUE_EVENT)
    };
    Some(survey.bindings.as_ref().ok()?.iter().filter(calls).map(origin).collect())
}

/// Scheme, host and port of an address; the rest may hold secrets.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}://{}", authority.rsplit('@').next().unwrap_or_default())
}
