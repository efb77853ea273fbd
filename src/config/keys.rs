//! The table of configuration keys, from which the parser, the defaults and CONFIGURATION.md are made.
//!
//! Its texts name operations in neutral words; CONFIGURATION.md says how each door calls them.

use super::key::{Key, Kind, key, required};

/// All keys.
pub static KEYS: &[Key] = &[
    required(
        "portal.url",
        Kind::Address,
        "Address of the portal, such as `https://my.bitrix24.com`. The address of a webhook does not work: offline \
         events need an application's token.",
        "Адрес портала, например `https://my.bitrix24.ru`. Адрес вебхука не подходит: для офлайн-событий нужен токен \
         приложения.",
    ),
    key(
        "auth.access_token",
        Kind::Secret,
        None,
        "The application's access token, issued to an administrator of the portal. Not needed if the tokens come from \
         a restored state, an authorization code or the application's installation.",
        "Токен доступа приложения, выданный администратору портала. Не нужен, если токены берутся из восстановленного \
         состояния, получены по коду авторизации или при установке приложения.",
    ),
    key(
        "auth.refresh_token",
        Kind::Secret,
        None,
        "The refresh token. With it, `auth.client_id` and `auth.client_secret`, the library renews the access token. \
         Each renewal invalidates the old pair, so the new one has to be stored: in `state.dir`, in \
         `auth.tokens_file`, as part of the state, or by the tokens callback.",
        "Токен продления. Если заданы он, `auth.client_id` и `auth.client_secret`, библиотека сама продлевает токен \
         доступа. После продления прежняя пара недействительна, поэтому новую нужно сохранять: в `state.dir`, в \
         `auth.tokens_file`, в составе состояния или в функции, которая получает новые токены.",
    ),
    key(
        "auth.expires",
        Kind::Integer(0, u64::MAX),
        Some("0"),
        "When the access token expires, in seconds since 1970 (`expires` in the answer with the tokens). 0: unknown; \
         the token is renewed when the portal reports that it has expired.",
        "Когда истекает токен доступа, в секундах с 1970 года (`expires` из ответа с токенами). 0 — неизвестно: токен \
         продлевается, когда портал сообщит, что он истёк.",
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
        "The authorization server: the origin of `server_endpoint` in the answer with the tokens. In Russia also \
         `https://oauth.bitrix24.tech`.",
        "Сервер авторизации: `server_endpoint` из ответа с токенами без пути. В России также \
         `https://oauth.bitrix24.tech`.",
    ),
    key(
        "auth.renew",
        Kind::Choice(&["auto", "host"]),
        Some("auto"),
        "Who renews an expired token. `auto`: the library. `host`: the host, which stores the pair where all its \
         machines can read it, and renews it under its own lock. Calls with an expired token then fail with \
         `expired_token` until the host sets the new tokens.",
        "Кто продлевает истёкший токен. `auto` — библиотека. `host` — сама программа: она хранит пару там, где её \
         прочтут все машины, и следит, чтобы токен продлевала только одна. Вызовы с истёкшим токеном завершаются ошибкой \
         `expired_token`, пока программа не передаст новые токены.",
    ),
    key(
        "auth.tokens_file",
        Kind::Text,
        Some(""),
        "A file through which processes of one machine share the tokens of one application. A refresh token works \
         only once, so one process renews the tokens, and the others wait and read the new pair. The file contains \
         secrets: only its owner can read it; on Windows it has the permissions of its folder.",
        "Файл, через который процессы одной машины пользуются общими токенами приложения. Токен продления действует \
         один раз, поэтому продлевает один процесс, а остальные ждут и читают новую пару. Файл содержит секреты: \
         прочитать его может только владелец, в Windows действуют права папки.",
    ),
    key(
        "connector.id",
        Kind::Text,
        Some(""),
        "Connector id (`auth_connector`; the vendor's pages also call it *source key*): gives the application its own \
         queue. Every call carries it, so changes made through this client do not come back as events. Empty: the \
         queue without a connector id.",
        "Ключ источника (`auth_connector`): имя отдельной очереди приложения. Передаётся с каждым вызовом, поэтому \
         изменения, сделанные через этот клиент, не возвращаются событиями. Пусто — очередь без ключа источника.",
    ),
    key(
        "fetch.limit",
        Kind::Integer(1, 1000),
        Some("50"),
        "Maximum number of records in a batch, if the call itself sets no limit.",
        "Наибольшее число записей в пакете, если предел не указан в самом вызове.",
    ),
    key(
        "fetch.reserve",
        Kind::Choice(&["auto", "yes", "no"]),
        Some("auto"),
        "Whether the portal keeps records reserved until they are acknowledged (`clear=0`). `auto`: if the portal's \
         plan allows it. `yes`: always; if the plan does not allow it, fetching fails. `no`: the portal deletes \
         records when it hands them out.",
        "Хранит ли портал записи зарезервированными до подтверждения (`clear=0`). `auto` — если позволяет тариф \
         портала. `yes` — всегда; если тариф не позволяет, получение записей завершается ошибкой. `no` — портал \
         удаляет записи при выдаче.",
    ),
    key(
        "objects.methods",
        Kind::ObjectMethods,
        Some(""),
        "Which REST methods return the objects of events that the library does not know, or other methods for those that \
         it knows. Entries such as `ONMYEVENT=my.method.get?id={FIELDS.ID}`, separated by spaces: the event, with or \
         without `ADD`, `UPDATE` or `DELETE` at its end; a method that changes nothing; its parameters, with `{…}` for \
         a value of `EVENT_DATA`.",
        "Какие методы REST возвращают объекты событий, которых библиотека не знает, или другие методы для известных ей \
         событий. Записи вида `ONMYEVENT=my.method.get?id={FIELDS.ID}` через пробел: событие, с `ADD`, `UPDATE` или \
         `DELETE` на конце или без них; метод, который ничего не меняет; его параметры, где `{…}` — значение из \
         `EVENT_DATA`.",
    ),
    key(
        "recover.orphans",
        Kind::Choice(&["auto", "aged", "exclusive", "no"]),
        Some("auto"),
        "What to do with reservations that this client does not know, because an answer was lost or a process ended \
         without storing its state. `auto`: fetch them once they have been seen for twice `http.timeout_ms`; or, if \
         another consumer was seen at work in the last 24 hours, as `aged`. `aged`: fetch them once they have been seen \
         for `recover.orphan_age_s`. Either time is extended at random, at most to double. `exclusive`: fetch them at \
         once; only if this client is the queue's only consumer. `no`: leave them.",
        "Что делать с зарезервированными записями, о которых клиент не знает: ответ портала потерялся или процесс \
         завершился, не сохранив состояние. `auto` — забрать, когда они видны дольше двух `http.timeout_ms`, а если за \
         последние сутки был замечен другой потребитель — как `aged`. `aged` — забрать, когда они видны дольше \
         `recover.orphan_age_s`. Оба срока случайно увеличиваются, самое большее вдвое. `exclusive` — забрать сразу; \
         только если у очереди один потребитель. `no` — не трогать.",
    ),
    key(
        "recover.orphan_age_s",
        Kind::Integer(0, 2_592_000),
        Some("3600"),
        "How long an unknown reservation has to be seen before it is fetched, in seconds. Choose more than any \
         consumer needs for a batch.",
        "Сколько секунд неизвестные зарезервированные записи должны быть видны, прежде чем клиент их заберёт. Задайте \
         больше, чем любой потребитель обрабатывает пакет.",
    ),
    key(
        "redeliver.pauses_ms",
        Kind::Pauses,
        Some("1000 5000 30000 300000"),
        "After how many milliseconds a batch that the host has freed without acknowledging it comes again: after the \
         first attempt, after the second, and so on. The last pause repeats.",
        "Через сколько миллисекунд пакет, который программа освободила без подтверждения, выдаётся снова: после первой \
         попытки, после второй и так далее. Последняя пауза повторяется.",
    ),
    key(
        "state.dir",
        Kind::Text,
        Some(""),
        "Folder in which tokens and open reservations survive the process. It is created if necessary, and locked for \
         one client. Its files contain secrets and can be read only by their owner. On Windows its files have the permissions of \
         the parent folder, so choose one that is closed to others, such as a folder in `%LOCALAPPDATA%`. Empty: the \
         host stores the state.",
        "Папка, в которой токены и неподтверждённые пакеты сохраняются между запусками. Создаётся при необходимости; \
         одновременно с ней работает только один клиент. Содержит секреты: прочитать её может только владелец. В \
         Windows файлы получают права родительской папки, поэтому выберите закрытую для других, например внутри \
         `%LOCALAPPDATA%`. Пусто — состояние хранит сама программа.",
    ),
    key(
        "source",
        Kind::Choice(&["push", "handler", "both"]),
        Some("push"),
        "How the client learns that the queue has grown; decides what connecting starts. `push`: the client listens \
         to the portal's push server. `handler`: the portal calls the client (see `handler.*`; the handler has to be \
         bound). `both`: both ways; a record that both announce is delivered once.",
        "Как клиент узнаёт, что очередь пополнилась; от этого зависит, что запускает подключение. `push` — клиент \
         слушает push-сервер портала. `handler` — портал вызывает клиент (см. `handler.*`; обработчик нужно \
         зарегистрировать). `both` — и то и другое; запись, о которой сообщили оба, выдаётся один раз.",
    ),
    key(
        "handler.listen",
        Kind::Listen,
        Some("127.0.0.1:8080"),
        "Where the client accepts the portal's calls if `source` is `handler` or `both`. It speaks plain HTTP, so put \
         a web server with TLS in front of it. Port 0: any free port; the statistics show which. Empty: no port is \
         opened; the host has its own web server and passes each handler call to the client.",
        "Адрес и порт, на которых клиент принимает вызовы портала, если `source` — `handler` или `both`. Протокол — \
         HTTP без TLS, поэтому перед клиентом должен стоять веб-сервер с TLS. Порт 0 — любой свободный, его номер \
         есть в статистике. Пусто — порт не открывается: вызовы обработчика принимает веб-сервер самой программы, и \
         она передаёт их клиенту.",
    ),
    key(
        "handler.path",
        Kind::Path,
        Some("/b24"),
        "Path of the handler's address. Calls to other paths are answered with 404.",
        "Путь в адресе обработчика. На вызовы по другим путям клиент отвечает 404.",
    ),
    key(
        "handler.application_token",
        Kind::Secret,
        Some(""),
        "The `application_token` that proves that a call comes from the portal. Empty: the application's next \
         installation (`ONAPPINSTALL`) sets it, once, and the state stores it. A token set here takes precedence over \
         the stored one.",
        "`application_token`, который доказывает, что вызов пришёл от портала. Пусто — его один раз задаёт ближайшая \
         установка приложения (`ONAPPINSTALL`), и он хранится в состоянии. Заданное здесь значение важнее \
         сохранённого.",
    ),
    key(
        "handler.member_id",
        Kind::Text,
        Some(""),
        "The portal's permanent id (`member_id`), which calls have to contain. Empty: the one that came with the \
         tokens. While none is known, only `application_token` is checked, and tokens from events are ignored.",
        "Постоянный идентификатор портала (`member_id`), который должен быть в вызовах. Пусто — тот, что пришёл \
         вместе с токенами. Пока он неизвестен, вызовы проверяются только по `application_token`, а токены из событий \
         не используются.",
    ),
    key(
        "push.poll_interval_ms",
        Kind::Integer(1_000, 86_400_000),
        Some("300000"),
        "How often the client checks the queue without a signal, in milliseconds. A lost signal then costs time, but \
         no record.",
        "Как часто клиент проверяет очередь без сигнала, в миллисекундах. Если сигнал потеряется, запись придёт \
         позже, но не пропадёт.",
    ),
    key(
        "push.unsubscribed_poll_interval_ms",
        Kind::Integer(1_000, 86_400_000),
        Some("30000"),
        "How often the client checks the queue while it is not subscribed to the push server, so that no signal can \
         come, in milliseconds. If this is longer than `push.poll_interval_ms`, that interval applies.",
        "Как часто клиент проверяет очередь, пока не подписан на push-сервер и не получает сигналов, в миллисекундах. \
         Если это больше, чем `push.poll_interval_ms`, действует `push.poll_interval_ms`.",
    ),
    key(
        "push.idle_timeout_ms",
        Kind::Integer(1_000, 3_600_000),
        Some("150000"),
        "A push connection on which nothing has arrived for this long (milliseconds) is considered dead. Push servers \
         hold a request for up to 60 s.",
        "Соединение с push-сервером считается оборванным, если по нему столько миллисекунд ничего не приходило. \
         Push-серверы держат запрос до 60 с.",
    ),
    key(
        "push.transport",
        Kind::Choice(&["auto", "websocket", "long_polling"]),
        Some("auto"),
        "How to listen to the push server. `auto`: by WebSocket if the server supports it, and by long polling while \
         WebSocket fails, for example because a proxy blocks it. `websocket`, `long_polling`: only in this way.",
        "Как слушать push-сервер. `auto` — через WebSocket, если сервер его поддерживает, а пока WebSocket не \
         работает (например, его не пропускает прокси), — через long polling. `websocket`, `long_polling` — только \
         этим способом.",
    ),
    key(
        "push.renew_before_s",
        Kind::Integer(1, 3_600),
        Some("300"),
        "How many seconds before its channels expire a subscription is renewed. Channels are valid for 12 hours.",
        "За сколько секунд до истечения каналов обновляется подписка. Каналы действуют 12 часов.",
    ),
    key(
        "http.timeout_ms",
        Kind::Integer(100, 600_000),
        Some("65000"),
        "Maximum duration of a REST call, including repeats and pauses, in milliseconds. The portal itself ends a \
         call after 60 s.",
        "Наибольшая длительность вызова REST вместе с повторами и паузами, в миллисекундах. Сам портал обрывает вызов \
         через 60 с.",
    ),
    key(
        "http.connect_timeout_ms",
        Kind::Integer(100, 600_000),
        Some("10000"),
        "Maximum time to open a connection, in milliseconds.",
        "Наибольшее время установки соединения, в миллисекундах.",
    ),
    key(
        "http.max_answer_bytes",
        Kind::Integer(1_024, 1_073_741_824),
        Some("33554432"),
        "Maximum size of an answer, in bytes. A longer one is refused.",
        "Наибольший размер ответа, в байтах. Более длинный ответ отклоняется.",
    ),
    key(
        "http.proxy",
        Kind::Proxy,
        None,
        "Proxy for all connections: `http://host:port` (CONNECT) or `socks5://host:port`, with `user:password@` \
         before the host if necessary. User and password are never printed. Not set: `ALL_PROXY`, `HTTPS_PROXY`, \
         `HTTP_PROXY` and `NO_PROXY` of the environment apply. Addresses of this computer are called directly, unless \
         a proxy set here is on this computer too.",
        "Прокси для всех соединений: `http://host:port` (CONNECT) или `socks5://host:port`, при необходимости с \
         `user:password@` перед именем сервера. Имя пользователя и пароль нигде не выводятся. Не задан — действуют \
         `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` и `NO_PROXY` из окружения. К адресам этого компьютера клиент \
         подключается напрямую, если заданный здесь прокси не находится на нём же.",
    ),
    key(
        "tls.ca_file",
        Kind::Text,
        Some(""),
        "File with the root certificates to trust (PEM), for portals whose certificate comes from a private \
         authority. Only these are trusted then, so include the public ones if the authorization server needs them. \
         Empty: the root certificates of the operating system.",
        "Файл с доверенными корневыми сертификатами (PEM), если сертификат портала выдан собственным центром \
         сертификации. Других центров библиотека тогда не признаёт, поэтому добавьте и общедоступные, если они \
         нужны серверу авторизации. Пусто — корневые сертификаты операционной системы.",
    ),
    key(
        "http.allow_plain",
        Kind::Boolean,
        Some("false"),
        "Allow `http://` for addresses other than loopback, and for loopback addresses that a portal elsewhere names. \
         Everyone on the way can then read the tokens.",
        "Разрешить `http://` для других компьютеров (для этого компьютера он разрешён всегда), а также для адресов этого \
         компьютера, если их сообщает портал с другого. Токены тогда сможет прочитать любой, через кого проходит трафик.",
    ),
    key(
        "rate.burst",
        Kind::Integer(1, 10_000),
        Some("50"),
        "Size of the portal's leaky bucket of requests: 50, or 250 on the Enterprise plan. All clients of the process \
         that talk to one portal share it. The library leaves a margin free: what drains in two seconds, but at most \
         half.",
        "Сколько запросов портал принимает подряд: 50, на тарифе «Энтерпрайз» — 250. Это предел для всех клиентов \
         процесса, работающих с одним порталом. Библиотека не доходит до него: в запасе остаётся столько запросов, \
         сколько портал восстанавливает за две секунды, но не больше половины.",
    ),
    key(
        "rate.per_second",
        Kind::Integer(0, 1_000),
        Some("2"),
        "How many requests drain from that bucket per second: 2, or 5 on the Enterprise plan. 0: no limit, for \
         on-premise portals.",
        "Сколько запросов в секунду портал восстанавливает после этого: 2, на тарифе «Энтерпрайз» — 5. 0 — без \
         ограничения, для коробочных порталов.",
    ),
    key(
        "log.level",
        Kind::Choice(&["off", "error", "warning", "info", "debug"]),
        Some("info"),
        "Which messages the log callback gets: those of this level and the more important ones.",
        "Какие сообщения попадают в журнал: этого уровня и более важные.",
    ),
];

/// The key with this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
