//! The modules of `examples_1c/` and the BSL blocks of both Russian README files: they are BSL, and what they call on
//! the component exists in the class with that number of parameters.
//!
//! A variable whose name ends in `Компонента` holds the component. The test also checks that every object created with
//! `Новый("AddIn…")` goes into such a variable, so that none escapes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use b24events::addin::class::{DefaultValue, METHODS, PROPERTIES, Property, markdown};
use b24events::config::{self, Config};
use tree_sitter::{Node, Parser};

#[test]
fn modules_are_bsl_and_use_only_what_the_class_has() {
    let modules = modules();
    assert!(modules.len() >= 3, "{modules:?}");
    let mut used = BTreeSet::new();
    for path in modules {
        let source = fs::read_to_string(&path).unwrap();
        let found = check(&source);
        assert!(found.errors.is_empty(), "{}:\n{}", path.display(), found.errors.join("\n"));
        used.extend(found.used);
    }
    // The calls that both ways of working need. A walk that finds nothing would pass everything.
    for name in
        ["NextBatch", "Acknowledge", "MarkFailed", "CallMethod", "EnableNotifications", "State", "LastErrorCode"]
    {
        assert!(used.contains(name), "the examples do not show {name}, only {used:?}");
    }
}

#[test]
fn blocks_of_the_readmes_are_bsl_and_use_only_what_the_class_has() {
    for readme in ["README.ru.md", "examples_1c/README.ru.md"] {
        let text = fs::read_to_string(root().join(readme)).unwrap();
        let blocks: Vec<_> = text.split("```bsl\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(!blocks.is_empty(), "{readme}");
        for block in blocks {
            let found = check(block);
            assert!(found.errors.is_empty(), "{readme}:\n{block}\n{}", found.errors.join("\n"));
        }
    }
}

/// `B24_WRITE=1` updates it.
#[test]
fn the_reference_in_the_readme_is_the_class_table() {
    const START: &str = "<!-- из таблицы класса: B24_WRITE=1 cargo test --test examples_1c -->\n";
    const END: &str = "<!-- конец таблицы класса -->";
    let path = root().join("examples_1c/README.ru.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(START).expect("the mark before the table");
    let (table, after) = rest.split_once(END).expect("the mark after the table");
    let expected = format!("\n{}\n", markdown(true));
    if std::env::var_os("B24_WRITE").is_some() {
        fs::write(&path, format!("{before}{START}{expected}{END}{after}")).unwrap();
    } else {
        assert!(table == expected, "the table is out of date: B24_WRITE=1 cargo test --test examples_1c");
    }
}

#[test]
fn errors_that_the_readme_explains_are_texts_of_the_library() {
    let text = fs::read_to_string(root().join("examples_1c/README.ru.md")).unwrap();
    let sources: String = ["addin/russian.rs", "portal/refusal/table.rs", "state/store.rs", "delivery/batch.rs"]
        .map(|file| fs::read_to_string(root().join("src").join(file)).unwrap())
        // A text that spans lines in the source is one line for the reader.
        .map(|source| joined_lines(&source))
        .concat();
    let quoted: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("| «")?.split_once('»')).collect();
    assert!(quoted.len() >= 10, "{quoted:?}");
    for (error, _) in quoted {
        // `…` stands for the part that varies.
        for part in error.split('…').map(str::trim).filter(|part| !part.is_empty()) {
            assert!(sources.contains(part), "no error has the text {part:?}");
        }
    }
}

#[test]
fn the_check_finds_what_is_wrong() {
    for (wrong, expected) in [
        ("Если Истина Тогда", "is not BSL"),
        ("Процедура А(", "is not BSL"),
        ("Компонента.Подключитьь(1);", "no method Подключитьь"),
        ("Компонента.Подключить(1, 2);", "Подключить: 2 parameters, takes 0 to 1"),
        ("Компонента.Отключить(1);", "Отключить: 1 parameters, takes 0 to 0"),
        ("Компонента.ОтметитьОшибочные(Пакет);", "ОтметитьОшибочные: 1 parameters, takes 2 to 2"),
        ("Компонента.ОтметитьОшибочные(, Ид);", "ОтметитьОшибочные: parameter 1 is left out"),
        ("Т = Ждать Компонента.СледующийПакетАсинх(1, 2);", "СледующийПакетАсинх: 2 parameters, takes 0 to 1"),
        ("НоваяКомпонента.НачатьВызовПодключить();", "НачатьВызовПодключить: 0 parameters, takes 1 to 2"),
        ("Форма.Компонента.НетТакого();", "no method НетТакого"),
        ("Т = Компонента.НетТакого()[0];", "no method НетТакого"),
        ("Т = Компонента.НетТакого.Длина;", "no property НетТакого"),
        ("Т = Разобрать(Компонента.Fetch(1, 2));", "Fetch: 2 parameters"),
        ("Т = Компонента.Состояние2;", "no property Состояние2"),
        ("Компонента.Версия = 1;", "Версия can only be read"),
        ("Компонента.НачатьУстановкуВерсия(О, 1);", "Версия can only be read"),
        ("Т = Компонента.Состояние();", "no method Состояние"),
        ("Сообщить(Компонента.Подключить);", "no property Подключить"),
        ("Компонента.УстановитьПараметр(\"portal.adress\", А);", "no key portal.adress"),
        ("Параметры.Вставить(\"auth.token\", А);", "no key auth.token"),
        ("Объекты.Добавить(Новый(\"AddIn.B24.B24Events\"));", "is not called …Компонента"),
        ("Объект = Новый(\"AddIn.B24.B24Events\");", "is not called …Компонента"),
        ("Компонента = Новый(\"AddIn.B24.Events\");", "not the class"),
        ("Б24.Подтвердить(Пакет);", "Подтвердить is called on what is not called …Компонента"),
    ] {
        let errors = check(wrong).errors;
        assert!(errors.iter().any(|error| error.contains(expected)), "{wrong}: {errors:?}");
    }
    for right in [
        "компонента.NextBatch();",
        "Т = Компонента.СледующийПакет(30000);",
        "Компонента.Подтвердить(Пакет[\"batch_id\"]);",
        "Компонента.Состояние = \"\";",
        "Ждать Компонента.ПодключитьАсинх();",
        "Компонента.НачатьВызовПодключить(Оповещение, 1);",
        "Компонента.НачатьПолучениеСостояние(Оповещение);",
        "Компонента.УстановитьПараметр(\"portal.url\", \"https://my.bitrix24.ru\");",
        "Компонента.ВызватьМетод(\"crm.deal.get\", \"{}\");",
        "Возврат Новый(\"AddIn.B24.B24Events\");",
    ] {
        assert_eq!(check(right).errors, Vec::<String>::new(), "{right}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn modules() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("examples_1c")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "bsl")).collect()
}

/// Rust source whose string literals are not broken by `\` at the end of a line, and without `\` before quotes.
fn joined_lines(source: &str) -> String {
    let mut parts = source.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start()).replace("\\\"", "\"")
}

/// What a module calls on the component, by English names, and what is wrong with it.
#[derive(Default)]
struct Found {
    used: BTreeSet<&'static str>,
    errors: Vec<String>,
}

fn check(source: &str) -> Found {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_bsl::LANGUAGE.into()).expect("the grammar fits the parser");
    let tree = parser.parse(source, None).expect("a parser with a language parses");
    let mut walk = Walk { source, found: Found::default() };
    walk.visit(tree.root_node());
    walk.found
}

struct Walk<'a> {
    source: &'a str,
    found: Found,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, node: Node<'a>) {
        if node.is_error() || node.is_missing() {
            self.report(node, "is not BSL".into());
        }
        match node.kind() {
            "call_expression" => self.call(node),
            "property_access" => self.property(node),
            // The beginning of a chain such as `Компонента.ВызватьМетод("profile").Длина`: a call, a property or a
            // name.
            "access" => {
                self.call(node);
                self.property(node);
            }
            "new_expression_method" => self.new_object(node),
            "string_content" => self.string(node),
            _ => {}
        }
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            self.visit(child);
        }
    }

    /// `receiver.method(arguments)`.
    fn call(&mut self, node: Node<'a>) {
        let (Some(receiver), Some(call)) = (child(node, "access"), child(node, "method_call")) else { return };
        let name = call.child_by_field_name("name").map_or("", |name| self.text(name));
        let arguments = call.child_by_field_name("arguments").map(arguments).unwrap_or_default();
        if !self.is_component(receiver) {
            if find_method(name).is_some() {
                self.report(node, format!("{name} is called on what is not called …Компонента"));
            }
            return;
        }
        // Properties are read and written without blocking through these two; a callback comes first.
        for (prefix, writes) in [("НачатьПолучение", false), ("НачатьУстановку", true)] {
            if let Some(property) = name.strip_prefix(prefix).and_then(find_property) {
                self.count(node, name, &arguments, 1 + usize::from(writes), 1 + usize::from(writes));
                return self.access(node, property, writes);
            }
        }
        // Of each method the platform makes `…Асинх` and, with a callback as the first parameter, `НачатьВызов…`.
        let with_callback = name.strip_prefix("НачатьВызов").and_then(find_method).map(|method| (method, 1));
        let plain = find_method(name).or_else(|| name.strip_suffix("Асинх").and_then(find_method));
        let Some((method, extra)) = plain.map(|method| (method, 0)).or(with_callback) else {
            return self.report(node, format!("the class has no method {name}"));
        };
        self.found.used.insert(method.english);
        let required = method.params.iter().filter(|param| param.default == DefaultValue::Required).count();
        self.count(node, name, &arguments, required + extra, method.params.len() + extra);
    }

    fn count(&mut self, node: Node<'a>, name: &str, arguments: &[bool], required: usize, all: usize) {
        let given = arguments.len();
        if !(required..=all).contains(&given) {
            self.report(node, format!("{name}: {given} parameters, takes {required} to {all}"));
        } else if let Some(left_out) = arguments[..required].iter().position(|is_given| !is_given) {
            self.report(node, format!("{name}: parameter {} is left out", left_out + 1));
        }
    }

    /// `receiver.property`, read or written.
    fn property(&mut self, node: Node<'a>) {
        let (Some(receiver), Some(name)) = (child(node, "access"), child(node, "property")) else { return };
        if !self.is_component(receiver) {
            return;
        }
        let name = self.text(name);
        let Some(property) = find_property(name) else {
            return self.report(node, format!("the class has no property {name}"));
        };
        let left = node.parent().filter(|parent| parent.kind() == "assignment_statement");
        self.access(node, property, left.and_then(|parent| parent.child_by_field_name("left")) == Some(node));
    }

    fn access(&mut self, node: Node<'a>, property: &'static Property, writes: bool) {
        self.found.used.insert(property.english);
        if writes && !property.is_writable {
            self.report(node, format!("{} can only be read", property.russian));
        }
    }

    /// `Новый("AddIn.B24.B24Events")` goes into a variable that is named accordingly, or is returned to the caller.
    fn new_object(&mut self, node: Node<'a>) {
        let name = node.child_by_field_name("type").map_or("", |name| self.text(name)).trim_matches('"');
        if !name.starts_with("AddIn.") {
            return;
        }
        if name != "AddIn.B24.B24Events" {
            self.report(node, format!("{name} is not the class"));
        }
        let statement = node.parent().and_then(|expression| expression.parent());
        let is_fine = statement.is_some_and(|statement| match statement.child_by_field_name("left") {
            Some(left) => is_component_name(self.text(left)),
            None => statement.kind() == "return_statement",
        });
        if !is_fine {
            self.report(node, "the object is not called …Компонента".into());
        }
    }

    /// A string that looks like a configuration key has to be one; so has the first argument of `УстановитьПараметр`.
    fn string(&mut self, node: Node<'a>) {
        let text = self.text(node);
        let looks_like_a_key = text.split_once('.').is_some_and(|(group, rest)| {
            groups().contains(group) && rest.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        });
        if (looks_like_a_key || self.is_key_parameter(node)) && Config::new().get(text).is_err() {
            self.report(node, format!("there is no key {text}"));
        }
    }

    fn is_key_parameter(&self, content: Node<'a>) -> bool {
        let mut node = content;
        while let Some(parent) = node.parent() {
            if parent.kind() == "arguments" {
                let name = parent.parent().and_then(|call| call.child_by_field_name("name"));
                let name = name.map_or("", |name| self.text(name)).trim_end_matches("Асинх");
                let is_first = parent.named_child(0) == Some(node);
                return is_first && matches!(find_method(name), Some(it) if it.english.ends_with("etParameter"));
            }
            node = parent;
        }
        false
    }

    fn is_component(&self, receiver: Node<'a>) -> bool {
        let last = receiver.child(receiver.child_count().saturating_sub(1)).unwrap_or(receiver);
        matches!(last.kind(), "identifier" | "property") && is_component_name(self.text(last))
    }

    fn text(&self, node: Node<'a>) -> &'a str {
        &self.source[node.byte_range()]
    }

    fn report(&mut self, node: Node<'a>, text: String) {
        let line = self.source.lines().nth(node.start_position().row).unwrap_or_default().trim();
        self.found.errors.push(format!("line {}: {text}: {line}", node.start_position().row + 1));
    }
}

fn child<'a>(node: Node<'a>, kind: &str) -> Option<Node<'a>> {
    let mut cursor = node.walk();
    node.children(&mut cursor).find(|child| child.kind() == kind)
}

/// For each parameter whether it is given; `(1, , 2)` leaves the second one out.
fn arguments(node: Node<'_>) -> Vec<bool> {
    let mut given = vec![false];
    let mut cursor = node.walk();
    for child in node.children(&mut cursor) {
        match child.kind() {
            "expression" => *given.last_mut().expect("one at least") = true,
            "," | "omitted_argument" => given.push(false),
            _ => {}
        }
    }
    if given == [false] { Vec::new() } else { given }
}

fn is_component_name(name: &str) -> bool {
    name.to_lowercase().ends_with("компонента")
}

fn find_method(name: &str) -> Option<&'static b24events::addin::class::Method> {
    METHODS.iter().find(|it| same(it.english, name) || same(it.russian, name))
}

fn find_property(name: &str) -> Option<&'static Property> {
    PROPERTIES.iter().find(|it| same(it.english, name) || same(it.russian, name))
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// The first parts of the configuration keys.
fn groups() -> BTreeSet<String> {
    let page = config::markdown();
    let keys = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('.'));
    keys.map(|(group, _)| group.to_owned()).collect()
}
