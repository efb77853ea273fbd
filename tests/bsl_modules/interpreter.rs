//! Runs modules of the 1C language. Knows what the examples use; anything else is a mistake that fails the test, so that
//! nothing is skipped silently.

use std::collections::HashMap;
use std::rc::Rc;

use tree_sitter::Node;

use super::collections;
use super::functions;
use super::platform::Platform;
use super::syntax::{Module, Routine, all, argument_nodes, child, field, first, named, statements};
use super::value::{Object, Outcome, Raise, Value, exception, lower, mistake};

struct Frame {
    module: &'static Module,
    variables: HashMap<String, Value>,
    /// What `ИнформацияОбОшибке` describes.
    error: Option<String>,
}

enum Flow {
    Next,
    Break,
    Continue,
    Return(Value),
}

pub struct Interpreter {
    modules: HashMap<String, &'static Module>,
    pub platform: Platform,
}

/// A module as a value: its exported routines are its methods.
struct ModuleObject(Rc<Interpreter>, &'static Module);

impl Object for ModuleObject {
    fn type_name(&self) -> &'static str {
        "ОбщийМодуль"
    }

    fn call(&self, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
        let ModuleObject(interpreter, module) = self;
        match module.routines.get(&lower(name)) {
            Some(routine) if routine.is_exported => interpreter.run(module, routine, &mut args.to_vec()),
            _ => mistake(format!("{} exports no {name}", module.name)),
        }
    }
}

impl Interpreter {
    pub fn new(sources: Vec<(&str, String)>, platform: Platform) -> Rc<Interpreter> {
        let modules = sources.into_iter().map(|(name, source)| (lower(name), Module::parse(name, source))).collect();
        Rc::new(Interpreter { modules, platform })
    }

    /// Calls a routine of a module from outside, exported or not.
    pub fn call(self: &Rc<Self>, module: &str, routine: &str, args: Vec<Value>) -> Outcome<Value> {
        let module = self.modules[&lower(module)];
        let routine = &module.routines[&lower(routine)];
        self.run(module, routine, &mut args.into_iter().map(Some).collect::<Vec<_>>())
    }

    /// Parameters that are not `Знач` are passed by reference: their values are in `args` afterwards.
    fn run(self: &Rc<Self>, module: &'static Module, routine: &Routine, args: &mut [Option<Value>]) -> Outcome<Value> {
        if args.len() > routine.params.len() {
            return mistake(format!("too many parameters for a routine of {}", module.name));
        }
        let mut frame = Frame { module, variables: HashMap::new(), error: None };
        for (index, param) in routine.params.iter().enumerate() {
            let given = args.get(index).cloned().flatten();
            let value = match (given, param.default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.constant(module, default)?,
                (None, None) => return mistake(format!("the parameter {} is left out", param.name)),
            };
            frame.variables.insert(lower(&param.name), value);
        }
        let flow = self.block(&mut frame, statements(routine.node))?;
        for (arg, param) in args.iter_mut().zip(&routine.params) {
            if arg.is_some() && !param.by_value {
                *arg = frame.variables.get(&lower(&param.name)).cloned();
            }
        }
        Ok(match flow {
            Flow::Return(value) => value,
            _ => Value::Undefined,
        })
    }

    fn block(self: &Rc<Self>, frame: &mut Frame, nodes: Vec<Node<'static>>) -> Outcome<Flow> {
        for node in nodes {
            match self.statement(frame, node)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn statement(self: &Rc<Self>, frame: &mut Frame, node: Node<'static>) -> Outcome<Flow> {
        match node.kind() {
            "call_statement" | "await_statement" => {
                self.eval(frame, named(node, 0)?)?;
            }
            "assignment_statement" => {
                let value = self.eval(frame, field(node, "right")?)?;
                self.assign(frame, field(node, "left")?, value)?;
            }
            "return_statement" => {
                let result = node.child_by_field_name("result");
                return Ok(Flow::Return(result.map_or(Ok(Value::Undefined), |result| self.eval(frame, result))?));
            }
            "if_statement" => return self.if_statement(frame, node),
            "while_statement" => {
                let condition = first(node, "expression")?;
                while self.eval(frame, condition)?.is_true()? {
                    match self.block(frame, statements(node))? {
                        Flow::Break => break,
                        Flow::Next | Flow::Continue => {}
                        returned => return Ok(returned),
                    }
                }
            }
            "for_each_statement" => {
                let name = lower(frame.module.text(first(node, "identifier")?));
                for item in collections::items(&self.eval(frame, first(node, "expression")?)?)? {
                    frame.variables.insert(name.clone(), item);
                    match self.block(frame, statements(node))? {
                        Flow::Break => break,
                        Flow::Next | Flow::Continue => {}
                        returned => return Ok(returned),
                    }
                }
            }
            "for_statement" => {
                let name = lower(frame.module.text(first(node, "identifier")?));
                let bounds = all(node, "expression");
                let [from, to] = bounds[..] else { return mistake("for without bounds") };
                let mut number = self.eval(frame, from)?.number()?;
                while number <= self.eval(frame, to)?.number()? {
                    frame.variables.insert(name.clone(), Value::Number(number));
                    match self.block(frame, statements(node))? {
                        Flow::Break => break,
                        Flow::Next | Flow::Continue => number += 1.0,
                        returned => return Ok(returned),
                    }
                }
            }
            "try_statement" => return self.try_statement(frame, node),
            "rise_error_statement" => {
                let Some(expression) = all(node, "expression").first().copied() else {
                    return match &frame.error {
                        Some(error) => exception(error.clone()),
                        None => mistake("ВызватьИсключение without a text outside of Исключение"),
                    };
                };
                return exception(self.eval(frame, expression)?.shown());
            }
            "var_statement" => {
                for name in all(node, "identifier") {
                    frame.variables.insert(lower(frame.module.text(name)), Value::Undefined);
                }
            }
            "break_statement" => return Ok(Flow::Break),
            "continue_statement" => return Ok(Flow::Continue),
            kind => return mistake(format!("{}: unknown statement {kind}", frame.module.at(node))),
        }
        Ok(Flow::Next)
    }

    fn if_statement(self: &Rc<Self>, frame: &mut Frame, node: Node<'static>) -> Outcome<Flow> {
        if self.eval(frame, first(node, "expression")?)?.is_true()? {
            return self.block(frame, statements(node));
        }
        for clause in all(node, "elseif_clause") {
            if self.eval(frame, first(clause, "expression")?)?.is_true()? {
                return self.block(frame, statements(clause));
            }
        }
        match all(node, "else_clause").first() {
            Some(clause) => self.block(frame, statements(*clause)),
            None => Ok(Flow::Next),
        }
    }

    fn try_statement(self: &Rc<Self>, frame: &mut Frame, node: Node<'static>) -> Outcome<Flow> {
        let except = first(node, "EXCEPT_KEYWORD")?.start_byte();
        let (attempted, handler): (Vec<_>, Vec<_>) =
            statements(node).into_iter().partition(|statement| statement.start_byte() < except);
        match self.block(frame, attempted) {
            Err(Raise::Exception(text)) => {
                let outer = frame.error.replace(text);
                let flow = self.block(frame, handler);
                frame.error = outer;
                flow
            }
            other => other,
        }
    }

    fn assign(self: &Rc<Self>, frame: &mut Frame, target: Node<'static>, value: Value) -> Outcome<()> {
        if target.kind() == "identifier" {
            let name = lower(frame.module.text(target));
            let is_of_module = frame.module.variables.borrow().contains_key(&name);
            if is_of_module && !frame.variables.contains_key(&name) {
                frame.module.variables.borrow_mut().insert(name, value);
            } else {
                frame.variables.insert(name, value);
            }
            return Ok(());
        }
        let owner = self.eval(frame, first(target, "access")?)?;
        match child(target, "property") {
            Some(property) => collections::set(&owner, frame.module.text(property), value),
            None => {
                let index = self.eval(frame, first(target, "index")?)?;
                collections::set_at(&owner, index, value)
            }
        }
    }

    fn eval(self: &Rc<Self>, frame: &mut Frame, node: Node<'static>) -> Outcome<Value> {
        let text = || frame.module.text(node);
        match node.kind() {
            "expression" | "index" | "parenthesized_expression" | "const_expression" => {
                self.eval(frame, named(node, 0)?)
            }
            "await_expression" => self.eval(frame, first(node, "expression")?),
            "number" | "string" | "boolean" | "UNDEFINED_KEYWORD" => self.constant(frame.module, node),
            "identifier" => self.variable(frame, text()),
            "unary_expression" => {
                let value = self.eval(frame, field(node, "argument")?)?;
                match frame.module.text(field(node, "operator")?) {
                    "-" => Ok(Value::Number(-value.number()?)),
                    "+" => Ok(Value::Number(value.number()?)),
                    _ => Ok(Value::Boolean(!value.is_true()?)),
                }
            }
            "binary_expression" => self.binary(frame, node),
            "ternary_expression" => {
                let branch =
                    if self.eval(frame, field(node, "condition")?)?.is_true()? { "consequence" } else { "alternative" };
                self.eval(frame, field(node, branch)?)
            }
            "new_expression" => {
                let name = frame.module.text(field(node, "type")?);
                let args = self.arguments(frame, node.child_by_field_name("arguments"))?;
                self.platform.create(name, &args)
            }
            "new_expression_method" => {
                let name = self.eval(frame, field(node, "type")?)?.shown();
                self.platform.create(&name, &[])
            }
            "method_call" => self.routine_call(frame, node),
            "call_expression" | "property_access" | "access" => self.member(frame, node),
            kind => mistake(format!("{}: unknown expression {kind}", frame.module.at(node))),
        }
    }

    fn constant(&self, module: &'static Module, node: Node<'static>) -> Outcome<Value> {
        let text = module.text(node);
        Ok(match node.kind() {
            "const_expression" => return self.constant(module, named(node, 0)?),
            "number" => Value::Number(text.parse().unwrap_or_default()),
            "boolean" => Value::Boolean(matches!(lower(text).as_str(), "истина" | "true")),
            "UNDEFINED_KEYWORD" => Value::Undefined,
            "string" => {
                let parts: Vec<_> = all(node, "string_content").into_iter().map(|part| module.text(part)).collect();
                Value::text(parts.join("\n").replace("\"\"", "\""))
            }
            kind => return mistake(format!("unknown constant {kind}")),
        })
    }

    fn variable(self: &Rc<Self>, frame: &Frame, name: &str) -> Outcome<Value> {
        let key = lower(name);
        let known = frame.variables.get(&key).cloned().or_else(|| frame.module.variables.borrow().get(&key).cloned());
        if let Some(value) = known {
            return Ok(value);
        }
        if key == "этотобъект" {
            return Ok(Value::object(ModuleObject(self.clone(), frame.module)));
        }
        if let Some(module) = self.modules.get(&key) {
            return Ok(Value::object(ModuleObject(self.clone(), module)));
        }
        self.platform.global(name)
    }

    fn binary(self: &Rc<Self>, frame: &mut Frame, node: Node<'static>) -> Outcome<Value> {
        let operator = lower(frame.module.text(field(node, "operator")?));
        let left = self.eval(frame, field(node, "left")?)?;
        match (operator.as_str(), &left) {
            ("и" | "and", Value::Boolean(false)) => return Ok(Value::Boolean(false)),
            ("или" | "or", Value::Boolean(true)) => return Ok(Value::Boolean(true)),
            _ => {}
        }
        let right = self.eval(frame, field(node, "right")?)?;
        Ok(match operator.as_str() {
            "и" | "and" | "или" | "or" => Value::Boolean(left.is_true().and(right.is_true())?),
            "=" => Value::Boolean(left.equals(&right)),
            "<>" => Value::Boolean(!left.equals(&right)),
            ">" => Value::Boolean(left.number()? > right.number()?),
            "<" => Value::Boolean(left.number()? < right.number()?),
            ">=" => Value::Boolean(left.number()? >= right.number()?),
            "<=" => Value::Boolean(left.number()? <= right.number()?),
            "+" => match left {
                Value::Text(text) => Value::text(text.to_string() + &right.shown()),
                other => Value::Number(other.number()? + right.number()?),
            },
            "-" => Value::Number(left.number()? - right.number()?),
            "*" => Value::Number(left.number()? * right.number()?),
            "/" => Value::Number(left.number()? / right.number()?),
            "%" => Value::Number(left.number()? % right.number()?),
            other => return mistake(format!("unknown operator {other}")),
        })
    }

    /// `routine(…)`: one of the module, or one of the platform.
    fn routine_call(self: &Rc<Self>, frame: &mut Frame, node: Node<'static>) -> Outcome<Value> {
        let name = frame.module.text(field(node, "name")?);
        let arguments = field(node, "arguments")?;
        let mut args = self.arguments(frame, Some(arguments))?;
        let Some(routine) = frame.module.routines.get(&lower(name)) else {
            return match lower(name).as_str() {
                "информацияобошибке" => Ok(Value::text(frame.error.as_deref().unwrap_or_default())),
                _ => functions::call(&self.platform, name, &args),
            };
        };
        let result = self.run(frame.module, routine, &mut args)?;
        for (target, value) in argument_nodes(arguments).into_iter().zip(args) {
            let target = target.and_then(|expression| expression.named_child(0));
            if let (Some(target), Some(value)) = (target.filter(|target| target.kind() == "identifier"), value) {
                self.assign(frame, target, value)?;
            }
        }
        Ok(result)
    }

    /// A chain of members: `owner.method(…)`, `owner.property`, `owner[index]`, or its beginning.
    fn member(self: &Rc<Self>, frame: &mut Frame, node: Node<'static>) -> Outcome<Value> {
        let Some(owner) = child(node, "access") else { return self.eval(frame, named(node, 0)?) };
        let owner = self.eval(frame, owner)?;
        if let Some(call) = child(node, "method_call") {
            let args = self.arguments(frame, Some(field(call, "arguments")?))?;
            return collections::call(&owner, frame.module.text(field(call, "name")?), &args);
        }
        if let Some(property) = child(node, "property") {
            return collections::get(&owner, frame.module.text(property));
        }
        let index = self.eval(frame, first(node, "index")?)?;
        collections::at(&owner, &index)
    }

    fn arguments(self: &Rc<Self>, frame: &mut Frame, node: Option<Node<'static>>) -> Outcome<Vec<Option<Value>>> {
        let nodes = node.map(argument_nodes).unwrap_or_default();
        nodes.into_iter().map(|node| node.map(|node| self.eval(frame, node)).transpose()).collect()
    }
}
