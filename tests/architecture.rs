//! The rooms of `src` (docs/ARCHITECTURE.md): imports point down, no two files import each other in a circle, `unsafe`
//! stays in the doors, and names keep to the glossary. Reads the sources as text; compiles nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The floors of the house, from the top. A room imports rooms of lower floors only, none beside it. The ground is of
/// files that stand on their own; they may import each other, without circles like everywhere.
const FLOORS: [&[&str]; 7] = [
    &["ffi", "addin"],
    &["client"],
    &["delivery", "push", "handler"],
    &["notify", "portal"],
    &["state", "net"],
    &["config", "context"],
    &["calendar", "cancel", "clock", "error", "log", "process", "retry", "secret", "stats", "threads"],
];
const GROUND: usize = FLOORS.len() - 1;

/// Imports against the rule, each with its reason.
const EXCEPTIONS: [(&str, &str); 1] = [
    // Both doors pin the library in the process, and that takes `unsafe`.
    ("addin", "ffi::pin"),
];

/// Words that have a better one in the glossary (docs/ARCHITECTURE.md); no name of ours holds one.
const REPLACED: [&str; 24] = [
    "around",
    "beacon",
    "chain",
    "closing",
    "dropped",
    "due",
    "ends",
    "farewell",
    "fault",
    "grown",
    "held",
    "home",
    "kept",
    "ledger",
    "longest",
    "most",
    "patience",
    "place",
    "roots",
    "settle",
    "shortest",
    "surroundings",
    "taking",
    "taken",
];

/// A source file: its module path, and its code without comments, texts and tests.
struct File {
    module: Vec<String>,
    code: String,
}

impl File {
    fn name(&self) -> String {
        self.module.join("::")
    }
}

/// The library's.
fn sources() -> Vec<File> {
    sources_in("src")
}

fn sources_in(folder: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(&root).unwrap().with_extension("");
            let mut module: Vec<String> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            if module.last().is_some_and(|last| last == "mod" || last == "lib") {
                module.pop();
            }
            files.push(File { module, code: code_of(&fs::read_to_string(&path).unwrap()) });
        }
    }
    let tests = test_modules(&files);
    files.retain(|file| !tests.contains(&file.module));
    files.sort_by(|a, b| a.module.cmp(&b.module));
    assert!(files.len() > 40, "{folder} has not the sources that it should have");
    files
}

/// Modules that are declared as `#[cfg(test)] mod name;`.
fn test_modules(files: &[File]) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for file in files {
        let mut rest = file.code.as_str();
        while let Some((_, after)) = rest.split_once("#[cfg(test)]") {
            rest = after;
            let declared = after.trim_start().strip_prefix("mod ").and_then(|name| name.split_once(';'));
            if let Some((name, _)) = declared.filter(|(name, _)| name.chars().all(is_word)) {
                found.insert(file.module.iter().cloned().chain([name.to_owned()]).collect());
            }
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Blanks out comments and texts.
fn code_of(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("r#\"") || rest.starts_with("r##\"") || rest.starts_with("r\"") {
            let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            2 + hashes + rest[2 + hashes..].find(&end).unwrap() + end.len()
        } else if c == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.unwrap() + 2
        } else if c == '\'' {
            // A character, or a lifetime, which has no quote behind it.
            let mut chars = rest.char_indices().skip(1);
            let first = chars.next().map_or(' ', |(_, c)| c);
            let length = match first {
                '\\' => rest[2..].find('\'').filter(|end| *end < 12).map(|end| end + 3),
                _ => chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1),
            };
            length.unwrap_or(1)
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[length..];
    }
    // Tests inside a file stand at its end.
    match code.find("#[cfg(test)]\nmod tests {") {
        Some(tests) => code[..tests].to_owned(),
        None => code,
    }
}

/// Every path that a file names in `use`, or in full where it needs it, as segments.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for statement in code.split("use ").skip(1).filter_map(|rest| rest.split_once(';')) {
        expand(&[], statement.0, &mut found);
    }
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| is_word(c) || c == ':') {
                continue;
            }
            let path: String = code[at..].chars().take_while(|c| is_word(*c) || *c == ':').collect();
            found.push(path.trim_end_matches(':').split("::").map(str::to_owned).collect());
        }
    }
    found
}

/// `a::{b, c::{d, self}}` as `a::b`, `a::c::d`, `a::c`.
fn expand(before: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let (head, inside) = match tree.split_once('{') {
        Some((head, rest)) => (head, rest.trim_end().strip_suffix('}')),
        None => (tree.split(" as ").next().unwrap_or_default(), None),
    };
    let head = head.split("::").map(str::trim).filter(|part| !part.is_empty() && *part != "self");
    let path: Vec<String> = before.iter().cloned().chain(head.map(str::to_owned)).collect();
    let Some(inside) = inside else {
        found.push(path);
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inside.char_indices().chain([(inside.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inside[start..at].trim().is_empty() {
                    expand(&path, &inside[start..at], found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// Which file a path of `from` leads to; `None` for other crates and for the root.
fn resolve<'a>(from: &File, path: &[String], files: &'a BTreeMap<Vec<String>, &File>) -> Option<&'a [String]> {
    let mut module = from.module.clone();
    let mut parts = path.iter();
    match path.first()?.as_str() {
        "crate" => {
            module.clear();
            parts.next();
        }
        "super" => {
            while parts.as_slice().first().is_some_and(|part| part == "super") {
                module.pop();
                parts.next();
            }
        }
        first => {
            module.push(first.to_owned());
            if !files.contains_key(&module) {
                return None;
            }
            module.pop();
        }
    }
    for part in parts {
        module.push(part.clone());
        if !files.contains_key(&module) {
            module.pop();
            break;
        }
    }
    files.get_key_value(&module).map(|(module, _)| module.as_slice()).filter(|module| !module.is_empty())
}

fn imports(files: &[File]) -> BTreeSet<(String, String)> {
    let by_module: BTreeMap<Vec<String>, &File> = files.iter().map(|file| (file.module.clone(), file)).collect();
    let mut found = BTreeSet::new();
    for file in files {
        for path in paths(&file.code) {
            if let Some(to) = resolve(file, &path, &by_module).filter(|to| **to != file.module[..]) {
                found.insert((file.name(), to.join("::")));
            }
        }
    }
    found
}

fn floor(module: &str) -> Option<usize> {
    let room = module.split("::").next()?;
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn wrong_directions(imports: &BTreeSet<(String, String)>) -> Vec<String> {
    let room = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
    let mut wrong = Vec::new();
    for (from, to) in imports.iter().filter(|(from, to)| !from.is_empty() && room(from) != room(to)) {
        let excepted = EXCEPTIONS.iter().any(|(a, b)| room(from) == *a && to == b);
        match (floor(from), floor(to)) {
            (Some(above), Some(below)) if above < below || (above == GROUND && below == GROUND) => {}
            _ if excepted => {}
            _ => wrong.push(format!("{from} imports {to}")),
        }
    }
    wrong
}

/// Files that reach themselves, without steps between a module and its own children.
fn circles(imports: &BTreeSet<(String, String)>) -> Vec<String> {
    let is_parent = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.starts_with("::"));
    let mut steps: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in imports.iter().filter(|(from, to)| !is_parent(from, to) && !is_parent(to, from)) {
        steps.entry(from).or_default().push(to);
    }
    let mut found = Vec::new();
    for start in steps.keys() {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&str> = steps[start].clone();
        while let Some(module) = next.pop() {
            if seen.insert(module) {
                next.extend(steps.get(module).into_iter().flatten());
            }
        }
        if seen.contains(start) {
            found.push((*start).to_owned());
        }
    }
    found
}

/// Names that the code defines.
fn defined(code: &str) -> BTreeSet<String> {
    let words: Vec<&str> = code.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
    let keywords = ["fn", "struct", "enum", "trait", "mod", "type", "const", "static", "let", "mut"];
    let after_keyword = words.windows(2).filter(|pair| keywords.contains(&pair[0])).map(|pair| pair[1].to_owned());
    // Fields and parameters.
    let before_colon = code.match_indices(": ").filter(|(at, _)| !code[..*at].ends_with(':')).map(|(at, _)| {
        code[..at].chars().rev().take_while(|c| is_word(*c)).collect::<Vec<_>>().into_iter().rev().collect()
    });
    after_keyword.chain(before_colon).collect()
}

/// `MAX_RecordsHeld` as `max`, `records`, `held`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| c != '_') {
            word.extend(c.to_lowercase());
        }
    }
    words
}

#[test]
fn imports_point_down() {
    let wrong = wrong_directions(&imports(&sources()));
    assert!(wrong.is_empty(), "against the floors of docs/ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = circles(&imports(&sources()));
    assert!(circles.is_empty(), "part of a circle:\n{}", circles.join("\n"));
}

#[test]
fn unsafe_code_stays_in_the_doors() {
    for file in sources() {
        let in_door = file.module.first().is_some_and(|room| FLOORS[0].contains(&room.as_str()));
        let is_unsafe = file.code.split(|c| !is_word(c)).any(|word| word == "unsafe");
        assert!(in_door || !is_unsafe, "unsafe in {}", file.name());
    }
}

/// Names that hold a replaced word, except those that hold a word of `allowed`.
fn against_the_glossary(files: &[File], allowed: &[&str]) -> Vec<String> {
    let is_replaced = |word: &&String| REPLACED.contains(&word.as_str()) && !allowed.contains(&word.as_str());
    let mut found = Vec::new();
    for file in files {
        for name in defined(&file.code) {
            if let Some(word) = words(&name).iter().find(is_replaced) {
                found.push(format!("{}: {name} ({word})", file.name()));
            }
        }
    }
    found
}

#[test]
fn names_keep_to_the_glossary() {
    let found = against_the_glossary(&sources(), &[]);
    assert!(found.is_empty(), "the glossary has other words:\n{}", found.join("\n"));
}

#[test]
fn names_of_the_emulator_keep_to_the_glossary() {
    // What the emulator injects on request is a fault.
    let found = against_the_glossary(&sources_in("tests/emulator/src"), &["fault"]);
    assert!(found.is_empty(), "the glossary has other words:\n{}", found.join("\n"));
}

/// The tests above can fail.
#[test]
fn what_is_wrong_is_found() {
    let file = |module: &str, source: &str| File {
        module: module.split("::").map(str::to_owned).collect(),
        code: code_of(source),
    };
    let house = [
        file("portal", "pub mod call;"),
        file("portal::call", "use crate::net;\n// use crate::client;\nlet x = \"use crate::client;\";"),
        file("net", ""),
        file("client", "use crate::portal::{call::{self}, x};\nuse std::fmt;"),
        file("push", "use crate::handler::Handler;"),
        file("handler", "fn f() { crate::push::ring() }"),
    ];
    let found = imports(&house);
    let has = |from: &str, to: &str| found.contains(&(from.to_owned(), to.to_owned()));
    assert!(has("portal::call", "net") && has("client", "portal::call") && has("client", "portal"), "{found:?}");
    assert!(!has("portal::call", "client"), "comments and texts import nothing");
    assert_eq!(wrong_directions(&found), ["handler imports push", "push imports handler"]);
    assert_eq!(circles(&found), ["handler", "push"]);
    let upward = imports(&[file("net", "use crate::portal;"), file("portal", "")]);
    assert_eq!(wrong_directions(&upward), ["net imports portal"]);
    assert_eq!(words("MAX_RecordsHeld"), ["max", "records", "held"]);
    let names = defined("struct Ledger { home: u8 } fn f(kept_file: u8) { let mut due = a::B; }");
    for name in ["Ledger", "home", "kept_file", "due"] {
        assert!(names.contains(name), "{name} in {names:?}");
    }
}
