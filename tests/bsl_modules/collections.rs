//! Members of values: `Массив`, `Соответствие`, `Структура`, and whatever else is an object.

use std::rc::Rc;

use super::value::{Object, Outcome, Value, exception, lower, mistake};

/// What `Для Каждого` goes over.
pub fn items(value: &Value) -> Outcome<Vec<Value>> {
    match value {
        Value::Array(list) => Ok(list.borrow().clone()),
        Value::Map(map) => {
            let pairs = map.borrow();
            Ok(pairs.iter().map(|(key, value)| Value::object(KeyAndValue(key.clone(), value.clone()))).collect())
        }
        Value::Structure(fields) => {
            let fields = fields.borrow();
            Ok(fields
                .iter()
                .map(|(name, value)| Value::object(KeyAndValue(Value::text(name), value.clone())))
                .collect())
        }
        other => exception(format!("Итератор для значения не определен: {}", other.type_name())),
    }
}

struct KeyAndValue(Value, Value);

impl Object for KeyAndValue {
    fn type_name(&self) -> &'static str {
        "КлючИЗначение"
    }

    fn get(&self, name: &str) -> Outcome<Value> {
        match lower(name).as_str() {
            "ключ" => Ok(self.0.clone()),
            "значение" => Ok(self.1.clone()),
            _ => mistake(format!("КлючИЗначение has no {name}")),
        }
    }
}

pub fn get(owner: &Value, name: &str) -> Outcome<Value> {
    match owner {
        Value::Structure(fields) => {
            let fields = fields.borrow();
            let field = fields.iter().find(|(known, _)| lower(known) == lower(name));
            field.map_or_else(
                || exception(format!("Поле объекта не обнаружено ({name})")),
                |(_, value)| Ok(value.clone()),
            )
        }
        Value::Object(object) => object.get(name),
        other => exception(format!("Значение не является значением объектного типа ({name}): {}", other.type_name())),
    }
}

pub fn set(owner: &Value, name: &str, value: Value) -> Outcome<()> {
    match owner {
        Value::Structure(fields) => {
            let mut fields = fields.borrow_mut();
            match fields.iter_mut().find(|(known, _)| lower(known) == lower(name)) {
                Some((_, field)) => *field = value,
                None => return exception(format!("Поле объекта не обнаружено ({name})")),
            }
            Ok(())
        }
        Value::Object(object) => object.set(name, value),
        other => exception(format!("Значение не является значением объектного типа ({name}): {}", other.type_name())),
    }
}

pub fn at(owner: &Value, index: &Value) -> Outcome<Value> {
    match owner {
        Value::Array(list) => {
            let item = list.borrow().get(index.number()? as usize).cloned();
            item.map_or_else(|| exception("Индекс находится за границами массива"), Ok)
        }
        // A key that is not there gives Неопределено.
        Value::Map(map) => {
            let map = map.borrow();
            Ok(map.iter().find(|(key, _)| key.equals(index)).map_or(Value::Undefined, |(_, value)| value.clone()))
        }
        Value::Structure(_) => get(owner, &index.shown()),
        other => exception(format!("Получение элемента по индексу для значения не определено: {}", other.type_name())),
    }
}

pub fn set_at(owner: &Value, index: Value, value: Value) -> Outcome<()> {
    match owner {
        Value::Map(_) => call(owner, "Вставить", &[Some(index), Some(value)]).map(drop),
        Value::Structure(_) => set(owner, &index.shown(), value),
        other => exception(format!("Установка элемента по индексу для значения не определена: {}", other.type_name())),
    }
}

pub fn call(owner: &Value, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
    let arg = |index: usize| args.get(index).cloned().flatten().unwrap_or(Value::Undefined);
    let unknown = || mistake(format!("{} has no method {name}", owner.type_name()));
    match (owner, lower(name).as_str()) {
        (Value::Array(list), "добавить") => list.borrow_mut().push(arg(0)),
        (Value::Array(list), "очистить") => list.borrow_mut().clear(),
        (Value::Array(list), "количество") => return Ok(Value::Number(list.borrow().len() as f64)),
        (Value::Array(list), "найти") => {
            let index = list.borrow().iter().position(|value| value.equals(&arg(0)));
            return Ok(index.map_or(Value::Undefined, |index| Value::Number(index as f64)));
        }
        (Value::Map(map), "вставить") => {
            let mut map = map.borrow_mut();
            match map.iter_mut().find(|(key, _)| key.equals(&arg(0))) {
                Some((_, value)) => *value = arg(1),
                None => map.push((arg(0), arg(1))),
            }
        }
        (Value::Map(map), "получить") => return at(&Value::Map(map.clone()), &arg(0)),
        (Value::Map(map), "удалить") => map.borrow_mut().retain(|(key, _)| !key.equals(&arg(0))),
        (Value::Map(map), "очистить") => map.borrow_mut().clear(),
        (Value::Map(map), "количество") => return Ok(Value::Number(map.borrow().len() as f64)),
        (Value::Structure(fields), "вставить") => {
            let (name, mut fields) = (arg(0).shown(), fields.borrow_mut());
            match fields.iter_mut().find(|(known, _)| lower(known) == lower(&name)) {
                Some((_, value)) => *value = arg(1),
                None => fields.push((name, arg(1))),
            }
        }
        (Value::Structure(fields), "свойство") => {
            let name = lower(&arg(0).shown());
            return Ok(Value::Boolean(fields.borrow().iter().any(|(known, _)| lower(known) == name)));
        }
        (Value::Object(object), _) => return object.call(name, args),
        (Value::Array(_) | Value::Map(_) | Value::Structure(_), _) => return unknown(),
        (other, _) => {
            return exception(format!(
                "Значение не является значением объектного типа ({name}): {}",
                other.type_name()
            ));
        }
    }
    Ok(Value::Undefined)
}

/// `Новый Структура("А, Б", 1, 2)`.
pub fn structure(args: &[Option<Value>]) -> Value {
    let names = args.first().cloned().flatten().map_or(String::new(), |names| names.shown());
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    let value = |index: usize| args.get(index + 1).cloned().flatten().unwrap_or(Value::Undefined);
    let fields = names.enumerate().map(|(index, name)| (name.to_owned(), value(index)));
    Value::Structure(Rc::new(std::cell::RefCell::new(fields.collect())))
}
