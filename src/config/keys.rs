//! The table of configuration keys. The parser, the defaults and CONFIGURATION.md come from it.

/// What a key's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that is never printed.
    Secret,
    /// An `https://` address (or `http://`, see `http.allow_plain`).
    Address,
    /// A proxy, perhaps with user and password.
    Proxy,
    /// A whole number within these bounds, both included.
    Integer(u64, u64),
    /// `true` or `false`.
    Boolean,
    /// An address of this computer and a port, or nothing.
    Listen,
    /// The path of an address.
    Path,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// One configuration key.
#[derive(Debug)]
pub struct Key {
    /// Name as `b24_config_set` takes it.
    pub name: &'static str,
    /// What is allowed.
    pub kind: Kind,
    /// Value when nothing is set; `None` when the key has none.
    pub default: Option<&'static str>,
    /// Whether a client cannot be made without it.
    pub required: bool,
    /// What it does, in English.
    pub text: &'static str,
    /// What it does, in Russian.
    pub russian: &'static str,
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    text: &'static str,
    russian: &'static str,
) -> Key {
    Key { name, kind, default, required: false, text, russian }
}

const fn required(name: &'static str, kind: Kind, text: &'static str, russian: &'static str) -> Key {
    Key { name, kind, default: None, required: true, text, russian }
}

/// Every key there is.
pub static KEYS: &[Key] = &[
    required(
        "portal.url",
        Kind::Address,
        "Address of the portal, such as `https://my.bitrix24.com`. Not a webhook address: offline events need an application's token.",
        "Адрес портала, например `https://my.bitrix24.ru`. Не адрес вебхука: офлайн-событиям нужен токен приложения.",
    ),
    key(
        "auth.access_token",
        Kind::Secret,
        None,
        "The application's access token, of a user who is an administrator. May be left out when a state is restored that holds one.",
        "Токен доступа приложения, выданный пользователю-администратору. Не нужен, если восстановлено состояние, в котором он есть.",
    ),
    key(
        "auth.refresh_token",
        Kind::Secret,
        None,
        "Refresh token. With it and `auth.client_id`, `auth.client_secret` the library renews the access token itself; a renewal makes the old pair worthless, so store the new one (`b24_config_on_tokens`).",
        "Токен продления. С ним и с `auth.client_id`, `auth.client_secret` библиотека сама продлевает токен доступа; прежняя пара после этого недействительна, новую нужно сохранить.",
    ),
    key(
        "auth.expires",
        Kind::Integer(0, u64::MAX),
        Some("0"),
        "When the access token expires, in seconds since 1970 (`expires` of the token answer). 0: not known; then it is renewed when the portal says that it has expired.",
        "Когда истекает токен доступа, секунды с 1970 года (`expires` из ответа с токенами). 0 — неизвестно: продление по ответу портала.",
    ),
    key("auth.client_id", Kind::Text, None, "The application's `client_id`.", "Код приложения (`client_id`)."),
    key(
        "auth.client_secret",
        Kind::Secret,
        None,
        "The application's `client_secret`.",
        "Ключ приложения (`client_secret`).",
    ),
    key(
        "auth.server",
        Kind::Address,
        Some("https://oauth.bitrix.info"),
        "The authorization server (the origin of `server_endpoint` in the token answer); in Russia also `https://oauth.bitrix24.tech`.",
        "Сервер авторизации (начало `server_endpoint` из ответа с токенами); в России также `https://oauth.bitrix24.tech`.",
    ),
    key(
        "auth.renew",
        Kind::Choice(&["auto", "host"]),
        Some("auto"),
        "Who renews an expired token. `auto`: the library. `host`: the host, which keeps the pair where several machines can read it and renews under its own lock; an expired token then ends the call with `B24_AUTH`, and `b24_client_set_tokens` puts the new pair in.",
        "Кто продлевает токен. `auto` — библиотека; `host` — сама программа, которая хранит пару там, где её прочтут все машины, и продлевает под своей блокировкой: вызов с истёкшим токеном завершается ошибкой `B24_AUTH`, новую пару передаёт `УстановитьТокены`.",
    ),
    key(
        "auth.tokens_file",
        Kind::Text,
        Some(""),
        "File in which several processes of one machine share the tokens of one application: a refresh token works once, so only one of them renews while the others wait and read the new pair. Holds secrets: only the owner may read it; on Windows it has the rights of its folder.",
        "Файл, в котором процессы одной машины делят токены одного приложения: токен продления действует один раз, поэтому продлевает один, остальные ждут и читают новую пару. Содержит секреты: доступен только владельцу, в Windows — по правам папки.",
    ),
    key(
        "connector.id",
        Kind::Text,
        Some(""),
        "Source key (`auth_connector`): names this application's own queue. Every call carries it, so changes made through this client do not come back. Empty: the queue without a key.",
        "Ключ источника (`auth_connector`): имя собственной очереди. Передаётся с каждым вызовом, поэтому собственные изменения не возвращаются. Пусто — очередь без ключа.",
    ),
    key(
        "fetch.limit",
        Kind::Integer(1, 1000),
        Some("50"),
        "Most records that one batch holds when the call itself names no limit.",
        "Наибольшее число записей в пакете, если вызов сам не называет предел.",
    ),
    key(
        "fetch.reserve",
        Kind::Choice(&["auto", "yes", "no"]),
        Some("auto"),
        "Whether records stay reserved in the portal until they are acknowledged (`clear=0`). `auto`: where the portal's plan allows it. `yes`: refuse to work otherwise. `no`: the portal deletes them when it hands them out.",
        "Оставлять ли записи за собой на портале до подтверждения (`clear=0`). `auto` — если позволяет тариф, `yes` — иначе не работать, `no` — портал удаляет записи при выдаче.",
    ),
    key(
        "recover.orphans",
        Kind::Choice(&["aged", "exclusive", "no"]),
        Some("aged"),
        "What to do with reservations that this client does not know (an answer was lost, a process died without state). `aged`: take them over when they have been seen for `recover.orphan_age_s`. `exclusive`: at once; only when this client is the queue's only consumer. `no`: leave them.",
        "Что делать с резервами, о которых клиент не знает (ответ потерялся, процесс погиб без состояния). `aged` — забрать, когда видны дольше `recover.orphan_age_s`; `exclusive` — сразу, только если у очереди один потребитель; `no` — не трогать.",
    ),
    key(
        "recover.orphan_age_s",
        Kind::Integer(0, 2_592_000),
        Some("3600"),
        "How long (seconds) an unknown reservation must have been seen before it is taken over. Longer than any consumer works on a batch.",
        "Сколько секунд неизвестный резерв должен быть виден, прежде чем его забрать. Дольше, чем любой потребитель обрабатывает пакет.",
    ),
    key(
        "state.dir",
        Kind::Text,
        Some(""),
        "Folder in which tokens and open reservations survive the process; made if need be, locked for one client. It holds secrets: only the owner may read it; on Windows its files have the rights of the folder it is in, so take one that is closed to others, such as one below `%LOCALAPPDATA%`. Empty: the host keeps the state (`b24_client_state`).",
        "Папка, в которой токены и открытые резервы переживают процесс; создаётся при необходимости, занята одним клиентом. Содержит секреты, доступна только владельцу; в Windows файлы получают права папки, поэтому выберите закрытую для других, например внутри `%LOCALAPPDATA%`. Пусто — состояние хранит сама программа (`State`/`Состояние`).",
    ),
    key(
        "source",
        Kind::Choice(&["push", "handler", "both"]),
        Some("push"),
        "How the client learns that the queue grew; decides what `connect` starts. `push`: it listens to the portal's push server. `handler`: the portal calls it (`handler.*`, `b24_client_bind_handler`). `both`: what comes both ways is delivered once.",
        "Откуда клиент узнаёт, что очередь пополнилась; определяет, что запускает подключение. `push` — слушает push-сервер портала; `handler` — портал вызывает его сам (`handler.*`, `ЗарегистрироватьОбработчик`); `both` — и то и другое, событие доставляется один раз.",
    ),
    key(
        "handler.listen",
        Kind::Listen,
        Some("127.0.0.1:8080"),
        "Where `connect` waits for the portal's calls when `source` is `handler` or `both`; plain HTTP, so let a web server with TLS pass them on. Port 0: any free one, `b24_client_stats` tells which. Empty: no port is opened, the host has a web server of its own and passes the calls to `b24_client_accept_handler_call`.",
        "Где ждать вызовов портала, если `source` — `handler` или `both`; без TLS, его берёт на себя веб-сервер перед нами. Порт 0 — любой свободный, его назовёт `Статистика`. Пусто — порт не открывается: вызовы принимает ваш веб-сервер и передаёт в `ПринятьВызовОбработчика`.",
    ),
    key(
        "handler.path",
        Kind::Path,
        Some("/b24"),
        "Path of the handler's address; calls of other paths get 404.",
        "Путь адреса обработчика; на другие пути ответ 404.",
    ),
    key(
        "handler.application_token",
        Kind::Secret,
        Some(""),
        "The `application_token` that proves the portal's calls. Empty: the application's next installation (`ONAPPINSTALL`) sets it, once; it is kept in the state. What is set here counts more than what is kept.",
        "`application_token`, по которому узнаются вызовы портала. Пусто — его один раз задаст установка приложения (`ONAPPINSTALL`), хранится в состоянии. Заданное здесь важнее сохранённого.",
    ),
    key(
        "handler.member_id",
        Kind::Text,
        Some(""),
        "The portal's lasting id (`member_id`), which calls must name. Empty: the one that came with the tokens; as long as none is known, `application_token` and domain decide, and tokens of events are left alone.",
        "Постоянный идентификатор портала (`member_id`), который должны называть вызовы. Пусто — тот, что пришёл с токенами; пока он неизвестен, решают `application_token` и домен, а токены из событий не берутся.",
    ),
    key(
        "push.poll_interval_ms",
        Kind::Integer(1_000, 86_400_000),
        Some("300000"),
        "The doorbell rings by itself this often (milliseconds), so that a lost signal costs time but no record.",
        "Как часто (мс) звонок срабатывает сам: потерянный сигнал стоит времени, но не записи.",
    ),
    key(
        "push.idle_timeout_ms",
        Kind::Integer(1_000, 3_600_000),
        Some("150000"),
        "A push connection on which nothing came for so long (milliseconds) counts as dead. Push servers hold a request for up to 60 s.",
        "Соединение с push-сервером, по которому столько миллисекунд ничего не пришло, считается мёртвым. Серверы держат запрос до 60 с.",
    ),
    key(
        "push.transport",
        Kind::Choice(&["auto", "websocket", "long_polling"]),
        Some("auto"),
        "How to listen to the push server. `auto`: by WebSocket where the server has it, by long polling while WebSocket fails (a proxy that blocks it). The other two: only so.",
        "Как слушать push-сервер. `auto` — через WebSocket, если он есть, а пока он не работает (мешает прокси) — long polling; остальные два — только так.",
    ),
    key(
        "push.renew_before_s",
        Kind::Integer(1, 3_600),
        Some("300"),
        "How long (seconds) before its channels end a subscription is renewed. Channels live 12 hours.",
        "За сколько секунд до конца каналов подписка обновляется. Каналы живут 12 часов.",
    ),
    key(
        "http.timeout_ms",
        Kind::Integer(100, 600_000),
        Some("65000"),
        "Most time (milliseconds) that one REST call may take, repeats and pauses included. The portal itself stops a call after 60 s.",
        "Наибольшее время (мс) одного вызова REST вместе с повторами и паузами. Сам портал обрывает вызов через 60 с.",
    ),
    key(
        "http.connect_timeout_ms",
        Kind::Integer(100, 600_000),
        Some("10000"),
        "Most time (milliseconds) for opening a connection.",
        "Наибольшее время (мс) на установку соединения.",
    ),
    key(
        "http.max_answer_bytes",
        Kind::Integer(1_024, 1_073_741_824),
        Some("33554432"),
        "A longer answer is refused (bytes).",
        "Более длинный ответ отвергается (байты).",
    ),
    key(
        "http.proxy",
        Kind::Proxy,
        None,
        "Proxy for everything: `http://host:port` (CONNECT) or `socks5://host:port`, with `user:password@` before the host if need be; these are never printed. Not set: `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the environment.",
        "Прокси для всех соединений: `http://host:port` (CONNECT) или `socks5://host:port`, при необходимости с `user:password@` перед именем; они нигде не печатаются. Не задан — `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` и `NO_PROXY` из окружения.",
    ),
    key(
        "tls.ca_file",
        Kind::Text,
        Some(""),
        "File with the certificates of the authorities to trust (PEM), for portals with a private one. Only these are trusted then: put the public ones in too if the authorization server needs them. Empty: those of the operating system.",
        "Файл с сертификатами доверенных центров (PEM) для порталов с собственным центром. Доверие тогда только им: если серверу авторизации нужны публичные, добавьте и их. Пусто — центры операционной системы.",
    ),
    key(
        "http.allow_plain",
        Kind::Boolean,
        Some("false"),
        "Allow `http://` to addresses other than loopback. Tokens then travel readable by everyone on the way.",
        "Разрешить `http://` не только для этого компьютера. Токены тогда сможет прочитать любой на пути.",
    ),
    key(
        "rate.burst",
        Kind::Integer(1, 10_000),
        Some("50"),
        "Size of the portal's leaky bucket: so many requests go at once. All clients of the process that talk to one portal share it. 250 on the Enterprise plan.",
        "Размер «ведра» запросов портала: столько запросов проходит сразу. Общее для всех клиентов процесса на одном портале. На тарифе «Энтерпрайз» — 250.",
    ),
    key(
        "rate.per_second",
        Kind::Integer(0, 1_000),
        Some("2"),
        "Requests a second that drain from the bucket. 5 on the Enterprise plan; 0: no limit, for portals of one's own.",
        "Сколько запросов в секунду вытекает из «ведра». На тарифе «Энтерпрайз» — 5; 0 — без ограничения, для своих серверов.",
    ),
    key(
        "log.level",
        Kind::Choice(&["off", "error", "warning", "info", "debug"]),
        Some("info"),
        "What the log callback gets.",
        "Что передаётся в журнал.",
    ),
];

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

impl Kind {
    /// What is allowed, in words.
    pub fn allowed(&self) -> String {
        match self {
            Kind::Text | Kind::Secret => "any text without NUL".into(),
            Kind::Address => "an address such as https://my.bitrix24.com".into(),
            Kind::Proxy => "an address such as http://proxy:3128 or socks5://user:password@proxy:1080".into(),
            Kind::Integer(min, max) if *max == u64::MAX => format!("a whole number, {min} or more"),
            Kind::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Listen => "an address and a port such as 127.0.0.1:8080, or nothing".into(),
            Kind::Path => "a path such as /b24".into(),
            Kind::Boolean => "true or false".into(),
            Kind::Choice(words) => words.join(", "),
        }
    }
}
