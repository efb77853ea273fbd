//! The table of properties.

use super::{Property, PropertyId, Text};

/// Every property, in the order of its number.
pub static PROPERTIES: &[Property] = &[
    Property {
        id: PropertyId::Version,
        english: "Version",
        russian: "Версия",
        text: Text { english: "The version of the component.", russian: "Версия компоненты." },
        is_writable: false,
    },
    Property {
        id: PropertyId::Connected,
        english: "Connected",
        russian: "Подключено",
        text: Text {
            english: "Whether everything that `Connect` starts is active now.",
            russian: "Истина, если сейчас действует всё, что запускает `Подключить`.",
        },
        is_writable: false,
    },
    Property {
        id: PropertyId::State,
        english: "State",
        russian: "Состояние",
        text: Text {
            english: "JSON with the current tokens and the batches that are not acknowledged. Filled from `Authorize` or \
                      `AcceptHandlerCall` on, empty before the first call. It holds secrets: store it where 1C keeps \
                      secrets. To continue without loss, assign it to a new object on any machine, after its \
                      parameters and before `Connect`. Assigned to a connected object, it takes effect with the next \
                      `Connect`. An empty string discards what was assigned.",
            russian: "JSON с действующими токенами и неподтверждёнными пакетами. Заполнено уже после `Авторизовать` или \
                      `ПринятьВызовОбработчика`, до первого вызова — пустая строка. В нём есть секреты: храните его в \
                      безопасном хранилище. Чтобы продолжить работу без потерь, присвойте его новому объекту на любом \
                      компьютере, после параметров и до `Подключить`. Если объект уже подключён, присвоенное подействует \
                      со следующего `Подключить`. Пустая строка отменяет присвоенное.",
        },
        is_writable: true,
    },
    Property {
        id: PropertyId::Statistics,
        english: "Statistics",
        russian: "Статистика",
        text: Text {
            english: "Counters of the connection as JSON; `{}` before the first one. `operating`: what the portal counts \
                      towards the run time limit of each REST method (seconds), when the oldest minute no longer \
                      counts (`operating_reset_at`, Unix time), and whether the method is `blocked`.",
            russian: "Счётчики подключения в JSON; до первого подключения — `{}`. `operating`: сколько секунд работы \
                      каждого метода REST портал засчитал в лимит, когда самая старая минута перестанет считаться \
                      (`operating_reset_at`, время Unix) и заблокирован ли метод (`blocked`).",
        },
        is_writable: false,
    },
    Property {
        id: PropertyId::AuthorizationAddress,
        english: "AuthorizationAddress",
        russian: "АдресАвторизации",
        text: Text {
            english: "Where an administrator authorizes the application in a browser; needs the parameters `portal.url` and \
                      `auth.client_id`, without which reading it is an error. The browser then shows the address in the \
                      application's settings with `code`: pass that to `Authorize` within 30 seconds.",
            russian: "Страница, на которой администратор авторизует приложение в браузере. Нужны параметры `portal.url` и \
                      `auth.client_id`; без них чтение — ошибка. Затем браузер покажет адрес из настроек приложения с \
                      `code`: передайте его в `Авторизовать` в течение 30 секунд.",
        },
        is_writable: false,
    },
    Property {
        id: PropertyId::LastError,
        english: "LastError",
        russian: "ПоследняяОшибка",
        text: Text {
            english: "What went wrong in the last call, and what to do about it; empty after a call that succeeded.",
            russian: "Что случилось при последнем вызове и что с этим делать; после удачного вызова — пустая строка.",
        },
        is_writable: false,
    },
    Property {
        id: PropertyId::LastErrorCode,
        english: "LastErrorCode",
        russian: "КодПоследнейОшибки",
        text: Text {
            english: "The portal's code of that error, such as `ACCESS_DENIED`. If the portal gave none, the kind of \
                      the error: `CONFIG`, `NETWORK`, `CLOSED` and so on.",
            russian: "Код этой ошибки от портала, например `ACCESS_DENIED`. Если портал кода не дал — вид ошибки: \
                      `CONFIG`, `NETWORK`, `CLOSED` и так далее.",
        },
        is_writable: false,
    },
    Property {
        id: PropertyId::IsTransient,
        english: "IsTransient",
        russian: "ОшибкаВременная",
        text: Text {
            english: "True if that error may pass by itself (the network, limits of the portal): repeat \
                      the call later. False if someone must intervene first, and after a call that succeeded.",
            russian: "Истина, если эта ошибка может пройти сама (сеть, ограничения портала): повторите вызов позже. \
                      Ложь — если нужно что-то исправить, а также после удачного вызова.",
        },
        is_writable: false,
    },
];
