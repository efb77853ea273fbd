//! CONFIGURATION.md, printed from the table.

use std::fmt::Write;

use super::keys::{KEYS, Key, Kind};

/// The text of CONFIGURATION.md. A test compares the file with it.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Printed from the table in `src/config/keys.rs`; `B24_WRITE=1 cargo test --test documents` writes it anew.\n\n\
         Set a key with `b24_config_set(config, key, value)` (C) or `SetParameter(Key, Value)` / `УстановитьПараметр` (1C). \
         Values are texts. A key that does not exist or a value that is not allowed gives `B24_CONFIG` and a text with the \
         key, the value and what is allowed. [По-русски](#настройки)\n\n",
    );
    table(&mut page, ["key", "allowed", "default", "what it does"], "required", |key| key.text);
    page.push_str(
        "\n## Настройки\n\nКлюч задаёт `УстановитьПараметр(Ключ, Значение)` (1С) или `b24_config_set` (C). Значения — строки. \
         Неизвестный ключ или недопустимое значение — ошибка с именем ключа, значением и тем, что разрешено.\n\n",
    );
    table(&mut page, ["ключ", "допустимо", "по умолчанию", "что делает"], "обязателен", |key| key.russian);
    page
}

fn table(page: &mut String, head: [&str; 4], required: &str, text: impl Fn(&Key) -> &'static str) {
    // Writing into a String cannot fail.
    let _ = writeln!(page, "| {} |\n|---|---|---|---|", head.join(" | "));
    for key in KEYS {
        let default = match key.default {
            _ if key.required => format!("*{required}*"),
            None | Some("") => String::new(),
            Some(value) => format!("`{value}`"),
        };
        let _ = writeln!(page, "| `{}` | {} | {default} | {} |", key.name, allowed(key.kind), text(key));
    }
}

fn allowed(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::Secret => "text (secret)".into(),
        Kind::Address => "`https://…`".into(),
        Kind::Proxy => "`http://…`, `socks5://…`".into(),
        Kind::Integer(min, max) if max == u64::MAX => format!("{min}…"),
        Kind::Integer(min, max) => format!("{min}…{max}"),
        Kind::Listen => "`address:port` or empty".into(),
        Kind::Path => "`/…`".into(),
        Kind::Boolean => "`true`, `false`".into(),
        Kind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
    }
}
