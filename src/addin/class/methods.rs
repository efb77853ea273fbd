//! The table of methods.

use super::{DefaultValue, Method, MethodId, Param, ParamType, ReturnType, Text};

const fn required(english: &'static str, russian: &'static str, accepts: ParamType) -> Param {
    Param { english, russian, accepts, default: DefaultValue::Required }
}

const fn text(english: &'static str, russian: &'static str, default: &'static str) -> Param {
    Param { english, russian, accepts: ParamType::Text, default: DefaultValue::Text(default) }
}

const fn unsigned(english: &'static str, russian: &'static str, max: u32, default: i32) -> Param {
    Param { english, russian, accepts: ParamType::Unsigned(max), default: DefaultValue::Integer(default) }
}

const fn all(english: &'static str, russian: &'static str) -> Param {
    Param { english, russian, accepts: ParamType::Text, default: DefaultValue::All }
}

const TIMEOUT: Param = Param {
    english: "TimeoutMs",
    russian: "ТаймаутМс",
    accepts: ParamType::Integer,
    default: DefaultValue::Integer(30_000),
};
const LIMIT: Param = unsigned("Limit", "Предел", 1000, 50);
const EVENT_NAME: Param = required("EventName", "ИмяСобытия", ParamType::Text);
const BATCH_ID: Param = required("BatchId", "ИдентификаторПакета", ParamType::Text);

/// Every method, in the order of its number.
pub static METHODS: &[Method] = &[
    Method {
        id: MethodId::SetParameter,
        english: "SetParameter",
        russian: "УстановитьПараметр",
        params: &[required("Key", "Ключ", ParamType::Text), required("Value", "Значение", ParamType::Scalar)],
        returns: None,
        text: Text {
            english: "Sets a key of CONFIGURATION.md at any time. A connection that exists keeps the old values until \
                      the next `Connect`, which then makes a new one. Tokens that `State` does not know replace those \
                      in it: someone has authorized the application again.",
            russian: "Задаёт ключ из CONFIGURATION.md; вызывать можно в любой момент. Действующее подключение работает \
                      с прежними значениями до следующего `Подключить`, который создаст новое. Токены, о которых \
                      `Состояние` не знает, заменяют токены в нём: значит, приложение авторизовали заново.",
        },
    },
    Method {
        id: MethodId::GetParameter,
        english: "GetParameter",
        russian: "ПолучитьПараметр",
        params: &[required("Key", "Ключ", ParamType::Text)],
        returns: Some(ReturnType::Text),
        text: Text {
            english: "Returns the value of a key, or its default if it was not set. Secrets come as `***`, addresses \
                      without their path.",
            russian: "Возвращает значение ключа, а если его не задавали — значение по умолчанию. Вместо секретов — \
                      `***`, адреса — без пути.",
        },
    },
    Method {
        id: MethodId::Connect,
        english: "Connect",
        russian: "Подключить",
        params: &[TIMEOUT],
        returns: None,
        text: Text {
            english: "Connects to the portal's push server and returns when the subscription is active; from then on \
                      it is kept active in the background. With the key `source` set to `handler` it opens a port for \
                      the portal's calls instead, with `both` it does both. If a connection is active already, it \
                      returns at once; after `SetParameter` or a new `State` it closes the old connection first. \
                      `TimeoutMs`: 0 does not wait, a negative number waits without a limit. If the timeout expires, \
                      it raises an exception, and the component keeps trying. Before it connects, it checks that the \
                      application is installed and paid for, belongs to an administrator, and has the scope `pull`.",
            russian: "Подключается к push-серверу портала и возвращает управление, когда подключение действует; дальше \
                      компонента поддерживает его в фоне. Если ключ `source` равен `handler`, вместо этого открывает \
                      порт для вызовов портала, если `both` — делает и то и другое. Если подключение уже действует, \
                      сразу возвращает управление; после `УстановитьПараметр` или нового `Состояние` сначала закрывает \
                      прежнее подключение. `ТаймаутМс`: 0 — не ждать, отрицательное число — ждать без ограничения. \
                      Если время вышло, вызывает исключение, но компонента продолжает попытки. Перед подключением \
                      проверяет, что приложение установлено, оплачено, авторизовано администратором и имеет право (scope) \
                      `pull`.",
        },
    },
    Method {
        id: MethodId::BindEvent,
        english: "BindEvent",
        russian: "ПодписатьсяНаСобытие",
        params: &[EVENT_NAME],
        returns: None,
        text: Text {
            english: "Binds an offline event such as `ONCRMDEALADD` (`event.bind`): from now on the portal puts such \
                      changes into the queue, until `UnbindEvent`. Binding it again has no effect.",
            russian: "Подписывает очередь на офлайн-событие, например `ONCRMDEALADD` (`event.bind`): с этого момента и \
                      до `ОтписатьсяОтСобытия` портал ставит такие изменения в очередь. Повторный вызов ничего не \
                      меняет.",
        },
    },
    Method {
        id: MethodId::UnbindEvent,
        english: "UnbindEvent",
        russian: "ОтписатьсяОтСобытия",
        params: &[EVENT_NAME],
        returns: None,
        text: Text {
            english: "Unbinds an event (`event.unbind`). Records that are in the queue stay there.",
            russian: "Отменяет подписку очереди на событие (`event.unbind`). Записи, которые уже в очереди, в ней и \
                      остаются.",
        },
    },
    Method {
        id: MethodId::WaitEvent,
        english: "WaitEvent",
        russian: "ОжидатьСобытие",
        params: &[TIMEOUT],
        returns: Some(ReturnType::Text),
        text: Text {
            english: "Waits for a notification that the queue may hold new records. Returns JSON \
                      `{\"connector_id\":\"\",\"count\":1,\"signalled\":true}`, or an empty string if the timeout \
                      expires. `signalled` is false when the component itself wants the queue to be checked. \
                      `Disconnect` in another thread ends the wait.",
            russian: "Ожидает оповещения о том, что в очереди могли появиться записи. Возвращает JSON \
                      `{\"connector_id\":\"\",\"count\":1,\"signalled\":true}` или пустую строку, если время вышло. \
                      `signalled` = false — сигнала не было, проверить очередь предлагает сама компонента. `Отключить` в другом потоке \
                      прерывает ожидание.",
        },
    },
    Method {
        id: MethodId::Fetch,
        english: "Fetch",
        russian: "ПолучитьЗаписи",
        params: &[LIMIT],
        returns: Some(ReturnType::Text),
        text: Text {
            english: "Fetches up to `Limit` records (at most 1000; 0 means the key `fetch.limit`) that are in the \
                      queue now. Returns a batch as JSON: `{\"batch_id\":\"\",\"process_id\":\"\",\"events\":[]}`. \
                      Pass `batch_id` to `Acknowledge` or `MarkFailed`; it is empty when there are no records. At most \
                      100 batches can be open.",
            russian: "Получает до `Предел` записей (не больше 1000; 0 — по ключу `fetch.limit`), которые сейчас в \
                      очереди. Возвращает пакет в JSON: `{\"batch_id\":\"\",\"process_id\":\"\",\"events\":[]}`. \
                      `batch_id` передайте в `Подтвердить` или `ОтметитьОшибочные`; если записей нет, он пуст. \
                      Открытых пакетов может быть не больше 100.",
        },
    },
    Method {
        id: MethodId::NextBatch,
        english: "NextBatch",
        russian: "СледующийПакет",
        params: &[TIMEOUT],
        returns: Some(ReturnType::Text),
        text: Text {
            english: "Waits for a notification and fetches records; the main loop is this method and `Acknowledge`. \
                      Returns the next batch that is not empty, as `Fetch` does, or an empty string if the timeout \
                      expires.",
            russian: "Ожидает оповещения и получает записи; основной цикл состоит из этого метода и `Подтвердить`. \
                      Возвращает следующий непустой пакет в том же виде, что и `ПолучитьЗаписи`, или пустую строку, \
                      если время вышло.",
        },
    },
    Method {
        id: MethodId::Acknowledge,
        english: "Acknowledge",
        russian: "Подтвердить",
        params: &[BATCH_ID, all("MessageIds", "ИдентификаторыСообщений")],
        returns: None,
        text: Text {
            english: "Acknowledges records of a batch, which removes them from the queue. `MessageIds` lists their \
                      `MESSAGE_ID` values, separated by commas or line breaks, or as a JSON array of strings. `\"*\"`, \
                      the default, means all records that are not acknowledged or marked as failed yet. An empty \
                      string or array names no record. An explicit Undefined is refused, so that a variable without a \
                      value never acknowledges everything. With an empty `BatchId` (from a `Fetch` without records) \
                      the method has no effect.",
            russian: "Подтверждает записи пакета, и они уходят из очереди. `ИдентификаторыСообщений` — их `MESSAGE_ID` \
                      через запятую, с новой строки или массивом строк JSON. `\"*\"` (по умолчанию) — все записи, \
                      которые ещё не подтверждены и не отмечены ошибочными. Пустая строка и пустой массив не называют \
                      ни одной записи. Явное Неопределено — ошибка, чтобы незаполненная переменная не подтвердила всё. \
                      С пустым `ИдентификаторПакета` (когда `ПолучитьЗаписи` не нашёл записей) метод ничего не \
                      делает.",
        },
    },
    Method {
        id: MethodId::MarkFailed,
        english: "MarkFailed",
        russian: "ОтметитьОшибочные",
        params: &[BATCH_ID, required("MessageIds", "ИдентификаторыСообщений", ParamType::Text)],
        returns: None,
        text: Text {
            english: "Marks records of a batch as failed: the portal keeps them, and only `FetchFailed` returns them. \
                      `MessageIds` is a list as for `Acknowledge`, but not `\"*\"`.",
            russian: "Отмечает записи пакета ошибочными: портал хранит их, но выдаёт только методу \
                      `ПолучитьОшибочные`. `ИдентификаторыСообщений` — список, как у `Подтвердить`, но не `\"*\"`.",
        },
    },
    Method {
        id: MethodId::FetchFailed,
        english: "FetchFailed",
        russian: "ПолучитьОшибочные",
        params: &[LIMIT],
        returns: Some(ReturnType::Text),
        text: Text {
            english: "Fetches records that were marked as failed, so that you can try them again. The parameter and \
                      the result are those of `Fetch`.",
            russian: "Получает записи, отмеченные ошибочными, чтобы обработать их ещё раз. Параметр и результат — как \
                      у `ПолучитьЗаписи`.",
        },
    },
    Method {
        id: MethodId::GetObjects,
        english: "GetObjects",
        russian: "ПолучитьОбъекты",
        params: &[BATCH_ID],
        returns: Some(ReturnType::Text),
        text: Text {
            english: "Returns the objects that the records of an open batch are about, as they are now: deals, \
                      contacts, tasks and so on, each requested once, 50 per request. Returns JSON with an entry for \
                      each `MESSAGE_ID`: `{\"<MESSAGE_ID>\":{\"status\":\"object\",\"method\":\"crm.deal.get\",\
                      \"object\":{…}}}`. Other values of `status`: `deleted` (the object was deleted), `error` \
                      (the portal refused; `error`, `error_description`, `transient`), `unknown` (no method is known \
                      for the event, see the key `objects.methods`).",
            russian: "Возвращает объекты, о которых говорят записи открытого пакета, в их нынешнем виде: сделки, \
                      контакты, задачи и так далее. Каждый объект запрашивается один раз, по 50 в одном запросе. \
                      Возвращает JSON, где на каждый `MESSAGE_ID` есть значение: \
                      `{\"<MESSAGE_ID>\":{\"status\":\"object\",\"method\":\"crm.deal.get\",\"object\":{…}}}`. Другие \
                      значения `status`: `deleted` — объект удалён, `error` — портал отказал (`error`, \
                      `error_description`, `transient`), `unknown` — для события метод неизвестен, см. ключ \
                      `objects.methods`.",
        },
    },
    Method {
        id: MethodId::FindLost,
        english: "FindLost",
        russian: "НайтиПотерянные",
        params: &[],
        returns: Some(ReturnType::Number),
        text: Text {
            english: "Finds batches that were reserved but never arrived, because an answer was lost, as far as the \
                      key `recover.orphans` allows. The next `NextBatch` or `Fetch` returns them first. Returns their \
                      number. The component also does this at the start and from time to time.",
            russian: "Находит пакеты, которые портал зарезервировал, но ответ с ними потерялся; какие именно — \
                      определяет ключ `recover.orphans`. Следующий `СледующийПакет` или `ПолучитьЗаписи` выдаст их первыми. \
                      Возвращает число таких пакетов. При запуске и время от времени компонента ищет их и сама.",
        },
    },
    Method {
        id: MethodId::CallMethod,
        english: "CallMethod",
        russian: "ВызватьМетод",
        params: &[required("Method", "Метод", ParamType::Text), text("Params", "Параметры", "{}")],
        returns: Some(ReturnType::Text),
        text: Text {
            english: "Calls a REST method, such as `crm.deal.get` with `{\"id\":1}`, and returns the portal's whole \
                      answer as JSON. The component adds the token and the connector id.",
            russian: "Вызывает метод REST, например `crm.deal.get` с `{\"id\":1}`, и возвращает ответ портала целиком, \
                      в JSON. Токен и ключ источника компонента добавляет сама.",
        },
    },
    Method {
        id: MethodId::CallMethods,
        english: "CallMethods",
        russian: "ВызватьМетоды",
        params: &[required("Calls", "Вызовы", ParamType::Text)],
        returns: Some(ReturnType::Text),
        text: Text {
            english: "Makes up to 50 REST calls in one request. `Calls` is JSON with a name for each call: \
                      `{\"deal\":{\"method\":\"crm.deal.get\",\"params\":{\"id\":7}}}`. Returns JSON \
                      `{\"results\":{\"deal\":{}},\"errors\":{}}`; a call that fails raises no exception.",
            russian: "Выполняет до 50 вызовов REST одним запросом. `Вызовы` — JSON, в котором у каждого вызова есть \
                      имя: `{\"deal\":{\"method\":\"crm.deal.get\",\"params\":{\"id\":7}}}`. Возвращает JSON \
                      `{\"results\":{\"deal\":{}},\"errors\":{}}`; ошибка отдельного вызова исключения не вызывает.",
        },
    },
    Method {
        id: MethodId::Authorize,
        english: "Authorize",
        russian: "Авторизовать",
        params: &[required("Code", "Код", ParamType::Text)],
        returns: None,
        text: Text {
            english: "Gets the application's first pair of tokens for an authorization code, which is valid for 30 \
                      seconds. Needs the keys `portal.url`, `auth.client_id` and `auth.client_secret`. Store `State` \
                      right after it.",
            russian: "Получает первую пару токенов по коду авторизации, который действует 30 секунд. Нужны ключи \
                      `portal.url`, `auth.client_id` и `auth.client_secret`. Сразу после вызова сохраните `Состояние`.",
        },
    },
    Method {
        id: MethodId::SetTokens,
        english: "SetTokens",
        russian: "УстановитьТокены",
        params: &[
            required("AccessToken", "ТокенДоступа", ParamType::Text),
            text("RefreshToken", "ТокенПродления", ""),
            unsigned("Expires", "Истекает", u32::MAX, 0),
        ],
        returns: None,
        text: Text {
            english: "Uses these tokens from now on, without a new connection: after someone has authorized the \
                      application again, or when 1C renews tokens itself (key `auth.renew` = `host`). `Expires` is in \
                      seconds since 1970, 0 when it is not known.",
            russian: "С этого момента компонента работает с этими токенами, не переподключаясь. Метод нужен после новой \
                      авторизации приложения, а также если токены продлевает сама 1С (ключ `auth.renew` = `host`). \
                      `Истекает` — в секундах с 1970 года, 0 — неизвестно.",
        },
    },
    Method {
        id: MethodId::BindHandler,
        english: "BindHandler",
        russian: "ЗарегистрироватьОбработчик",
        params: &[
            required("ExternalUrl", "ВнешнийАдрес", ParamType::Text),
            unsigned("MinPauseS", "МинПаузаС", u32::MAX, 1),
        ],
        returns: None,
        text: Text {
            english: "Makes the portal call this address whenever the queue has grown (`event.bind` of \
                      `ONOFFLINEEVENT`), until `UnbindHandler`. Another address of this application is unbound. When \
                      an update of the application ends its bindings, the connected object binds everything anew. \
                      `ExternalUrl` is an address that the portal can reach, such as \
                      `https://my-server.example/b24`. `MinPauseS` is the shortest time between two calls in seconds; \
                      0: a call for every change. For the object itself to accept the calls, \
                      set the key `source` to `handler` or `both`.",
            russian: "Портал будет вызывать этот адрес, когда очередь пополнится (`event.bind` события \
                      `ONOFFLINEEVENT`), до `СнятьОбработчик`. Прежний адрес этого приложения портал забывает. После \
                      обновления приложения портал забывает и этот; подключённый объект регистрирует его снова. \
                      `ВнешнийАдрес` — адрес, доступный порталу, например \
                      `https://my-server.example/b24`. `МинПаузаС` — наименьшее время между вызовами в секундах; 0 — \
                      вызов при каждом изменении. Чтобы вызовы принимал сам объект, задайте ключ `source`: `handler` или `both`.",
        },
    },
    Method {
        id: MethodId::UnbindHandler,
        english: "UnbindHandler",
        russian: "СнятьОбработчик",
        params: &[all("ExternalUrl", "ВнешнийАдрес")],
        returns: None,
        text: Text {
            english: "The portal no longer calls this address. `\"*\"`, the default, means every address of this \
                      application.",
            russian: "Портал больше не вызывает этот адрес. `\"*\"` (по умолчанию) — все адреса этого приложения.",
        },
    },
    Method {
        id: MethodId::AcceptHandlerCall,
        english: "AcceptHandlerCall",
        russian: "ПринятьВызовОбработчика",
        params: &[required("Body", "Тело", ParamType::Bytes)],
        returns: Some(ReturnType::Number),
        text: Text {
            english: "For a web server of your own, such as an HTTP service of 1C: accepts the body of a call \
                      unchanged, checks that the portal has sent it, and returns the HTTP status to answer with. 200: \
                      accepted. 202: an installation that is verified later. 400, 403 or 413: the call is not from \
                      the portal, and nothing was changed. After 200 `Fetch` returns the records, and a `NextBatch` \
                      that waits on the same object wakes up. The first installation of the application brings \
                      tokens and the `application_token`: store `State` then.",
            russian: "Для собственного веб-сервера, например HTTP-сервиса 1С: принимает тело вызова без изменений, \
                      проверяет, что его прислал портал, и возвращает код состояния HTTP для ответа. 200 — вызов \
                      принят; 202 — это установка, она будет проверена позже; 400, 403 или 413 — вызов не от портала, \
                      ничего не изменилось. После 200 записи выдаст `ПолучитьЗаписи`, а `СледующийПакет`, \
                      ожидающий в этом же объекте, сразу их получит. Первая установка приложения приносит токены и \
                      `application_token`: сохраните после неё `Состояние`.",
        },
    },
    Method {
        id: MethodId::EnableNotifications,
        english: "EnableNotifications",
        russian: "ВключитьОповещения",
        params: &[],
        returns: None,
        text: Text {
            english: "For client applications, after `Connect`: from now on notifications come as external events with \
                      the source `B24Events`, the event `event_offline` and the data that `WaitEvent` returns. An \
                      error that requires someone to intervene comes as the event `error` with \
                      `{\"code\":\"\",\"text\":\"\"}`. Do not call `WaitEvent` or `NextBatch` meanwhile: each \
                      notification is delivered once.",
            russian: "Для клиентских приложений, после `Подключить`: с этого момента оповещения приходят внешними \
                      событиями — источник `B24Events`, событие `event_offline`, данные как у `ОжидатьСобытие`. \
                      Ошибка, которую должен устранить человек, приходит событием `error` с \
                      `{\"code\":\"\",\"text\":\"\"}`. Не вызывайте при этом `ОжидатьСобытие` и `СледующийПакет`: \
                      каждое оповещение достаётся только одному получателю.",
        },
    },
    Method {
        id: MethodId::DisableNotifications,
        english: "DisableNotifications",
        russian: "ВыключитьОповещения",
        params: &[],
        returns: None,
        text: Text {
            english: "Stops external events. A notification that the platform has not accepted yet goes to the next \
                      `WaitEvent` or `NextBatch`.",
            russian: "Прекращает внешние события. Оповещение, которое платформа ещё не приняла, получит следующий \
                      `ОжидатьСобытие` или `СледующийПакет`.",
        },
    },
    Method {
        id: MethodId::Diagnose,
        english: "Diagnose",
        russian: "Диагностика",
        params: &[TIMEOUT],
        returns: Some(ReturnType::Text),
        text: Text {
            english: "Finds out why events do not come. Checks everything from the network to the queue, changes nothing, and \
                      works before `Connect` too. Returns JSON: `status` (`ok`, `warning` or `failed`), `checks` with `id`, \
                      `status` (also `skipped`), `title`, `seen` and `next_step`, and `text` with the whole report for \
                      people; texts are objects with `english` and `russian`. There are no secrets in it. What was not \
                      checked in time is `skipped`.",
            russian: "Выясняет, почему события не приходят. Проверяет всё от сети до очереди, ничего не меняет, работает и до \
                      `Подключить`. Возвращает JSON: `status` (`ok`, `warning` — внимание, `failed` — ошибка), `checks` — \
                      проверки (`id`, `status`, ещё бывает `skipped` — не проверено, `title`, `seen` — что обнаружено, \
                      `next_step` — что делать) и `text` — отчёт целиком для человека; тексты — объекты с `english` и \
                      `russian`. Секретов в нём нет. Что не успело провериться, получает `skipped`.",
        },
    },
    Method {
        id: MethodId::Disconnect,
        english: "Disconnect",
        russian: "Отключить",
        params: &[],
        returns: None,
        text: Text {
            english: "Ends the connection, external events, and every call that waits in any thread. Open batches are \
                      closed. Records that were not acknowledged stay reserved and are part of `State`; after the next \
                      `Connect` they are redelivered.",
            russian: "Завершает подключение, внешние события и все ожидающие вызовы в любых потоках. Открытые пакеты \
                      закрываются. Неподтверждённые записи остаются зарезервированными и входят в `Состояние`; после \
                      следующего `Подключить` они придут снова.",
        },
    },
];
