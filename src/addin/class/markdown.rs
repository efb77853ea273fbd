//! The reference of the class, printed from its table.

use std::fmt::Write;

use super::{ALL, DefaultValue, METHODS, Method, PROPERTIES, Param, ReturnType};

/// Methods and properties as two Markdown tables, in Russian or in English.
pub fn markdown(in_russian: bool) -> String {
    let [method, property, text, read_only] = match in_russian {
        true => ["метод", "свойство", "что делает", "только чтение"],
        false => ["method", "property", "what it does", "read only"],
    };
    let mut page = format!("| {method} | {text} |\n|---|---|\n");
    // Writing into a String cannot fail.
    for entry in METHODS {
        let text = if in_russian { entry.text.russian } else { entry.text.english };
        let _ = writeln!(page, "| `{}`<br>`{}` | {text} |", heading(entry, in_russian), heading(entry, !in_russian));
    }
    let _ = write!(page, "\n| {property} | {text} |\n|---|---|\n");
    for entry in PROPERTIES {
        let (mut names, mut text) = ([entry.english, entry.russian], entry.text.english);
        if in_russian {
            names.reverse();
            text = entry.text.russian;
        }
        let access = if entry.is_writable { String::new() } else { format!(" ({read_only})") };
        let _ = writeln!(page, "| `{}`<br>`{}` | {text}{access} |", names[0], names[1]);
    }
    page
}

/// The method as one would call it: optional parameters in brackets, with their default.
fn heading(method: &Method, in_russian: bool) -> String {
    let params: Vec<_> = method.params.iter().map(|param| parameter(param, in_russian)).collect();
    let name = if in_russian { method.russian } else { method.english };
    let result = match (method.returns, in_russian) {
        (None, _) => "",
        (Some(ReturnType::Number), true) => " → Число",
        (Some(ReturnType::Number), false) => " → Number",
        (Some(ReturnType::Text), true) => " → Строка",
        (Some(ReturnType::Text), false) => " → String",
    };
    format!("{name}({}){result}", params.join(", "))
}

fn parameter(param: &Param, in_russian: bool) -> String {
    let name = if in_russian { param.russian } else { param.english };
    match param.default {
        DefaultValue::Required => name.to_owned(),
        DefaultValue::Integer(number) => format!("[{name}={number}]"),
        DefaultValue::All => format!("[{name}=\"{ALL}\"]"),
        DefaultValue::Text(text) => format!("[{name}=\"{text}\"]"),
    }
}
