//! CONFIGURATION.md, made from the table of keys.

use std::fmt::Write;

use super::key::{Key, Kind};
use super::keys::KEYS;

/// An operation that texts of keys mention, and how the doors call it. In C and in 1C; `""`: not at all.
struct Operation {
    english: &'static str,
    russian: &'static str,
    c: &'static str,
    english_1c: &'static str,
    russian_1c: &'static str,
}

const fn operation(
    english: &'static str,
    russian: &'static str,
    c: &'static str,
    english_1c: &'static str,
    russian_1c: &'static str,
) -> Operation {
    Operation { english, russian, c, english_1c, russian_1c }
}

const OPERATIONS: [Operation; 11] = [
    operation("setting a key", "задать ключ", "b24_config_set", "SetParameter", "УстановитьПараметр"),
    operation("the log callback", "журнал", "b24_config_on_log", "", ""),
    operation("the tokens callback", "функция, которая получает новые токены", "b24_config_on_tokens", "", ""),
    operation("connecting", "подключение", "b24_client_connect", "Connect", "Подключить"),
    operation("reading the state", "прочитать состояние", "b24_client_state", "State", "Состояние"),
    operation("restoring a state", "восстановить состояние", "b24_client_restore", "State", "Состояние"),
    operation("setting tokens", "передать новые токены", "b24_client_set_tokens", "SetTokens", "УстановитьТокены"),
    operation("using an authorization code", "код авторизации", "b24_client_authorize", "Authorize", "Авторизовать"),
    operation(
        "binding the handler",
        "зарегистрировать обработчик",
        "b24_client_bind_handler",
        "BindHandler",
        "ЗарегистрироватьОбработчик",
    ),
    operation(
        "passing a handler call to the client",
        "передать клиенту вызов обработчика",
        "b24_client_accept_handler_call",
        "AcceptHandlerCall",
        "ПринятьВызовОбработчика",
    ),
    operation("the statistics", "статистика", "b24_client_stats", "Statistics", "Статистика"),
];

/// The text of CONFIGURATION.md. A test compares the file with it.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Printed from the table in `src/config/keys.rs`; `B24_WRITE=1 cargo test --test documents` writes it again. \
         [По-русски](#настройки)\n\n\
         All values are strings. Setting an unknown key or a value that is not allowed is an error. Its text names the \
         key, the value and what is allowed.\n\n\
         The descriptions below name operations in plain words. This is what they are called in C and in 1C:\n\n",
    );
    operations(&mut page, ["operation", "C", "1C"], |operation| {
        (operation.english, [operation.english_1c, operation.russian_1c])
    });
    page.push('\n');
    keys(&mut page, &ENGLISH);
    page.push_str(
        "\n## Настройки\n\n\
         Все значения — строки. Неизвестный ключ или недопустимое значение — ошибка: в её тексте названы ключ, значение \
         и то, что допустимо.\n\n\
         Описания называют действия обычными словами. «Клиент» в них — это то, что в C создаёт `b24_client_new`, а в 1С \
         — объект компоненты. Действиям в C и в 1С соответствуют:\n\n",
    );
    operations(&mut page, ["действие", "C", "1С"], |operation| {
        (operation.russian, [operation.russian_1c, operation.english_1c])
    });
    page.push('\n');
    keys(&mut page, &RUSSIAN);
    page
}

/// Writes the table of operations. `names` returns the words for an operation and its two names in 1C.
fn operations(page: &mut String, head: [&str; 3], names: impl Fn(&Operation) -> (&'static str, [&'static str; 2])) {
    // Writing into a String cannot fail.
    let _ = writeln!(page, "| {} |\n|---|---|---|", head.join(" | "));
    for operation in &OPERATIONS {
        let (words, in_1c) = names(operation);
        let in_1c = match in_1c {
            ["", ""] => "—".to_owned(),
            [first, second] => format!("`{first}` / `{second}`"),
        };
        let _ = writeln!(page, "| {words} | `{}` | {in_1c} |", operation.c);
    }
}

/// The words of the table of keys in one language.
struct Language {
    head: [&'static str; 4],
    required: &'static str,
    text: &'static str,
    secret: &'static str,
    listen: &'static str,
    description: fn(&Key) -> &'static str,
}

const ENGLISH: Language = Language {
    head: ["key", "allowed", "default", "what it does"],
    required: "required",
    text: "text",
    secret: "text (secret)",
    listen: "`address:port` or empty",
    description: |key| key.text,
};

const RUSSIAN: Language = Language {
    head: ["ключ", "допустимо", "по умолчанию", "что делает"],
    required: "обязателен",
    text: "строка",
    secret: "строка (секрет)",
    listen: "`адрес:порт` или пусто",
    description: |key| key.russian,
};

fn keys(page: &mut String, language: &Language) {
    let _ = writeln!(page, "| {} |\n|---|---|---|---|", language.head.join(" | "));
    for key in KEYS {
        let default = match key.default {
            _ if key.required => format!("*{}*", language.required),
            None | Some("") => String::new(),
            Some(value) => format!("`{value}`"),
        };
        let (allowed, description) = (allowed(key.kind, language), (language.description)(key));
        let _ = writeln!(page, "| `{}` | {allowed} | {default} | {description} |", key.name);
    }
}

fn allowed(kind: Kind, language: &Language) -> String {
    match kind {
        Kind::Text => language.text.into(),
        Kind::Secret => language.secret.into(),
        Kind::Address => "`https://…`".into(),
        Kind::Proxy => "`http://…`, `socks5://…`".into(),
        Kind::Integer(min, max) if max == u64::MAX => format!("{min}…"),
        Kind::Integer(min, max) => format!("{min}…{max}"),
        Kind::Listen => language.listen.into(),
        Kind::Path => "`/…`".into(),
        Kind::ObjectMethods => "`EVENT=method?param={FIELD}`, …".into(),
        Kind::Pauses => "`1000 5000 …`".into(),
        Kind::Boolean => "`true`, `false`".into(),
        Kind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doors_have_every_operation() {
        let class = concat!(include_str!("../addin/class/methods.rs"), include_str!("../addin/class/properties.rs"));
        let header = include_str!("../../include/b24events.h");
        for Operation { c, english_1c, russian_1c, .. } in OPERATIONS {
            assert!(header.contains(&format!("{c}(")), "{c}");
            for name in [english_1c, russian_1c] {
                assert!(name.is_empty() || class.contains(&format!("\"{name}\"")), "{name}");
            }
        }
    }

    #[test]
    fn descriptions_name_no_function_of_a_door() {
        // `Состояние` alone is also an ordinary word.
        let is_compound = |name: &&str| name.chars().filter(|c| c.is_uppercase()).count() > 1;
        let names = OPERATIONS.iter().flat_map(|operation| [operation.english_1c, operation.russian_1c]);
        let names: Vec<_> = names.filter(is_compound).chain(["b24_", "B24_"]).collect();
        for key in KEYS {
            for name in &names {
                assert!(!key.text.contains(name) && !key.russian.contains(name), "{} names {name}", key.name);
            }
        }
    }
}
