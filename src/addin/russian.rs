//! The texts of [`AddinError`] in Russian. The core has English texts only. For its errors there is a Russian sentence
//! that says what to do, and the English text follows as the details: nothing is lost, and nothing is half translated.

use super::class::ParamType;
use super::error::{AddinError, Hint};
use super::value::{MAX_LENGTH, Value};
use crate::error::{Error, Status};

/// What happened and what to do.
pub(super) fn text(error: &AddinError) -> String {
    match error {
        AddinError::Core(error) => core(error),
        AddinError::WrongType { method, param, found } => format!(
            "{}: неверное значение параметра {}. Требуется {}, передано: {}",
            method.russian,
            param.russian,
            param_type(param.accepts),
            value(found)
        ),
        AddinError::MissingParam { method, param } => format!(
            "{}: не передан параметр {}. Требуется {}",
            method.russian,
            param.russian,
            param_type(param.accepts)
        ),
        AddinError::UndefinedForAll { method, param } => format!(
            "{}: в параметре {} передано Неопределено. Передайте значение или \"*\" — все",
            method.russian, param.russian
        ),
        AddinError::WrongCount { method, given } => format!(
            "{}: неверное число параметров. У метода их {}, передано {given}",
            method.russian,
            method.params.len()
        ),
        AddinError::WrongPropertyType { property, found } => {
            format!("Значение свойства {} — строка, передано: {}", property.russian, value(found))
        }
        AddinError::NotWritable(property) => format!("Свойство {} доступно только для чтения", property.russian),
        AddinError::NoMethod(number) => format!("У B24Events нет метода с номером {number}"),
        AddinError::NoProperty(number) => format!("У B24Events нет свойства с номером {number}"),
        AddinError::NoMemory => {
            "Платформа не выделила память для результата: либо память исчерпана, либо не был вызван \
                                 setMemManager"
                .into()
        }
        AddinError::InitFailed => {
            "Объект не инициализирован: Init не получил соединения с 1С. Создайте объект заново".into()
        }
        AddinError::Done => "Работа объекта завершена (Done). Создайте объект заново".into(),
        AddinError::NotConnected => "Нет подключения. Сначала вызовите Подключить".into(),
        AddinError::Disconnected => {
            "Во время вызова подключение завершил метод Отключить или метод Подключить с новыми \
                                     параметрами. Чтобы продолжить, вызовите Подключить"
                .into()
        }
        AddinError::NoBatch(id) => format!(
            "Нет открытого пакета {id:.64}. Передайте batch_id, который вернул СледующийПакет или ПолучитьЗаписи. \
             Пакет закрывается, когда все его записи подтверждены или отмечены ошибочными, и при вызове Отключить; \
             записи, которые в нём остались, придут снова"
        ),
        AddinError::TooManyBatches(max) => format!(
            "Открыто пакетов: {max}, больше нельзя. Вызовите Подтвердить или ОтметитьОшибочные для обработанных"
        ),
        AddinError::InvalidMessageIds => "ИдентификаторыСообщений — это значения MESSAGE_ID через запятую или с новой \
                                          строки либо массив строк JSON"
            .into(),
        AddinError::InvalidState => {
            "Состояние — это строка, прочитанная раньше из этого же свойства (объект JSON), или \
                                     пустая строка"
                .into()
        }
        AddinError::NoExternalEvents => "Внешние события возможны только в клиентском приложении 1С, которое \
                                         инициализировало объект. На сервере вызывайте СледующийПакет в фоновом задании"
            .into(),
    }
}

fn core(error: &Error) -> String {
    let sentence = match Hint::of(error) {
        Some(Hint::SetTokens) => "Срок действия токена доступа истёк. Передайте новые токены методом УстановитьТокены",
        Some(Hint::Reconnect) => {
            "Приложение удалено с портала. Установите его снова, затем вызовите Отключить и Подключить"
        }
        None => match error {
            Error::Refused(refusal) => refusal.meaning.russian,
            error => by_status(error.status()),
        },
    };
    let code = match (error.code(), error.http_status()) {
        ("", 0) => String::new(),
        ("", http) => format!(" [HTTP {http}]"),
        (code, 0) => format!(" [{code}]"),
        (code, http) => format!(" [{code}, HTTP {http}]"),
    };
    format!("{sentence}{code}. Подробности (англ.): {error}")
}

fn by_status(status: Status) -> &'static str {
    match status {
        Status::Ok | Status::Timeout => "Отведённое время вышло. Повторите вызов",
        Status::InvalidArgument => "Недопустимое значение параметра. Исправьте его и повторите вызов",
        Status::InvalidHandle => "Внутренний объект уже освобождён. Создайте объект заново",
        Status::Config => "Ошибка в настройках. Исправьте ключ или его значение (УстановитьПараметр)",
        Status::Network => "Нет связи с сервером. Проверьте сеть, прокси и адрес портала; вызов можно повторить",
        Status::Tls => {
            "Защищённое соединение (TLS) не установлено. Проверьте адрес портала, часы компьютера, корневые \
             сертификаты и прокси. Сервер должен поддерживать TLS 1.2 или 1.3"
        }
        Status::Protocol => {
            "Ответ сервера непонятен или слишком велик. Проверьте адрес портала, прокси и http.max_answer_bytes"
        }
        Status::Auth => "Портал не принял токены. Авторизуйте приложение заново и задайте новые токены",
        Status::AccessDenied => {
            "Недостаточно прав. Нужен токен администратора портала, а приложению — права (scope) pull и нужных модулей"
        }
        Status::WrongAuthType => {
            "Вебхук здесь не подходит. Нужен токен приложения: зарегистрируйте локальное приложение"
        }
        Status::License => "Тариф портала этого не позволяет. Проверьте тариф и ключи fetch.reserve и connector.id",
        Status::RateLimit => "Портал ограничил число запросов. Подождите и повторите вызов",
        Status::Portal => "Портал ответил ошибкой. Проверьте её код по описанию метода",
        Status::State => "Сейчас этот вызов невозможен. Причина — в подробностях",
        Status::Closed => "Подключение закрыто. Вызовите Подключить",
        Status::Panic => "Внутренняя ошибка компоненты. Создайте объект заново и сообщите этот текст разработчикам",
    }
}

fn param_type(param_type: ParamType) -> String {
    match param_type {
        ParamType::Text => "строка".into(),
        ParamType::Bytes => "строка или двоичные данные".into(),
        ParamType::Integer => "целое число".into(),
        ParamType::Unsigned(max) => format!("целое число от 0 до {max}"),
        ParamType::Scalar => "строка, целое число или булево".into(),
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Empty => "Неопределено".into(),
        Value::Boolean(_) => "булево".into(),
        Value::Integer(number) => format!("число {number}"),
        Value::Real(number) => format!("число {number}"),
        Value::Text(_) => "строка".into(),
        Value::Blob(_) => "двоичные данные не в UTF-8".into(),
        Value::Date(_) => "дата. Момент времени передайте числом: УниверсальноеВремя(Дата) - Дата(1970, 1, 1)".into(),
        Value::Damaged => "повреждённая строка (половина суррогатной пары или нет символов при ненулевой длине)".into(),
        Value::TooLong => format!("больше {MAX_LENGTH} символов или байтов"),
        Value::InvalidDate => "дата, которой нет в календаре".into(),
        Value::Other(kind) => format!("значение типа {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addin::class::METHODS;
    use crate::portal::refusal::to_error;

    #[test]
    fn the_advice_of_the_portals_code_is_told() {
        for (code, description, advice) in [
            ("ACCESS_DENIED", "REST is available only on commercial plans", "Смените тариф"),
            ("SERVER_ERROR", "Push & Pull server is not configured", "source = handler"),
            ("", "Not found", "Not found"),
        ] {
            let text = core(&to_error(500, code, description));
            assert!(text.contains(advice), "{text}");
        }
    }

    #[test]
    fn an_answer_over_the_limit_is_not_blamed_on_the_proxy_alone() {
        assert!(core(&Error::protocol("longer than 1 bytes")).contains("http.max_answer_bytes"));
    }

    #[test]
    fn hints_name_methods_of_the_class() {
        for (code, names) in
            [("expired_token", &["УстановитьТокены"][..]), ("APPLICATION_UNINSTALLED", &["Отключить", "Подключить"])]
        {
            let text = "the portal refused".to_owned();
            let text = core(&to_error(401, code, &text));
            assert!(text.contains("the portal refused"), "{text}");
            for name in names {
                assert!(text.contains(name) && METHODS.iter().any(|method| method.russian == *name), "{text}");
            }
        }
    }
}
