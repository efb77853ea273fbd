//! Reads the C header in the format that cbindgen writes. Everything else is an error and never skipped, because what is
//! skipped is not guarded.

use std::collections::BTreeMap;

/// What programs use, by name. Each is a line such as `define B24_ABI_VERSION 1`.
pub type Items = BTreeMap<String, String>;

/// Lines around the declarations that are not part of the ABI.
const FRAME: [&str; 5] =
    ["#ifndef B24EVENTS_H", "#define B24EVENTS_H", "#include <stddef.h>", "#include <stdint.h>", "#endif"];
const FRAME_FOR_CPP: [&str; 2] = ["extern \"C\" {", "}"];

/// The prefix of the macros that hold the version of the library.
const LIBRARY_VERSION: &str = "B24EVENTS_VERSION";

/// Words of C that are types. Several in a row are one type.
const TYPES: [&str; 9] = ["char", "double", "float", "int", "long", "short", "signed", "unsigned", "void"];
/// Words of C that are neither a type nor a name.
const KEYWORDS: [&str; 11] =
    ["const", "enum", "extern", "inline", "register", "restrict", "static", "struct", "typedef", "union", "volatile"];

pub fn read(header: &str) -> Result<Items, String> {
    let mut items = Items::new();
    let mut declaration = String::new();
    let mut for_cpp = false;
    let bare = without_comments(header)?;
    let mut lines = bare.lines().map(str::trim).filter(|line| !line.is_empty());
    while let Some(line) = lines.next() {
        if for_cpp {
            match line {
                "#endif" => for_cpp = false,
                line if FRAME_FOR_CPP.contains(&line) => {}
                _ => return Err(unknown(line)),
            }
        } else if line == "#if defined(__cplusplus)" && declaration.is_empty() {
            for item in enumeration(&mut lines)? {
                add(&mut items, item)?;
            }
        } else if line.starts_with('#') {
            match line {
                _ if !declaration.is_empty() => return Err(unknown(line)),
                "#ifdef __cplusplus" => for_cpp = true,
                line if FRAME.contains(&line) => {}
                _ => add(&mut items, define(line).ok_or_else(|| unknown(line))?)?,
            }
        } else {
            declaration.push_str(line);
            declaration.push(' ');
            if line.ends_with(';') && declaration.matches('{').count() == declaration.matches('}').count() {
                add(&mut items, declared(&declaration).ok_or_else(|| unknown(&declaration))?)?;
                declaration.clear();
            }
        }
    }
    if declaration.is_empty() && !for_cpp { Ok(items) } else { Err("the header ends in the middle".to_owned()) }
}

/// Reads what [`write`] wrote. Lines that start with `#` are for people.
pub fn read_recorded(file: &str) -> Result<Items, String> {
    let mut items = Items::new();
    for line in file.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        add(&mut items, line.to_owned())?;
    }
    Ok(items)
}

/// A line for each item, by kind and name.
pub fn write(items: &Items) -> String {
    let mut lines: Vec<_> = items.values().collect();
    lines.sort_by_key(|line| line.split(' ').next());
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn add(items: &mut Items, line: String) -> Result<(), String> {
    let name = name(&line).ok_or_else(|| format!("cannot read this recorded line: {line}"))?.to_owned();
    match items.insert(name, line) {
        None => Ok(()),
        Some(twice) => Err(format!("there are two of this name: {twice}")),
    }
}

fn name(line: &str) -> Option<&str> {
    match line.split_once(' ')? {
        ("fn", rest) => rest.split_once('(')?.0.rsplit([' ', '*']).next(),
        ("define" | "enum" | "enumerator" | "opaque" | "struct" | "type", rest) => rest.split(' ').next(),
        _ => None,
    }
}

fn unknown(line: &str) -> String {
    format!("cannot read this line of the header: {}", line.trim_end())
}

/// Replaces each comment by a space, as the preprocessor does.
fn without_comments(header: &str) -> Result<String, String> {
    let mut bare = String::new();
    let mut rest = header;
    while let Some(next) = rest.chars().next() {
        let length = if let Some(comment) = rest.strip_prefix("/*") {
            bare.push(' ');
            4 + comment.find("*/").ok_or("a comment of the header has no end")?
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if next == '"' {
            // A comment cannot begin inside a text.
            let length = 2 + rest[1..].find('"').ok_or("a text in the header has no end")?;
            let text = &rest[..length];
            if text.contains(['\\', '\n']) {
                return Err(unknown(text));
            }
            bare.push_str(text);
            length
        } else {
            bare.push(next);
            next.len_utf8()
        };
        rest = &rest[length..];
    }
    Ok(bare)
}

/// A constant. Macros with parameters or without a value are not supported.
fn define(line: &str) -> Option<String> {
    let (name, value) = line.strip_prefix("#define ")?.trim_start().split_once(char::is_whitespace)?;
    let is_constant = is_name(name) && !value.ends_with('\\');
    // The version of the library changes while the ABI stays the same.
    let value = if name.starts_with(LIBRARY_VERSION) { "(of each release)" } else { value.trim_start() };
    is_constant.then(|| format!("define {name} {value}"))
}

/// The rest of an enumeration whose values have a fixed type. Each version of C and C++ declares that in its own way.
fn enumeration<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Result<Vec<String>, String> {
    let mut next = || lines.next().ok_or("the header ends in the middle of an enumeration");
    let first = next()?;
    let (name, base) = first
        .strip_prefix("enum ")
        .and_then(|rest| rest.split_once(" : "))
        .filter(|(name, base)| is_name(name) && is_name(base))
        .ok_or_else(|| unknown(first))?;
    for expected in [
        "#elif __STDC_VERSION__ >= 202311L",
        &format!("enum {name} : {base};"),
        &format!("typedef enum {name} {name};"),
        &format!("enum {name} : {base}"),
        "#else",
        &format!("typedef {base} {name};"),
        &format!("enum {name}_values"),
        "#endif",
        "{",
    ] {
        let line = next()?;
        if line != expected {
            return Err(unknown(line));
        }
    }
    let mut items = vec![format!("enum {name} : {base}")];
    loop {
        let line = next()?;
        if line == "};" {
            return Ok(items);
        }
        let enumerator = line.strip_suffix(',').and_then(|line| line.split_once(" = "));
        let (value_name, value) = enumerator
            .filter(|(value_name, value)| is_name(value_name) && value.parse::<i32>().is_ok())
            .ok_or_else(|| unknown(line))?;
        items.push(format!("enumerator {value_name} = {value} of {name}"));
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_word)
}

fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn declared(declaration: &str) -> Option<String> {
    let tokens = tokens(declaration)?;
    let (&last, tokens) = tokens.split_last()?;
    let mut reader = Reader { tokens };
    let line = match tokens {
        ["typedef", "struct", tag, name] if tag == name => return Some(format!("opaque {name}")),
        ["typedef", "struct", tag, "{", fields @ .., "}", name] if tag == name => {
            reader.tokens = fields;
            let mut line = format!("struct {name} {{ ");
            while !reader.tokens.is_empty() {
                let field = reader.thing().filter(|field| !field.name.is_empty())?;
                reader.take(";").then_some(())?;
                line += &format!("{}; ", field.with_name());
            }
            line + "}"
        }
        ["typedef", ..] => {
            reader.take("typedef");
            let thing = reader.thing().filter(|thing| !thing.name.is_empty())?;
            format!("type {} = {}", thing.name, thing.without_name())
        }
        _ => {
            let function = reader.thing().filter(|thing| !thing.name.is_empty() && thing.after.starts_with('('))?;
            format!("fn {}", function.with_name())
        }
    };
    (last == ";" && reader.tokens.is_empty()).then_some(line)
}

fn tokens(text: &str) -> Option<Vec<&str>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|character| !is_of_word(character)).unwrap_or(rest.len());
        let length = if "*(),;{}[]".contains(first) { 1 } else { word };
        if length == 0 {
            return None;
        }
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

/// A function, parameter, field or type: the text before its name, the name or "", and the text after it.
struct Thing<'a> {
    before: String,
    name: &'a str,
    after: String,
}

impl Thing<'_> {
    fn with_name(&self) -> String {
        let space = if self.before.ends_with('*') { "" } else { " " };
        format!("{}{space}{}{}", self.before, self.name, self.after)
    }

    fn without_name(&self) -> String {
        let space = if self.after.starts_with(['(', '[']) { " " } else { "" };
        format!("{}{space}{}", self.before, self.after)
    }
}

struct Reader<'a> {
    tokens: &'a [&'a str],
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.tokens.first() == Some(&token);
        if found {
            self.next();
        }
        found
    }

    fn word(&mut self) -> Option<&'a str> {
        self.next().filter(|word| word.chars().all(is_of_word) && !KEYWORDS.contains(word))
    }

    fn thing(&mut self) -> Option<Thing<'a>> {
        let mut before = self.type_before_name()?;
        if self.take("(") {
            // A pointer to a function.
            self.take("*").then_some(())?;
            before += " (*";
            let name = self.name();
            self.take(")").then_some(())?;
            self.take("(").then_some(())?;
            return Some(Thing { before, name, after: format!("){}", self.parameters()?) });
        }
        let name = self.name();
        let mut after = String::new();
        if self.take("(") {
            after = self.parameters()?;
        }
        while self.take("[") {
            after += &format!("[{}]", self.word()?);
            self.take("]").then_some(())?;
        }
        Some(Thing { before, name, after })
    }

    fn type_before_name(&mut self) -> Option<String> {
        let mut text = if self.take("const") { "const ".to_owned() } else { String::new() };
        // Each struct has a type of the same name, so the word can be left out.
        self.take("struct");
        let first = self.word()?;
        text += first;
        while TYPES.contains(&first) && self.tokens.first().is_some_and(|next| TYPES.contains(next)) {
            text += &format!(" {}", self.next()?);
        }
        while let Some(next @ ("*" | "const")) = self.tokens.first().copied() {
            self.next();
            let space = if text.ends_with('*') { "" } else { " " };
            text += &format!("{space}{next}");
        }
        Some(text)
    }

    /// Parameters may do without a name.
    fn name(&mut self) -> &'a str {
        let before = self.tokens;
        self.word().filter(|word| !TYPES.contains(word)).unwrap_or_else(|| {
            self.tokens = before;
            ""
        })
    }

    /// Their names may change without breaking a program, so the text leaves them out.
    fn parameters(&mut self) -> Option<String> {
        let mut types = Vec::new();
        loop {
            types.push(self.thing()?.without_name());
            if self.take(")") {
                return Some(format!("({})", types.join(", ")));
            }
            self.take(",").then_some(())?;
        }
    }
}
