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
const EVENT_NAME: Param = required("EventName", "ИмяСобытия", Expected::Text);
const BATCH_ID: Param = required("BatchId", "ИдентификаторПакета", Expected::Text);

/// Every method, in the order of its number.
pub static METHODS: &[Method] = &[
    Method {
        english: "SetParameter",
        russian: "УстановитьПараметр",
        params: &[required("Key", "Ключ", Expected::Text), required("Value", "Значение", Expected::Scalar)],
        returns: false,
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
        returns: true,
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
        returns: false,
        text: Text {
            english: "Subscribes to the portal's push server and returns when the subscription stands; from then on it is kept up in the background. Called again, it waits again or returns at once; after `SetParameter` or a new `State` it ends the old connection first. `TimeoutMs`: 0 does not wait, -1 waits for ever; when the time is over there is an exception, and it is tried further.",
            russian: "Подписывается на push-сервер портала и возвращается, когда подписка действует; дальше она поддерживается в фоне. Повторный вызов снова ждёт или сразу возвращается; после `УстановитьПараметр` или нового `Состояние` сначала завершает прежнее подключение. `ТаймаутМс`: 0 — не ждать, -1 — без ограничения; по истечении времени — исключение, попытки продолжаются.",
        },
        run: Component::connect,
    },
    Method {
        english: "Subscribe",
        russian: "Подписаться",
        params: &[EVENT_NAME],
        returns: false,
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
        returns: false,
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
        returns: true,
        text: Text {
            english: "Waits for a notification that records may have come: JSON `{\"connector_id\":\"\",\"count\":1,\"signalled\":true}`, or an empty string when the time is over. `signalled` is false when the library itself wants to look. `Disconnect` in another thread ends the wait.",
            russian: "Ждёт оповещения о том, что в очереди могли появиться записи: JSON `{\"connector_id\":\"\",\"count\":1,\"signalled\":true}` или пустая строка, если время вышло. `signalled` = false — проверить очередь решила сама компонента. `Отключить` из другого потока прерывает ожидание.",
        },
        run: Component::wait_event,
    },
    Method {
        english: "Fetch",
        russian: "ПолучитьЗаписи",
        params: &[Param {
            english: "Limit",
            russian: "Предел",
            expected: Expected::Integer,
            default: Default::Integer(50),
        }],
        returns: true,
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
        returns: true,
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
        returns: false,
        text: Text {
            english: "Acknowledges records of a batch: they leave the queue. Without `MessageIds` all that are not acknowledged or marked as failed yet; else those whose `MESSAGE_ID` is named, separated by commas or line breaks, or as a JSON array of strings. An empty string or array names none. With an empty `BatchId` (that of an empty `Fetch`) it does nothing.",
            russian: "Подтверждает записи пакета: они уходят из очереди. Без `ИдентификаторыСообщений` — все, что ещё не подтверждены и не отмечены ошибочными; иначе те, чьи `MESSAGE_ID` перечислены через запятую, с новой строки или массивом строк JSON. Пустая строка и пустой массив не называют ни одной. С пустым `ИдентификаторПакета` (от пустого `ПолучитьЗаписи`) ничего не делает.",
        },
        run: Component::acknowledge,
    },
    Method {
        english: "MarkFailed",
        russian: "ОтметитьОшибку",
        params: &[BATCH_ID, required("MessageIds", "ИдентификаторыСообщений", Expected::Text)],
        returns: false,
        text: Text {
            english: "Marks records of a batch as failed: the portal keeps them and hands them out only to who asks for failed ones. `MessageIds` as for `Acknowledge`.",
            russian: "Отмечает записи пакета ошибочными: портал хранит их и выдаёт только тому, кто просит ошибочные. `ИдентификаторыСообщений` — как у `Подтвердить`.",
        },
        run: Component::mark_failed,
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
        returns: true,
        text: Text {
            english: "Calls any REST method, such as `crm.deal.get` with `{\"id\":1}`, and gives the portal's whole answer as JSON. Token and source key are added.",
            russian: "Вызывает любой метод REST, например `crm.deal.get` с `{\"id\":1}`, и возвращает ответ портала целиком, JSON. Токен и ключ источника добавляются сами.",
        },
        run: Component::call_method,
    },
    Method {
        english: "StartNotifications",
        russian: "НачатьОповещения",
        params: &[],
        returns: false,
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
        returns: false,
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
        returns: false,
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
];
