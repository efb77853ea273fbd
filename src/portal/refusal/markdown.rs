//! docs/REFUSALS.md, made from the table.

use std::fmt::Write;

use super::table::{BY_HTTP_STATUS, OTHER, ROWS};
use crate::error::{Meaning, Passes};

/// The text of docs/REFUSALS.md. A test compares the file with it.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Refusals\n\n\
         Printed from the table in `src/portal/refusal/table.rs`; `B24_WRITE=1 cargo test --test documents` writes it \
         again. [По-русски](#отказы)\n\n\
         What the library makes of an error answer of the portal or of its authorization server. The code decides; \
         where it has several meanings, so does the description, and the first row that fits counts. Codes are \
         compared without case. The status has the prefix `B24_` in C.\n\n\
         *Passes* says whether the same call may succeed later although nobody changes anything (the error is \
         transient):\n\n",
    );
    for (name, text) in [
        (english(Passes::Never), "someone must intervene; whoever waits is told at once"),
        (english(Passes::Soon), "the library repeats calls that may be repeated, after growing pauses"),
        (english(Passes::Slowly), "the library does not repeat the call, and looks again every few minutes"),
    ] {
        let _ = writeln!(page, "- {name}: {text}.");
    }
    page.push_str("\n| code | description | status | passes | what to do |\n|---|---|---|---|---|\n");
    rows(&mut page, ["contains", "HTTP", "any other code"], english, |meaning| meaning.english);
    page.push_str(
        "\n# Отказы\n\n\
         Как библиотека понимает ошибки портала и сервера авторизации. Решает код, а если у него несколько значений — \
         ещё и описание: действует первая подходящая строка. Регистр букв в коде не важен. Статус в 1С — \
         `КодПоследнейОшибки`, если у ошибки нет кода портала.\n\n\
         Столбец «проходит»: может ли тот же вызов удаться позже, если никто ничего не изменит (ошибка временная):\n\n",
    );
    for (name, text) in [
        (russian(Passes::Never), "сначала нужно что-то исправить; вызов, который ждёт событий, вернёт ошибку сразу"),
        (russian(Passes::Soon), "вызовы, которые можно повторять, библиотека повторяет с растущими паузами"),
        (russian(Passes::Slowly), "библиотека не повторяет вызов и проверяет раз в несколько минут"),
    ] {
        let _ = writeln!(page, "- {name}: {text}.");
    }
    page.push_str("\n| код | описание | статус | проходит | что делать |\n|---|---|---|---|---|\n");
    rows(&mut page, ["содержит", "HTTP", "любой другой код"], russian, |meaning| meaning.russian);
    page
}

fn rows(
    page: &mut String,
    [contains, http, other]: [&str; 3],
    passes: fn(Passes) -> &'static str,
    advice: fn(&Meaning) -> &'static str,
) {
    let mut row = |codes: &str, description: &str, meaning: &Meaning| {
        // Writing to a text cannot fail.
        let _ = writeln!(
            page,
            "| {codes} | {description} | `{}` | {} | {} |",
            meaning.status.name(),
            passes(meaning.passes),
            advice(meaning)
        );
    };
    for entry in &ROWS {
        let codes: Vec<String> = entry.codes.iter().map(|code| format!("`{code}`")).collect();
        let description =
            if entry.words.is_empty() { String::new() } else { format!("{contains} “{}”", entry.words) };
        row(&codes.join(", "), &description, &entry.meaning);
    }
    for (statuses, meaning) in &BY_HTTP_STATUS {
        let (first, last) = (statuses.start(), statuses.end());
        let statuses = if first == last { first.to_string() } else { format!("{first}–{last}") };
        row(&format!("{other}, {http} {statuses}"), "", meaning);
    }
    row(other, "", &OTHER);
}

fn english(passes: Passes) -> &'static str {
    match passes {
        Passes::Never => "no",
        Passes::Soon => "yes",
        Passes::Slowly => "slowly",
    }
}

fn russian(passes: Passes) -> &'static str {
    match passes {
        Passes::Never => "нет",
        Passes::Soon => "да",
        Passes::Slowly => "медленно",
    }
}
