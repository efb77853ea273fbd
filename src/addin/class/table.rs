//! The table itself.

use super::{Default, Expected, Method, Param, Property, Text};
use crate::addin::component::Component;

const fn required(english: &'static str, russian: &'static str, expected: Expected) -> Param {
    Param { english, russian, expected, default: Default::Required }
}

const TIMEOUT: Param = Param {
    english: "TimeoutMs",
    russian: "ТаймаутМс",
    expected: Expected::Integer,
    default: Default::Integer(30_000),
};
const LIMIT: Param =
    Param { english: "Limit", russian: "Предел", expected: Expected::Integer, default: Default::Integer(50) };
const EVENT_NAME: Param = required("EventName", "ИмяСобытия", Expected::Text);
const fn optional(english: &'static str, russian: &'static str, expected: Expected, default: Default) -> Param {
    Param { english, russian, expected, default }
}

const BATCH_ID: Param = required("BatchId", "ИдентификаторПакета", Expected::Text);

/// Every method, in the order of its number.
pub static METHODS: &[Method] = &[
    Method {
        english: "SetParameter",
        russian: "УстановитьПараметр",
        params: &[required("Key", "Ключ", Expected::Text), required("Value", "Значение", Expected::Scalar)],
        returns: None,
        text: Text {
            english: "Sets a key of CONFIGURATION.md. Works at any time; a connection that exists keeps what it was made with until the next `Connect`, which then makes a new one. Tokens that differ from those that a `State` grew out of count more than that `State`: the application was authorized anew.",
            russian: "Задаёт ключ из CONFIGURATION.md. Можно вызывать в любой момент; действующее подключение работает с прежними значениями до следующего `Подключить`, который создаст новое. Токены, отличные от тех, из которых выросло `Состояние`, важнее его токенов: приложение авторизовано заново.",
        },
        run: Component::set_parameter,
    },
    Method {
        english: "GetParameter",
        russian: "ПолучитьПараметр",
        params: &[required("Key", "Ключ", Expected::Text)],
        returns: Some(Expected::Text),
        text: Text {
            english: "The value of a key: what was set, else the default. Secrets come as `***`, addresses without their path.",
            russian: "Значение ключа: заданное, иначе по умолчанию. Секреты выводятся как `***`, адреса — без пути.",
        },
        run: Component::parameter,
    },
    Method {
        english: "Connect",
        russian: "Подключить",
        params: &[TIMEOUT],
        returns: None,
        text: Text {
            english: "Subscribes to the portal's push server and returns when the subscription stands (with the key `source`: opens the port for the portal's calls instead, or both); from then on it is kept up in the background. Called again, it waits again or returns at once; after `SetParameter` or a new `State` it ends the old connection first. `TimeoutMs`: 0 does not wait, -1 waits for ever; when the time is over there is an exception, and it is tried further.",
            russian: "Подписывается на push-сервер портала и возвращается, когда подписка действует (по ключу `source` — вместо этого или вместе с этим открывает порт для вызовов портала); дальше она поддерживается в фоне. Повторный вызов снова ждёт или сразу возвращается; после `УстановитьПараметр` или нового `Состояние` сначала завершает прежнее подключение. `ТаймаутМс`: 0 — не ждать, -1 — без ограничения; по истечении времени — исключение, попытки продолжаются.",
        },
        run: Component::connect,
    },
    Method {
        english: "Subscribe",
        russian: "Подписаться",
        params: &[EVENT_NAME],
        returns: None,
        text: Text {
            english: "Binds an event such as `ONCRMDEALADD` (`event.bind`, offline): its changes go into the queue from now on, for good. Binding again does nothing.",
            russian: "Подписывает очередь на событие, например `ONCRMDEALADD` (`event.bind`, offline): его изменения попадают в очередь с этого момента и до отписки. Повторная подписка ничего не меняет.",
        },
        run: Component::subscribe,
    },
    Method {
        english: "Unsubscribe",
        russian: "Отписаться",
        params: &[EVENT_NAME],
        returns: None,
        text: Text {
            english: "Unbinds an event (`event.unbind`). What is in the queue stays there.",
            russian: "Отменяет подписку очереди на событие (`event.unbind`). Записи в очереди остаются.",
        },
        run: Component::unsubscribe,
    },
    Method {
        english: "WaitEvent",
        russian: "ЖдатьСобытие",
        params: &[TIMEOUT],
        returns: Some(Expected::Text),
        text: Text {
            english: "Waits for a notification that records may have come: JSON `{\"connector_id\":\"\",\"count\":1,\"signalled\":true}`, or an empty string when the time is over. `signalled` is false when the library itself wants to look. `Disconnect` in another thread ends the wait.",
            russian: "Ждёт оповещения о том, что в очереди могли появиться записи: JSON `{\"connector_id\":\"\",\"count\":1,\"signalled\":true}` или пустая строка, если время вышло. `signalled` = false — проверить очередь решила сама компонента. `Отключить` из другого потока прерывает ожидание.",
        },
        run: Component::wait_event,
    },
    Method {
        english: "Fetch",
        russian: "ПолучитьЗаписи",
        params: &[LIMIT],
        returns: Some(Expected::Text),
        text: Text {
            english: "Takes up to `Limit` records (at most 1000; 0: the key `fetch.limit`) that are in the queue now: JSON `{\"batch_id\":\"\",\"process_id\":\"\",\"events\":[]}`. Pass `batch_id` to `Acknowledge` or `MarkFailed`; it is empty when there are no records. At most 100 batches may be open.",
            russian: "Забирает до `Предел` записей (не больше 1000; 0 — ключ `fetch.limit`), которые сейчас в очереди: JSON `{\"batch_id\":\"\",\"process_id\":\"\",\"events\":[]}`. `batch_id` передают в `Подтвердить` или `ОтметитьОшибку`; он пуст, если записей нет. Открытых пакетов может быть не больше 100.",
        },
        run: Component::fetch,
    },
    Method {
        english: "NextBatch",
        russian: "СледующийПакет",
        params: &[TIMEOUT],
        returns: Some(Expected::Text),
        text: Text {
            english: "Waits for a notification and fetches: the main loop is this method and `Acknowledge`. The next batch that is not empty, as `Fetch` gives it; an empty string when the time is over.",
            russian: "Ждёт оповещения и забирает записи: основной цикл — этот метод и `Подтвердить`. Следующий непустой пакет в том же виде, что у `ПолучитьЗаписи`; пустая строка, если время вышло.",
        },
        run: Component::next_batch,
    },
    Method {
        english: "Acknowledge",
        russian: "Подтвердить",
        params: &[
            BATCH_ID,
            Param {
                english: "MessageIds",
                russian: "ИдентификаторыСообщений",
                expected: Expected::Text,
                default: Default::Undefined,
            },
        ],
        returns: None,
        text: Text {
            english: "Acknowledges records of a batch: they leave the queue. Without `MessageIds` all that are not acknowledged or marked as failed yet; else those whose `MESSAGE_ID` is named, separated by commas or line breaks, or as a JSON array of strings. An empty string or array names none; an explicit Undefined counts as left out and so names all. With an empty `BatchId` (that of an empty `Fetch`) it does nothing.",
            russian: "Подтверждает записи пакета: они уходят из очереди. Без `ИдентификаторыСообщений` — все, что ещё не подтверждены и не отмечены ошибочными; иначе те, чьи `MESSAGE_ID` перечислены через запятую, с новой строки или массивом строк JSON. Пустая строка и пустой массив не называют ни одной, а явное Неопределено — то же, что пропущенный параметр: все. С пустым `ИдентификаторПакета` (от пустого `ПолучитьЗаписи`) ничего не делает.",
        },
        run: Component::acknowledge,
    },
    Method {
        english: "MarkFailed",
        russian: "ОтметитьОшибку",
        params: &[BATCH_ID, required("MessageIds", "ИдентификаторыСообщений", Expected::Text)],
        returns: None,
        text: Text {
            english: "Marks records of a batch as failed: the portal keeps them and hands them out only to who asks for failed ones. `MessageIds` as for `Acknowledge`.",
            russian: "Отмечает записи пакета ошибочными: портал хранит их и выдаёт только тому, кто просит ошибочные. `ИдентификаторыСообщений` — как у `Подтвердить`.",
        },
        run: Component::mark_failed,
    },
    Method {
        english: "FetchFailed",
        russian: "ПолучитьОшибочные",
        params: &[LIMIT],
        returns: Some(Expected::Text),
        text: Text {
            english: "Takes records that were marked as failed, to try them again; parameters and result as of `Fetch`.",
            russian: "Забирает записи, отмеченные ошибочными, чтобы попробовать снова; параметры и результат — как у `ПолучитьЗаписи`.",
        },
        run: Component::fetch_failed,
    },
    Method {
        english: "Recover",
        russian: "Восстановить",
        params: &[],
        returns: Some(Expected::Integer),
        text: Text {
            english: "Looks for reservations that nobody knows (an answer was lost), as far as the key `recover.orphans` allows; the next `NextBatch` or `Fetch` hands them out first. Returns how many. At the start and from time to time this happens by itself.",
            russian: "Ищет резервы, о которых никто не знает (ответ потерялся), насколько позволяет ключ `recover.orphans`; следующий `СледующийПакет` или `ПолучитьЗаписи` выдаст их первыми. Возвращает их число. При запуске и время от времени это происходит само.",
        },
        run: Component::recover,
    },
    Method {
        english: "CallMethod",
        russian: "ВызватьМетод",
        params: &[
            required("Method", "Метод", Expected::Text),
            Param {
                english: "Params", russian: "Параметры", expected: Expected::Text, default: Default::Text("{}")
            },
        ],
        returns: Some(Expected::Text),
        text: Text {
            english: "Calls any REST method, such as `crm.deal.get` with `{\"id\":1}`, and gives the portal's whole answer as JSON. Token and source key are added.",
            russian: "Вызывает любой метод REST, например `crm.deal.get` с `{\"id\":1}`, и возвращает ответ портала целиком, JSON. Токен и ключ источника добавляются сами.",
        },
        run: Component::call_method,
    },
    Method {
        english: "CallBatch",
        russian: "ВызватьПакет",
        params: &[required("Calls", "Вызовы", Expected::Text)],
        returns: Some(Expected::Text),
        text: Text {
            english: "Runs up to 50 REST calls in one request. `Calls`: JSON, a name for each call: `{\"deal\":{\"method\":\"crm.deal.get\",\"params\":{\"id\":7}}}`. Result: JSON `{\"results\":{\"deal\":{}},\"errors\":{}}`; a call that fails inside is no exception.",
            russian: "Выполняет до 50 вызовов REST одним запросом. `Вызовы` — JSON, у каждого вызова имя: `{\"deal\":{\"method\":\"crm.deal.get\",\"params\":{\"id\":7}}}`. Результат — JSON `{\"results\":{\"deal\":{}},\"errors\":{}}`; ошибка одного вызова внутри — не исключение.",
        },
        run: Component::call_batch,
    },
    Method {
        english: "Authorize",
        russian: "Авторизовать",
        params: &[required("Code", "Код", Expected::Text)],
        returns: None,
        text: Text {
            english: "Gets the application's first pair of tokens with an authorization code, which lives for 30 seconds. Read `State` afterwards and keep it.",
            russian: "Получает первую пару токенов по коду авторизации, который живёт 30 секунд. После вызова прочитайте и сохраните `Состояние`.",
        },
        run: Component::authorize,
    },
    Method {
        english: "SetTokens",
        russian: "УстановитьТокены",
        params: &[
            required("AccessToken", "ТокенДоступа", Expected::Text),
            Param {
                english: "RefreshToken",
                russian: "ТокенПродления",
                expected: Expected::Text,
                default: Default::Text(""),
            },
            Param {
                english: "Expires",
                russian: "Истекает",
                expected: Expected::Integer,
                default: Default::Integer(0),
            },
        ],
        returns: None,
        text: Text {
            english: "Uses these tokens from now on, without a new connection: after a new authorization, or when 1C renews them itself (key `auth.renew` = `host`). `Expires`: seconds since 1970, 0 when not known.",
            russian: "С этого момента работает с этими токенами, не переподключаясь: после новой авторизации или если токены продлевает сама 1С (ключ `auth.renew` = `host`). `Истекает` — секунды с 1970 года, 0 — неизвестно.",
        },
        run: Component::set_tokens,
    },
    Method {
        english: "BindHandler",
        russian: "ЗарегистрироватьОбработчик",
        params: &[
            required("ExternalUrl", "АдресСнаружи", Expected::Text),
            optional("MinPauseS", "МинПауза", Expected::Integer, Default::Integer(1)),
        ],
        returns: None,
        text: Text {
            english: "Has the portal call this address when the queue grew (`event.bind` of `ONOFFLINEEVENT`), for good. Again, it does nothing; another address of this application is unbound. `ExternalUrl`: as the portal reaches it, such as `https://my-server.example/b24`. `MinPauseS`: at most one call in so many seconds; 0: at every change. Set the key `source` to `handler` or `both`.",
            russian: "Портал будет вызывать этот адрес, когда очередь пополнится (`event.bind` события `ONOFFLINEEVENT`), до отмены. Повторный вызов ничего не меняет; прежний адрес приложения снимается. `АдресСнаружи` — адрес, доступный порталу, например `https://my-server.example/b24`. `МинПауза` — не чаще одного вызова за столько секунд; 0 — при каждом изменении. Ключ `source` — `handler` или `both`.",
        },
        run: Component::bind_handler,
    },
    Method {
        english: "UnbindHandler",
        russian: "СнятьОбработчик",
        params: &[optional("ExternalUrl", "АдресСнаружи", Expected::Text, Default::Text(""))],
        returns: None,
        text: Text {
            english: "The portal no longer calls this address, or any of this application when none is given.",
            russian: "Портал больше не вызывает этот адрес, а если он не указан — ни один адрес приложения.",
        },
        run: Component::unbind_handler,
    },
    Method {
        english: "AcceptHandlerCall",
        russian: "ПринятьВызовОбработчика",
        params: &[required("Body", "Тело", Expected::Bytes)],
        returns: Some(Expected::Integer),
        text: Text {
            english: "For a web server of one's own (an HTTP service of 1C): takes the body of a call as it came, makes sure that the portal has sent it, and gives the HTTP status to answer: 200 taken, 400, 403 and 413 no call of the portal, nothing was changed. After 200 `Fetch` gives the records; `NextBatch` of the same object is woken. The first installation of the application brings tokens: store `State` then.",
            russian: "Для своего веб-сервера (HTTP-сервиса 1С): принимает тело вызова как есть, проверяет, что его прислал портал, и возвращает код состояния HTTP для ответа: 200 — принят, 400, 403, 413 — не вызов портала, ничего не изменилось. После 200 записи выдаст `ПолучитьЗаписи`; ожидающий `СледующийПакет` того же объекта проснётся. Первая установка приложения приносит токены: сохраните после неё `Состояние`.",
        },
        run: Component::accept_handler_call,
    },
    Method {
        english: "StartNotifications",
        russian: "НачатьОповещения",
        params: &[],
        returns: None,
        text: Text {
            english: "For client applications: from now on notifications come as external events, source `B24Events`, event `event_offline`, data as of `WaitEvent`; what needs a person comes as event `error` with `{\"code\":\"\",\"text\":\"\"}`. Do not call `WaitEvent` or `NextBatch` meanwhile: each notification goes to one of them. Call it after `Connect`.",
            russian: "Для клиентских приложений: с этого момента оповещения приходят внешними событиями, источник `B24Events`, событие `event_offline`, данные — как у `ЖдатьСобытие`; то, что требует человека, приходит событием `error` с `{\"code\":\"\",\"text\":\"\"}`. Не вызывайте при этом `ЖдатьСобытие` и `СледующийПакет`: каждое оповещение получает кто-то один. Вызывать после `Подключить`.",
        },
        run: Component::start_notifications,
    },
    Method {
        english: "StopNotifications",
        russian: "ОстановитьОповещения",
        params: &[],
        returns: None,
        text: Text {
            english: "Ends external events. A notification that the platform has not taken yet stays for `WaitEvent` or `NextBatch`.",
            russian: "Прекращает внешние события. Оповещение, которое платформа ещё не приняла, достанется `ЖдатьСобытие` или `СледующийПакет`.",
        },
        run: Component::stop_notifications,
    },
    Method {
        english: "Disconnect",
        russian: "Отключить",
        params: &[],
        returns: None,
        text: Text {
            english: "Ends the connection, external events, and every call that waits, in whatever thread. Open batches are closed; what was not acknowledged stays reserved, is part of `State`, and comes again after the next `Connect`.",
            russian: "Завершает подключение, внешние события и все ожидающие вызовы в любых потоках. Открытые пакеты закрываются; неподтверждённое остаётся за нами на портале, входит в `Состояние` и придёт снова после следующего `Подключить`.",
        },
        run: Component::disconnect,
    },
];

/// Every property, in the order of its number.
pub static PROPERTIES: &[Property] = &[
    Property {
        english: "Version",
        russian: "Версия",
        text: Text { english: "Version of the library.", russian: "Версия библиотеки." },
        get: Component::version,
        set: None,
    },
    Property {
        english: "Connected",
        russian: "Подключено",
        text: Text {
            english: "Whether the subscription to the push server stands at this moment.",
            russian: "Действует ли сейчас подписка на push-сервер.",
        },
        get: Component::connected,
        set: None,
    },
    Property {
        english: "State",
        russian: "Состояние",
        text: Text {
            english: "JSON with the current tokens and the open reservations; empty before the first connection. It holds secrets by purpose: keep it in 1C's safe storage. Assigned to a new object (after its parameters, before `Connect`), on whatever machine, work goes on without loss. Assigned to a connected object, it counts from the next `Connect`. An empty string forgets what was assigned.",
            russian: "JSON с действующими токенами и неподтверждёнными пакетами; до первого подключения пусто. Намеренно содержит секреты: храните в безопасном хранилище 1С. Присвойте новому объекту (после параметров, до `Подключить`) на любом компьютере — работа продолжится без потерь. Для подключённого объекта действует со следующего `Подключить`. Пустая строка отменяет присвоенное.",
        },
        get: Component::state,
        set: Some(Component::set_state),
    },
    Property {
        english: "Statistics",
        russian: "Статистика",
        text: Text {
            english: "Counters of the connection as JSON; `{}` before the first one.",
            russian: "Счётчики подключения, JSON; до первого подключения `{}`.",
        },
        get: Component::statistics,
        set: None,
    },
    Property {
        english: "LastError",
        russian: "ПоследняяОшибка",
        text: Text {
            english: "What went wrong in the last call, and what to do; empty after a call that succeeded.",
            russian: "Что случилось при последнем вызове и что делать; пусто после удачного вызова.",
        },
        get: Component::last_error,
        set: None,
    },
    Property {
        english: "LastErrorCode",
        russian: "КодПоследнейОшибки",
        text: Text {
            english: "The portal's code of that error, such as `ACCESS_DENIED`, or the kind of error where the portal named none: `CONFIG`, `NETWORK`, `CLOSED` and so on.",
            russian: "Код этой ошибки от портала, например `ACCESS_DENIED`, а если портал его не назвал — вид ошибки: `CONFIG`, `NETWORK`, `CLOSED` и так далее.",
        },
        get: Component::last_error_code,
        set: None,
    },
    Property {
        english: "CanRepeat",
        russian: "МожноПовторить",
        text: Text {
            english: "Whether the last call failed with a trouble that may pass by itself (network, limits of the portal): then repeat it later. False when a person has to mend something, and after a call that succeeded.",
            russian: "Истина, если последний вызов не удался из-за того, что может пройти само (сеть, ограничения портала): повторите его позже. Ложь — если что-то должен исправить человек, и после удачного вызова.",
        },
        get: Component::can_repeat,
        set: None,
    },
];
