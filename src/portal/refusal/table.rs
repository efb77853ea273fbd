//! What each refusal means, whether it passes by itself, and what to do. docs/REFUSALS.md is printed from this table.

use crate::error::{Meaning, Passes, Status};

/// One kind of refusal.
pub(super) struct Row {
    /// Its codes, in capitals. The portal's own spelling varies.
    pub(super) codes: &'static [&'static str],
    /// What the description holds where a code has several meanings; `""`: anything. The first row that fits counts.
    pub(super) words: &'static str,
    pub(super) meaning: Meaning,
}

const fn row(
    codes: &'static [&'static str],
    words: &'static str,
    status: Status,
    passes: Passes,
    english: &'static str,
    russian: &'static str,
) -> Row {
    Row { codes, words, meaning: Meaning { status, passes, english, russian } }
}

pub(super) static ROWS: [Row; 30] = [
    // Tokens
    row(
        &["EXPIRED_TOKEN"],
        "",
        Status::Auth,
        Passes::Never,
        "the access token has expired and cannot be renewed; set auth.refresh_token, auth.client_id and \
         auth.client_secret, or set a new access token",
        "Токен доступа истёк, и продлить его нельзя. Задайте auth.refresh_token, auth.client_id и auth.client_secret \
         или передайте новый токен доступа",
    ),
    row(
        &["NO_AUTH_FOUND", "INVALID_TOKEN"],
        "",
        Status::Auth,
        Passes::Never,
        "the access token is not valid on this portal; check portal.url and auth.access_token, or authorize the \
         application again",
        "Токен доступа не подходит к этому порталу. Проверьте portal.url и auth.access_token или авторизуйте \
         приложение заново",
    ),
    row(
        &["INVALID_GRANT"],
        "",
        Status::Auth,
        Passes::Never,
        "the refresh token was used before or has expired; authorize the application again, and store every new \
         pair that the tokens callback reports",
        "Токен продления уже использован или истёк. Авторизуйте приложение заново и сохраняйте каждую новую пару \
         токенов",
    ),
    row(
        &["INVALID_CLIENT", "WRONG_CLIENT"],
        "",
        Status::Auth,
        Passes::Never,
        "the application is unknown; check auth.client_id and auth.client_secret",
        "Приложение неизвестно. Проверьте auth.client_id и auth.client_secret",
    ),
    row(
        &["INVALID_REQUEST"],
        "https required",
        Status::Config,
        Passes::Never,
        "the portal accepts https only; set portal.url to an address with https://",
        "Портал принимает только https. Укажите в portal.url адрес с https://",
    ),
    row(
        &["INVALID_REQUEST"],
        "",
        Status::Auth,
        Passes::Never,
        "the authorization server did not understand the request; check auth.client_id, auth.client_secret and \
         auth.server",
        "Сервер авторизации не понял запрос. Проверьте auth.client_id, auth.client_secret и auth.server",
    ),
    row(
        &["WRONG_AUTH_TYPE"],
        "",
        Status::WrongAuthType,
        Passes::Never,
        "this method needs an application's (OAuth) token, not a webhook; register a local application",
        "Вебхук здесь не подходит: нужен токен приложения (OAuth). Зарегистрируйте локальное приложение",
    ),
    // The application and its user
    row(
        &["APPLICATION_NOT_FOUND"],
        "",
        Status::Auth,
        Passes::Never,
        "the application is not installed on this portal, or was removed; install it and authorize it again",
        "Приложение не установлено на этом портале или удалено. Установите его и авторизуйте заново",
    ),
    row(
        &["APPLICATION_UNINSTALLED"],
        "",
        Status::Auth,
        Passes::Never,
        "this has closed the client; install the application again and create a new client",
        "Приложение удалено с портала, подключение закрыто. Установите приложение снова и подключитесь заново",
    ),
    row(
        &["APPLICATION_NOT_INSTALLED"],
        "",
        Status::Auth,
        Passes::Never,
        "the portal queues nothing for an application whose installation is not finished; open the application on the \
         portal and finish its installation, or register it as one that uses the API only",
        "Портал не копит события для приложения, установка которого не завершена. Откройте приложение на портале и \
         завершите установку или зарегистрируйте его как «использует только API»",
    ),
    row(
        &["ACCESS_DENIED"],
        "commercial plans",
        Status::License,
        Passes::Never,
        "the portal's plan does not include REST; change the plan",
        "Тариф портала не включает REST. Смените тариф",
    ),
    row(
        &["ACCESS_DENIED"],
        "authorized in this context",
        Status::AccessDenied,
        Passes::Never,
        "the token's user cannot be authorized for this call; authorize the application as an active user of the portal",
        "Пользователя этого токена здесь нельзя авторизовать. Авторизуйте приложение от имени действующего сотрудника",
    ),
    row(
        &["ACCESS_DENIED"],
        "",
        Status::AccessDenied,
        Passes::Never,
        "the token's user lacks the right to do this, or is not an administrator, as offline events require; use an \
         administrator's token",
        "У пользователя токена нет прав на это действие; офлайн-события доступны только администратору. Используйте токен \
         администратора портала",
    ),
    row(
        &["USER_ACCESS_ERROR"],
        "",
        Status::AccessDenied,
        Passes::Never,
        "the token's user may not open this application; grant access in the application's settings on the portal, or \
         authorize it as another user",
        "Пользователю токена приложение недоступно. Дайте ему доступ в настройках приложения на портале или \
         авторизуйте приложение от имени другого пользователя",
    ),
    row(
        &["AUTHORIZATION_ERROR"],
        "",
        Status::AccessDenied,
        Passes::Never,
        "the portal cannot authorize the token's user, who may have been dismissed; authorize the application as an \
         active user of the portal",
        "Портал не может авторизовать пользователя токена: возможно, он уволен. Авторизуйте приложение от имени \
         действующего сотрудника",
    ),
    row(
        &["INSUFFICIENT_SCOPE"],
        "",
        Status::AccessDenied,
        Passes::Never,
        "the application lacks a scope; add it to the application (pull for the push server, crm for CRM events), \
         and authorize the application again",
        "Приложению не хватает прав (scope). Добавьте их в приложение (pull — для push-сервера, crm — для событий CRM) \
         и авторизуйте приложение заново",
    ),
    // Plan and payment
    row(
        &["PAYMENT_REQUIRED"],
        "",
        Status::License,
        Passes::Never,
        "the portal's plan or the application's subscription has expired; renew it",
        "Тариф портала или подписка на приложение закончились. Продлите тариф или подписку",
    ),
    row(
        &["WRONG_LICENSE"],
        "auth_connector",
        Status::License,
        Passes::Never,
        "the portal's plan does not include queues with a connector id; change the plan, or leave connector.id empty",
        "Тариф портала не включает ключи источника. Смените тариф или оставьте connector.id пустым",
    ),
    row(
        &["WRONG_LICENSE"],
        "",
        Status::License,
        Passes::Never,
        "the portal's plan does not include this; to fetch records without reservations, set fetch.reserve to auto or no",
        "Тариф портала этого не включает. Чтобы получать записи без резервирования, задайте fetch.reserve = auto или no",
    ),
    // Limits
    row(
        &["QUERY_LIMIT_EXCEEDED"],
        "",
        Status::RateLimit,
        Passes::Soon,
        "too many requests to this portal from this IP address; wait a few seconds and repeat",
        "Слишком много запросов к порталу с этого IP-адреса. Подождите несколько секунд и повторите",
    ),
    row(
        &["OPERATION_TIME_LIMIT"],
        "",
        Status::RateLimit,
        Passes::Soon,
        "this method has used up its run time and is blocked for some minutes; repeat it later, and request \
         less at once",
        "Метод исчерпал своё время работы и заблокирован на несколько минут. Повторите позже и запрашивайте меньше за \
         раз",
    ),
    row(
        &["OVERLOAD_LIMIT"],
        "",
        Status::RateLimit,
        Passes::Never,
        "REST was blocked by the portal's owner or by Bitrix24; contact Bitrix24 support",
        "REST заблокирован владельцем портала или Битрикс24. Обратитесь в поддержку Битрикс24",
    ),
    // The portal
    row(
        &["CONNECTION_ERROR"],
        "",
        Status::Portal,
        Passes::Soon,
        "the portal did not reach the authorization server; the tokens are fine, repeat later",
        "Портал не смог связаться с сервером авторизации. Токены в порядке, повторите позже",
    ),
    row(
        &["INTERNAL_SERVER_ERROR"],
        "",
        Status::Portal,
        Passes::Soon,
        "the portal has an internal problem; repeat later",
        "Внутренняя ошибка портала. Повторите позже",
    ),
    row(
        &["PORTAL_DELETED"],
        "",
        Status::Portal,
        Passes::Slowly,
        "the portal is closed for maintenance, or no longer exists; open it in a browser, and repeat in some minutes",
        "Портал закрыт на обслуживание или больше не существует. Откройте его в браузере и повторите через несколько \
         минут",
    ),
    row(
        &["SERVER_ERROR"],
        "push & pull server is not configured",
        Status::Portal,
        Passes::Never,
        "the push server is switched off in the portal; have an administrator switch it on, or set source to handler",
        "Push-сервер на портале выключен. Попросите администратора включить его или задайте source = handler",
    ),
    // Events
    row(
        &["ERROR_CORE"],
        "binding the handler has already started",
        Status::Portal,
        Passes::Soon,
        "another call binds the same event at this moment; repeat after a short pause",
        "На это событие сейчас подписывает другой вызов. Повторите после короткой паузы",
    ),
    row(
        &["ERROR_EVENT_NOT_FOUND"],
        "",
        Status::Portal,
        Passes::Never,
        "there is no event with this name; the REST method events lists all of them",
        "События с таким именем нет. Все события перечисляет метод events",
    ),
    row(
        &["ERROR_WRONG_HANDLER_URL"],
        "",
        Status::Portal,
        Passes::Never,
        "the portal does not accept the handler's address; the host name needs a dot, and the portal has to be able to \
         reach it",
        "Портал не принимает адрес обработчика. В имени сервера должна быть точка, а сам он должен быть доступен порталу",
    ),
    row(
        &["ERROR_METHOD_NOT_FOUND"],
        "",
        Status::Portal,
        Passes::Never,
        "there is no method with this name, or the application lacks its scope; check both",
        "Метода с таким именем нет, или приложению не хватает прав (scope). Проверьте и то и другое",
    ),
];

/// What a code that is not in the table means, by the HTTP status.
pub(super) static BY_HTTP_STATUS: [(std::ops::RangeInclusive<u16>, Meaning); 4] = [
    (
        401..=401,
        Meaning {
            status: Status::Auth,
            passes: Passes::Never,
            english: "the token was not accepted; check auth.access_token, or authorize the application again",
            russian: "Токен не принят. Проверьте auth.access_token или авторизуйте приложение заново",
        },
    ),
    (
        403..=403,
        Meaning {
            status: Status::AccessDenied,
            passes: Passes::Never,
            english: "the token's user or the application lacks the right to do this; check both on the portal",
            russian: "У пользователя токена или у приложения нет права на это. Проверьте права обоих на портале",
        },
    ),
    (
        429..=429,
        Meaning {
            status: Status::RateLimit,
            passes: Passes::Soon,
            english: "too many requests; wait a few seconds and repeat",
            russian: "Слишком много запросов. Подождите несколько секунд и повторите",
        },
    ),
    (
        500..=599,
        Meaning {
            status: Status::Portal,
            passes: Passes::Soon,
            english: "the portal has an internal problem; repeat later",
            russian: "Внутренняя ошибка портала. Повторите позже",
        },
    ),
];

/// Everything else, such as an empty code with a description.
pub(super) static OTHER: Meaning = Meaning {
    status: Status::Portal,
    passes: Passes::Never,
    english: "the method refused the request; check the parameters against its documentation",
    russian: "Метод не выполнил запрос. Проверьте параметры по описанию метода",
};
