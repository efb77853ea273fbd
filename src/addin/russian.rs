//! The same in Russian. Texts of the core exist in English only; here each of its statuses has a sentence that says what
//! to do, and the English text follows as the detail, marked as such, so that nothing is lost and nothing half translated.

use super::class::Expected;
use super::fault::Fault;
use super::variant::Value;
use crate::error::{Error, Status};

/// The Russian text of a fault.
pub(super) fn text(fault: &Fault) -> String {
    match fault {
        Fault::Core(error) => core(error),
        Fault::WrongType { method, param, found } => {
            format!(
                "{}: параметр {} — {}, передано: {}",
                method.russian,
                param.russian,
                expected(param.expected),
                value(found)
            )
        }
        Fault::MissingParam { method, param } => {
            format!("{}: не передан параметр {} ({})", method.russian, param.russian, expected(param.expected))
        }
        Fault::WrongCount { method, given } => {
            format!("{}: параметров у метода {}, передано {given}", method.russian, method.params.len())
        }
        Fault::WrongPropertyType { property, found } => {
            format!("Свойство {} — строка, передано: {}", property.russian, value(found))
        }
        Fault::NotWritable(property) => format!("Свойство {} доступно только для чтения", property.russian),
        Fault::NoMethod(number) => format!("У B24Events нет метода с номером {number}"),
        Fault::NoProperty(number) => format!("У B24Events нет свойства с номером {number}"),
        Fault::NoMemory => {
            "Платформа не выделила память под результат: память исчерпана или не вызван setMemManager".into()
        }
        Fault::InitFailed => {
            "Объект не инициализирован: Init не получил соединения с 1С. Создайте объект заново".into()
        }
        Fault::Ended => "Работа объекта завершена (Done). Создайте объект заново".into(),
        Fault::NotConnected => "Нет подключения. Сначала вызовите Подключить".into(),
        Fault::Disconnected => {
            "Подключение завершено во время вызова: методом Отключить или методом Подключить с новыми параметрами. \
                                Чтобы продолжить, вызовите Подключить"
                .into()
        }
        Fault::NoBatch(id) => format!(
            "Нет открытого пакета {id:.64}. Передайте batch_id из СледующийПакет или ПолучитьЗаписи. Пакет закрывается, \
             когда все его записи подтверждены или отмечены ошибочными, и при вызове Отключить: остаток придёт снова"
        ),
        Fault::TooManyBatches(most) => {
            format!("Открытых пакетов уже {most}. Вызовите Подтвердить или ОтметитьОшибку для обработанных")
        }
        Fault::BadMessageIds => {
            "ИдентификаторыСообщений — значения MESSAGE_ID через запятую или с новой строки либо массив строк JSON"
                .into()
        }
        Fault::BadState => {
            "Состояние — это строка, прочитанная раньше из этого же свойства (объект JSON), или пустая строка".into()
        }
        Fault::NoEvents => {
            "Внешние события возможны только в клиентском приложении 1С, которое инициализировало объект. \
                            На сервере вызывайте СледующийПакет в фоновом задании"
                .into()
        }
    }
}

fn core(error: &Error) -> String {
    let sentence = match error.status() {
        Status::Ok | Status::Timeout => "За отведённое время не получилось. Повторите вызов",
        Status::InvalidArgument => "Недопустимое значение параметра. Исправьте его и повторите вызов",
        Status::InvalidHandle => "Внутренний объект уже освобождён. Создайте объект заново",
        Status::Config => "Ошибка в настройках. Исправьте ключ или его значение (УстановитьПараметр)",
        Status::Network => "Нет связи с сервером. Проверьте сеть, прокси и адрес портала; вызов можно повторить",
        Status::Tls => "Сертификат сервера не принят. Проверьте адрес портала, время компьютера и корневые сертификаты",
        Status::Protocol => "Сервер ответил не так, как положено по протоколу. Проверьте адрес портала и прокси",
        Status::Auth => "Токены не приняты порталом. Авторизуйте приложение заново и задайте новые токены",
        Status::AccessDenied => {
            "Недостаточно прав. Нужен токен администратора портала, а у приложения — права (scope) pull и нужных модулей"
        }
        Status::WrongAuthType => {
            "Вебхук здесь не подходит. Нужен токен приложения: зарегистрируйте локальное приложение"
        }
        Status::License => "Тариф портала этого не позволяет. Проверьте тариф и ключи fetch.reserve и connector.id",
        Status::RateLimit => "Портал ограничил число запросов. Подождите и повторите вызов",
        Status::Portal => "Портал ответил ошибкой. Смотрите её код и описание метода",
        Status::State => "Вызов сейчас невозможен из-за состояния объекта",
        Status::Closed => "Соединение закрыто. Вызовите Подключить",
        Status::Panic => "Внутренняя ошибка компоненты. Создайте объект заново и сообщите разработчикам этот текст",
    };
    detailed(sentence, error)
}

fn detailed(sentence: &str, error: &Error) -> String {
    let code = match (error.code(), error.http_status()) {
        ("", 0) => String::new(),
        ("", http) => format!(" [HTTP {http}]"),
        (code, 0) => format!(" [{code}]"),
        (code, http) => format!(" [{code}, HTTP {http}]"),
    };
    format!("{sentence}{code}. Подробности (англ.): {error}")
}

fn expected(expected: Expected) -> &'static str {
    match expected {
        Expected::Text => "строка",
        Expected::Bytes => "строка или двоичные данные",
        Expected::Integer => "целое число",
        Expected::Scalar => "строка, целое число, булево или дата",
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Empty => "Неопределено".into(),
        Value::Boolean(_) => "булево".into(),
        Value::Integer(_) => "число".into(),
        Value::Real(number) => format!("число {number}"),
        Value::Text(_) => "строка".into(),
        Value::Blob(_) => "двоичные данные, которые не являются текстом в UTF-8".into(),
        Value::Date(_) => "дата".into(),
        Value::BrokenText => "повреждённая строка (половина суррогатной пары или отсутствующие символы)".into(),
        Value::Other(kind) => format!("значение типа {kind}"),
    }
}
