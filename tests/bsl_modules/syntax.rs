//! Modules as they were parsed.

use std::cell::RefCell;
use std::collections::HashMap;

use tree_sitter::{Node, Parser};

use super::value::{Outcome, Value, lower, mistake};

/// A parsed module. It lives as long as the test.
pub struct Module {
    pub name: String,
    source: &'static str,
    pub routines: HashMap<String, Routine>,
    /// Variables of the module, and a form's attributes.
    pub variables: RefCell<HashMap<String, Value>>,
}

pub struct Routine {
    pub node: Node<'static>,
    pub params: Vec<Param>,
    pub is_exported: bool,
}

pub struct Param {
    pub name: String,
    pub by_value: bool,
    pub default: Option<Node<'static>>,
}

impl Module {
    pub fn parse(name: &str, source: String) -> &'static Module {
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_bsl::LANGUAGE.into()).expect("the grammar fits the parser");
        let source: &'static str = source.leak();
        let tree = Box::leak(Box::new(parser.parse(source, None).expect("a parser with a language parses")));
        assert!(!tree.root_node().has_error(), "{name} is not BSL");
        let mut module =
            Module { name: name.to_owned(), source, routines: HashMap::new(), variables: RefCell::default() };
        module.declare(tree.root_node());
        Box::leak(Box::new(module))
    }

    fn declare(&mut self, node: Node<'static>) {
        for child in children(node) {
            match child.kind() {
                "procedure_definition" | "function_definition" => {
                    let name = child.child_by_field_name("name").map_or("", |name| self.text(name));
                    let params = child.child_by_field_name("parameters").map(|params| all(params, "parameter"));
                    let param = |node: Node<'static>| Param {
                        name: node.child_by_field_name("name").map_or("", |name| self.text(name)).to_owned(),
                        by_value: node.child_by_field_name("val").is_some(),
                        default: node.child_by_field_name("def"),
                    };
                    let params = params.into_iter().flatten().map(param).collect();
                    let is_exported = child.child_by_field_name("export").is_some();
                    self.routines.insert(lower(name), Routine { node: child, params, is_exported });
                }
                "var_definition" => {
                    for variable in all(child, "variable_spec") {
                        let name = variable.child_by_field_name("name").map_or("", |name| self.text(name));
                        self.variables.borrow_mut().insert(lower(name), Value::Undefined);
                    }
                }
                "preprocessor" => self.declare(child),
                _ => {}
            }
        }
    }

    pub fn text(&self, node: Node<'_>) -> &'static str {
        &self.source[node.byte_range()]
    }

    pub fn at(&self, node: Node<'_>) -> String {
        format!("{}:{}", self.name, node.start_position().row + 1)
    }
}

pub fn children(node: Node<'static>) -> Vec<Node<'static>> {
    (0..node.child_count()).filter_map(|index| node.child(index)).collect()
}

pub fn all(node: Node<'static>, kind: &str) -> Vec<Node<'static>> {
    children(node).into_iter().filter(|child| child.kind() == kind).collect()
}

pub fn child(node: Node<'static>, kind: &str) -> Option<Node<'static>> {
    children(node).into_iter().find(|child| child.kind() == kind)
}

pub fn first(node: Node<'static>, kind: &str) -> Outcome<Node<'static>> {
    child(node, kind).map_or_else(|| mistake(format!("{} without {kind}", node.kind())), Ok)
}

pub fn named(node: Node<'static>, index: usize) -> Outcome<Node<'static>> {
    node.named_child(index).map_or_else(|| mistake(format!("{} is empty", node.kind())), Ok)
}

pub fn field(node: Node<'static>, name: &str) -> Outcome<Node<'static>> {
    node.child_by_field_name(name).map_or_else(|| mistake(format!("{} without {name}", node.kind())), Ok)
}

/// The statements directly inside of a node.
pub fn statements(node: Node<'static>) -> Vec<Node<'static>> {
    children(node).into_iter().filter(|child| child.kind().ends_with("_statement")).collect()
}

/// The expressions of the arguments; `None` where one is left out.
pub fn argument_nodes(node: Node<'static>) -> Vec<Option<Node<'static>>> {
    let mut found = vec![None];
    for child in children(node) {
        match child.kind() {
            "expression" => *found.last_mut().expect("one at least") = Some(child),
            "," | "omitted_argument" => found.push(None),
            _ => {}
        }
    }
    if matches!(found[..], [None]) { Vec::new() } else { found }
}
