//! Looks at one thing after the other. What depends on something that has failed is not tried.

use std::sync::Arc;
use std::time::Duration;

use super::application::{self, BY_REST};
use super::report::{Check, CheckId, Outcome, Text};
use crate::calendar::parse_http_date;
use crate::clock::Deadline;
use crate::config::{Settings, Source, Transport};
use crate::context::Context;
use crate::error::Error;
use crate::handler::port::Port;
use crate::net::probe::resolve;
use crate::portal::Portal;
use crate::portal::survey::Survey;
use crate::push::config::{Position, PushConfig};
use crate::push::listener::Listener;
use crate::push::machine::SocketEnd;
use crate::push::websocket::Socket;

/// What an examination looks at.
pub(super) struct Examination {
    pub(super) settings: Arc<Settings>,
    pub(super) portal: Arc<Portal>,
    pub(super) listener: Arc<Listener>,
    pub(super) port: Arc<Port>,
    pub(super) ctx: Context,
}

/// Receives each check.
type Found<'a> = &'a dyn Fn(Check);

/// A clock that is this far off goes on working; farther off, it makes certificates and tokens seem invalid.
const MAX_CLOCK_ERROR: Duration = Duration::from_secs(300);
/// This much is the way there and back.
const USUAL_CLOCK_ERROR: Duration = Duration::from_secs(60);

impl Examination {
    pub(super) fn run(&self, deadline: Deadline, found: Found) {
        let survey = match self.reach_portal(deadline, found) {
            Ok(()) => self.survey(deadline, found),
            Err(failed) => {
                BY_REST.iter().for_each(|id| found(Check::depends(*id, failed)));
                None
            }
        };
        found(self.handler(survey.as_ref()));
    }

    /// At most this long for one thing, and half of the time that is left: a server that hangs is to be reported.
    fn time(&self, deadline: Deadline, max: Duration) -> Duration {
        (deadline.left(self.ctx.clock.now()) / 2).min(max)
    }

    /// Everything up to an answer of the portal's web server. The error is the check that has failed.
    fn reach_portal(&self, deadline: Deadline, found: Found) -> Result<(), CheckId> {
        use CheckId::{Clock, Name, Network, Proxy, Tls};
        let failed = |check: Check, rest: &[CheckId]| {
            let id = check.id;
            found(check);
            rest.iter().for_each(|rest| found(Check::depends(*rest, id)));
            Err(id)
        };
        let origin = self.settings.portal.origin();
        let http = self.portal.http();
        let proxy = http.used_proxy(origin);
        match &proxy {
            None => found(Check::ok(Proxy, Text::new("none is used", "не используется"))),
            Some(proxy) => {
                if let Err(error) = proxy.check(origin, self.time(deadline, self.settings.connect_timeout)) {
                    let advice = Text::new(
                        "start the proxy, or correct http.proxy or the proxy variables of the environment",
                        "Запустите прокси или исправьте http.proxy или переменные прокси в окружении",
                    );
                    return failed(Check::error(Proxy, &error, advice), &[Name, Network, Tls, Clock]);
                }
                let source = if proxy.is_from_environment {
                    ("the environment", "из окружения")
                } else {
                    ("http.proxy", "http.proxy")
                };
                let name = &proxy.name;
                found(Check::ok(Proxy, Text::new(format!("{name} ({})", source.0), format!("{name} ({})", source.1))));
            }
        }
        if proxy.is_some_and(|proxy| proxy.resolves_names) {
            found(Check::skipped(Name, Text::new("the proxy resolves names", "имена разрешает прокси")));
        } else if let Err(error) = self.resolve_name(found) {
            let advice = Text::new(
                "correct portal.url, or the DNS settings of this computer",
                "Исправьте portal.url или настройки DNS этого компьютера",
            );
            return failed(Check::error(Name, &error, advice), &[Network, Tls, Clock]);
        }
        let is_secure = self.settings.portal.is_secure();
        let reached = |http_status: Option<u16>| {
            let seen = match http_status {
                Some(status) => Text::new(
                    format!("{origin} answers (HTTP {status} without a token)"),
                    format!("{origin} отвечает (HTTP {status} без токена)"),
                ),
                None => Text::new(format!("{origin} can be reached"), format!("{origin} доступен")),
            };
            found(Check::ok(Network, seen));
        };
        // Without a token the portal refuses the call, and its answer has the time all the same.
        let time = self.time(deadline, self.settings.call_timeout);
        match http.post_json(&format!("{origin}/rest/server.time.json"), "{}", time) {
            Ok(answer) => {
                reached(Some(answer.status));
                found(match is_secure {
                    true => Check::ok(Tls, Text::new("the certificate is trusted", "сертификат принят")),
                    false => Check::skipped(Tls, Text::new("portal.url is plain http", "portal.url — http без TLS")),
                });
                let date = answer.headers.get("date").and_then(|date| parse_http_date(date.to_str().ok()?));
                found(clock(date, self.ctx.clock.unix()));
                Ok(())
            }
            Err(error @ Error::Tls(_)) => {
                reached(None);
                let advice = Text::new(
                    "correct this computer's clock; if it is right, have the issuer of the certificate trusted by the \
                     operating system, or name it in tls.ca_file",
                    "Исправьте часы компьютера; если они верны, добавьте издателя сертификата в доверенные \
                     операционной системы или укажите его в tls.ca_file",
                );
                failed(Check::error(Tls, &error, advice), &[Clock])
            }
            Err(error) => {
                let advice = Text::new(
                    "check portal.url, that this computer may connect to the portal (firewall), and the proxy",
                    "Проверьте portal.url, разрешено ли этому компьютеру соединяться с порталом (брандмауэр), и прокси",
                );
                failed(Check::error(Network, &error, advice), &[Tls, Clock])
            }
        }
    }

    fn resolve_name(&self, found: Found) -> crate::error::Result<()> {
        let authority = self.settings.portal.origin().rsplit('/').next().unwrap_or_default();
        let default_port = if self.settings.portal.is_secure() { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(default_port)),
            _ => (authority, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = resolve(host, port)?;
        let mut list: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
        list.dedup();
        let list = list.join(", ");
        found(Check::ok(CheckId::Name, Text::new(format!("{host}: {list}"), format!("{host}: {list}"))));
        Ok(())
    }

    fn survey(&self, deadline: Deadline, found: Found) -> Option<Survey> {
        if !self.portal.has_token() {
            found(application::without_token(&self.settings));
            let rest = BY_REST.iter().filter(|id| **id != CheckId::Token);
            rest.for_each(|id| found(Check::depends(*id, CheckId::Token)));
            return None;
        }
        let time = self.time(deadline, self.settings.call_timeout);
        let deadline = Deadline::after(time, self.ctx.clock.now());
        match self.portal.survey(self.settings.source != Source::Handler, deadline) {
            Ok(survey) => {
                found(application::token(&self.portal.tokens(), &self.settings, self.ctx.clock.unix()));
                application::judge(&survey, &self.settings).into_iter().for_each(found);
                self.push(&survey, deadline, found);
                Some(survey)
            }
            Err(error) => {
                application::refused(&error).into_iter().for_each(found);
                None
            }
        }
    }

    fn push(&self, survey: &Survey, deadline: Deadline, found: Found) {
        use CheckId::{Push, WebSocket};
        if self.settings.source == Source::Handler {
            let why = || Text::new("source=handler does not use it", "при source = handler не используется");
            found(Check::skipped(Push, why()));
            found(Check::skipped(WebSocket, why()));
            return;
        }
        if application::lacks_pull(survey, &self.settings) {
            found(Check::depends(Push, CheckId::Scopes));
            found(Check::depends(WebSocket, CheckId::Scopes));
            return;
        }
        let config = survey.push_config.clone();
        match config.and_then(|json| PushConfig::parse(&json, self.settings.plain_when_named())) {
            Ok(config) => {
                found(self.push_server(&config));
                found(self.websocket(&config, deadline));
            }
            Err(error) => {
                let advice = Text::new(
                    "have an administrator check the push server in the portal's settings",
                    "Попросите администратора проверить сервер push в настройках портала",
                );
                found(Check::error(Push, &error, advice));
                found(Check::depends(WebSocket, Push));
            }
        }
    }

    fn push_server(&self, config: &PushConfig) -> Check {
        let (origin, version) = (config.origin(), config.version());
        let seen = |english: String, russian: String| {
            Text::new(
                format!("{origin}, version {version}; {english}"),
                format!("{origin}, версия {version}; {russian}"),
            )
        };
        match self.listener.last_error() {
            Some(error) if self.listener.is_listening() && !self.listener.is_subscribed() => Check::warning(
                CheckId::Push,
                seen(
                    format!("this client is not subscribed: {error}"),
                    format!("подписки у этого подключения нет. Подробности (англ.): {error}"),
                ),
                Text::new(
                    "the client keeps trying; meanwhile records come with the checks of the queue",
                    "Попытки продолжаются; записи тем временем приходят при проверках очереди",
                ),
            ),
            _ if self.listener.is_subscribed() => {
                Check::ok(CheckId::Push, seen("this client is subscribed".into(), "подписка действует".into()))
            }
            _ => Check::ok(
                CheckId::Push,
                seen("this client is not connected".into(), "подключение сейчас не установлено".into()),
            ),
        }
    }

    /// Opens a short connection beside the one that the client may have; a channel can have many listeners.
    fn websocket(&self, config: &PushConfig, deadline: Deadline) -> Check {
        let id = CheckId::WebSocket;
        let start = Position::default();
        let long_polling = config.long_polling_url(&start);
        let transport = self.settings.transport;
        let time = |max| self.time(deadline, max);
        let problem = match config.websocket_url(&start).filter(|_| transport != Transport::LongPolling) {
            Some(url) => match Socket::open(self.portal.http(), &url, time(self.settings.connect_timeout)) {
                Ok(mut socket) => {
                    socket.close();
                    let seen = Text::new("the handshake works", "соединение устанавливается");
                    return Check::ok(id, seen);
                }
                Err(refused) if refused.end == SocketEnd::ChannelRefused => {
                    let advice = Text::new(
                        "connect again; if it persists, have an administrator check the push server of the portal",
                        "Подключитесь снова; если не поможет, попросите администратора проверить сервер push портала",
                    );
                    return Check::error(id, &refused.error, advice);
                }
                Err(failed) => Some(failed.error),
            },
            None => config.require_websocket().err().filter(|_| transport != Transport::LongPolling),
        };
        if let Some(error) = problem.as_ref().filter(|_| transport == Transport::WebSocket) {
            let advice = Text::new("set push.transport=auto", "Задайте push.transport = auto");
            return Check::error(id, error, advice);
        }
        if let Err(error) =
            self.portal.http().open_connection(long_polling.expose(), time(self.settings.connect_timeout))
        {
            let advice = Text::new(
                "check that this computer may connect to the push server (firewall, proxy)",
                "Проверьте, разрешено ли этому компьютеру соединяться с сервером push (брандмауэр, прокси)",
            );
            return Check::error(id, &error, advice);
        }
        match problem {
            None => Check::skipped(
                id,
                Text::new(
                    "push.transport=long_polling; its server can be reached",
                    "push.transport = long_polling; сервер доступен",
                ),
            ),
            Some(error) => Check::warning(
                id,
                Text::new(
                    format!("only long polling works: {error}"),
                    format!("работают только длинные опросы (long polling). Подробности (англ.): {error}"),
                ),
                Text::new(
                    "events come all the same; let WebSocket through the proxy or firewall to need fewer connections",
                    "События приходят и так; чтобы соединений было меньше, пропустите WebSocket через прокси или \
                     брандмауэр",
                ),
            ),
        }
    }

    fn handler(&self, survey: Option<&Survey>) -> Check {
        let id = CheckId::Handler;
        if self.settings.source == Source::Push {
            return Check::skipped(id, Text::new("source=push does not use it", "при source = push не используется"));
        }
        let (english, russian) = match (self.settings.handler.listen, self.port.address()) {
            (_, Some(address)) => (format!("listens on {address}"), format!("слушает {address}")),
            (None, None) => ("the host passes calls on".to_owned(), "вызовы передаёт сама программа".to_owned()),
            (Some(address), None) => match Port::check(address) {
                Ok(()) => (
                    format!("{address} is free, and opens when the client connects"),
                    format!("{address} свободен и откроется при подключении"),
                ),
                Err(error) => {
                    let advice = Text::new(
                        "stop the other program, or set handler.listen to a free port of this computer",
                        "Остановите другую программу или задайте в handler.listen свободный порт этого компьютера",
                    );
                    return Check::error(id, &error, advice);
                }
            },
        };
        match application::called(survey) {
            None => Check::ok(
                id,
                Text::new(
                    format!("{english}; not checked: whether the portal calls it"),
                    format!("{russian}; вызывает ли его портал, не проверено"),
                ),
            ),
            Some(called) if called.is_empty() => Check::failed(
                id,
                Text::new(
                    format!("{english}; the portal calls no address"),
                    format!("{russian}; портал не вызывает никакой адрес"),
                ),
                Text::new(
                    "bind the handler with the address at which the portal reaches it",
                    "Привяжите обработчик по адресу, по которому его достигает портал",
                ),
            ),
            Some(called) => {
                let called = called.join(", ");
                let seen = Text::new(
                    format!("{english}; the portal calls {called}"),
                    format!("{russian}; портал вызывает {called}"),
                );
                Check::ok(id, seen)
            }
        }
    }
}

/// Compares the portal's clock with ours, both in seconds since 1970.
fn clock(portal: Option<u64>, own: u64) -> Check {
    let Some(portal) = portal else {
        let why = Text::new("the portal's answer has no time", "в ответе портала нет времени");
        return Check::skipped(CheckId::Clock, why);
    };
    let error = Duration::from_secs(portal.abs_diff(own));
    let seconds = error.as_secs();
    let seen = match own >= portal {
        true => Text::new(format!("{seconds} s ahead of the portal's"), format!("спешат на {seconds} с")),
        false => Text::new(format!("{seconds} s behind the portal's"), format!("отстают на {seconds} с")),
    };
    if error <= USUAL_CLOCK_ERROR {
        return Check::ok(CheckId::Clock, seen);
    }
    let outcome = if error <= MAX_CLOCK_ERROR { Outcome::Warning } else { Outcome::Failed };
    let next_step = Text::new(
        "set this computer's clock, and switch on its synchronization",
        "Установите часы этого компьютера и включите их синхронизацию",
    );
    Check { id: CheckId::Clock, outcome, seen, next_step: Some(next_step) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_off_a_little() {
        let outcome = |portal, own| clock(portal, own).outcome;
        assert_eq!((outcome(Some(1000), 1060), outcome(Some(1060), 1000)), (Outcome::Ok, Outcome::Ok));
        assert_eq!((outcome(Some(1000), 1061), outcome(Some(1300), 1000)), (Outcome::Warning, Outcome::Warning));
        assert_eq!((outcome(Some(1000), 1301), outcome(Some(9000), 1000)), (Outcome::Failed, Outcome::Failed));
        assert_eq!(outcome(None, 1), Outcome::Skipped);
        assert!(clock(Some(2000), 1000).seen.english.contains("1000 s behind"));
    }
}
