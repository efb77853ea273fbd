//! Values of the 1C language.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Map, Number, Value as Json};

/// Why a statement did not complete.
#[derive(Debug)]
pub enum Raise {
    /// `ВызватьИсключение`, or an exception of the platform or of the component: `Попытка` catches it.
    Exception(String),
    /// The module uses what 1C does not have, or what this interpreter does not know. Nothing catches it.
    Mistake(String),
}

pub type Outcome<T> = Result<T, Raise>;

pub fn mistake<T>(text: impl Into<String>) -> Outcome<T> {
    Err(Raise::Mistake(text.into()))
}

pub fn exception<T>(text: impl Into<String>) -> Outcome<T> {
    Err(Raise::Exception(text.into()))
}

#[derive(Clone)]
pub enum Value {
    Undefined,
    Boolean(bool),
    Number(f64),
    Text(Rc<str>),
    Type(&'static str),
    Array(Rc<RefCell<Vec<Value>>>),
    /// `Соответствие`.
    Map(Rc<RefCell<Vec<(Value, Value)>>>),
    /// `Структура`; names are compared without regard to case.
    Structure(Rc<RefCell<Vec<(String, Value)>>>),
    Object(Rc<dyn Object>),
}

/// Anything that has members.
pub trait Object {
    fn type_name(&self) -> &'static str;

    fn get(&self, name: &str) -> Outcome<Value> {
        mistake(format!("{} has no property {name}", self.type_name()))
    }

    fn set(&self, name: &str, _value: Value) -> Outcome<()> {
        mistake(format!("{} has no property {name} that can be written", self.type_name()))
    }

    /// `None`: a parameter that was left out.
    fn call(&self, name: &str, _args: &[Option<Value>]) -> Outcome<Value> {
        mistake(format!("{} has no method {name}", self.type_name()))
    }
}

impl Value {
    pub fn text(text: impl AsRef<str>) -> Value {
        Value::Text(text.as_ref().into())
    }

    pub fn object(object: impl Object + 'static) -> Value {
        Value::Object(Rc::new(object))
    }

    pub fn array(values: Vec<Value>) -> Value {
        Value::Array(Rc::new(RefCell::new(values)))
    }

    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Undefined => "Неопределено",
            Value::Boolean(_) => "Булево",
            Value::Number(_) => "Число",
            Value::Text(_) => "Строка",
            Value::Type(_) => "Тип",
            Value::Array(_) => "Массив",
            Value::Map(_) => "Соответствие",
            Value::Structure(_) => "Структура",
            Value::Object(object) => object.type_name(),
        }
    }

    /// `Строка(…)`: digits are grouped, as the platform does.
    pub fn shown(&self) -> String {
        match self {
            Value::Undefined => String::new(),
            Value::Boolean(yes) => if *yes { "Да" } else { "Нет" }.into(),
            Value::Number(number) => grouped(*number),
            Value::Text(text) => text.to_string(),
            Value::Type(name) => (*name).into(),
            other => other.type_name().into(),
        }
    }

    /// `XMLСтрока(…)`.
    pub fn xml(&self) -> Outcome<String> {
        match self {
            Value::Undefined => Ok(String::new()),
            Value::Boolean(yes) => Ok(yes.to_string()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Text(text) => Ok(text.to_string()),
            other => exception(format!("XMLСтрока: {}", other.type_name())),
        }
    }

    pub fn is_true(&self) -> Outcome<bool> {
        match self {
            Value::Boolean(yes) => Ok(*yes),
            other => exception(format!(
                "Преобразование значения к типу Булево не может быть выполнено: {}",
                other.type_name()
            )),
        }
    }

    pub fn number(&self) -> Outcome<f64> {
        match self {
            Value::Number(number) => Ok(*number),
            other => exception(format!(
                "Преобразование значения к типу Число не может быть выполнено: {}",
                other.type_name()
            )),
        }
    }

    /// `ЗначениеЗаполнено`.
    pub fn is_filled(&self) -> bool {
        match self {
            Value::Undefined => false,
            Value::Boolean(_) | Value::Type(_) | Value::Object(_) => true,
            Value::Number(number) => *number != 0.0,
            Value::Text(text) => !text.trim().is_empty(),
            Value::Array(list) => !list.borrow().is_empty(),
            Value::Map(map) => !map.borrow().is_empty(),
            Value::Structure(fields) => !fields.borrow().is_empty(),
        }
    }

    /// `=`: objects are equal only to themselves.
    pub fn equals(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Undefined, Value::Undefined) => true,
            (Value::Boolean(a), Value::Boolean(b)) => a == b,
            (Value::Number(a), Value::Number(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Type(a), Value::Type(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => Rc::ptr_eq(a, b),
            (Value::Map(a), Value::Map(b)) => Rc::ptr_eq(a, b),
            (Value::Structure(a), Value::Structure(b)) => Rc::ptr_eq(a, b),
            (Value::Object(a), Value::Object(b)) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// What is stored or sent.
    pub fn to_json(&self) -> Outcome<Json> {
        Ok(match self {
            Value::Undefined => Json::Null,
            Value::Boolean(yes) => Json::Bool(*yes),
            Value::Number(number) if number.fract() == 0.0 => Json::from(*number as i64),
            Value::Number(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Value::Text(text) => Json::String(text.to_string()),
            Value::Array(list) => Json::Array(list.borrow().iter().map(Value::to_json).collect::<Outcome<_>>()?),
            Value::Map(map) => {
                let pair = |(key, value): &(Value, Value)| Ok((key.shown(), value.to_json()?));
                Json::Object(map.borrow().iter().map(pair).collect::<Outcome<Map<_, _>>>()?)
            }
            Value::Structure(fields) => {
                let pair = |(name, value): &(String, Value)| Ok((name.clone(), value.to_json()?));
                Json::Object(fields.borrow().iter().map(pair).collect::<Outcome<Map<_, _>>>()?)
            }
            Value::Object(object) if object.type_name() == "ХранилищеЗначения" => {
                return object.call("Получить", &[])?.to_json();
            }
            Value::Type(_) | Value::Object(_) => return exception(format!("{} нельзя записать", self.type_name())),
        })
    }

    /// Objects become `Соответствие`.
    pub fn from_json(json: &Json) -> Value {
        match json {
            Json::Null => Value::Undefined,
            Json::Bool(yes) => Value::Boolean(*yes),
            Json::Number(number) => Value::Number(number.as_f64().unwrap_or_default()),
            Json::String(text) => Value::text(text),
            Json::Array(list) => Value::array(list.iter().map(Value::from_json).collect()),
            Json::Object(map) => {
                let pairs = map.iter().map(|(key, value)| (Value::text(key), Value::from_json(value)));
                Value::Map(Rc::new(RefCell::new(pairs.collect())))
            }
        }
    }
}

/// A number as the platform shows it: three digits at a time, with a space between them that does not break.
fn grouped(number: f64) -> String {
    let text = number.to_string().replace('.', ",");
    let (whole, fraction) = text.split_once(',').map_or((text.as_str(), ""), |(whole, fraction)| (whole, fraction));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut shown = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            shown.push('\u{a0}');
        }
        shown.push(digit);
    }
    if !fraction.is_empty() {
        shown.push(',');
        shown.push_str(fraction);
    }
    shown
}

pub fn lower(name: &str) -> String {
    name.to_lowercase()
}
