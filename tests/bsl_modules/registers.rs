//! Information registers with one dimension, `Идентификатор`.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Map, Value as Json};

use super::platform::Base;
use super::value::{Object, Outcome, Value, lower, mistake};

/// `РегистрыСведений`.
pub struct Registers(pub Base);

impl Object for Registers {
    fn type_name(&self) -> &'static str {
        "РегистрыСведенийМенеджер"
    }

    fn get(&self, name: &str) -> Outcome<Value> {
        Ok(Value::object(Register(self.0.clone(), name.into())))
    }
}

struct Register(Base, String);

impl Object for Register {
    fn type_name(&self) -> &'static str {
        "РегистрСведенийМенеджер"
    }

    fn call(&self, name: &str, _args: &[Option<Value>]) -> Outcome<Value> {
        let (base, register) = (self.0.clone(), self.1.clone());
        match lower(name).as_str() {
            "создатьменеджерзаписи" => {
                Ok(Value::object(Row { base, register, fields: RefCell::default() }))
            }
            "создатьнаборзаписей" => {
                Ok(Value::object(RecordSet { base, register, filter: Rc::default() }))
            }
            _ => mistake(format!("a register has no {name}")),
        }
    }
}

/// `МенеджерЗаписи`. The first field that is set is the dimension.
struct Row {
    base: Base,
    register: String,
    fields: RefCell<Map<String, Json>>,
}

impl Object for Row {
    fn type_name(&self) -> &'static str {
        "РегистрСведенийМенеджерЗаписи"
    }

    fn set(&self, name: &str, value: Value) -> Outcome<()> {
        self.fields.borrow_mut().insert(name.to_owned(), value.to_json()?);
        Ok(())
    }

    fn call(&self, name: &str, _args: &[Option<Value>]) -> Outcome<Value> {
        if lower(name) != "записать" {
            return mistake(format!("a record manager has no {name}"));
        }
        let fields = self.fields.borrow().clone();
        let id = fields.get("Идентификатор").cloned();
        self.base.with(|tables| {
            let rows = tables.registers.entry(self.register.clone()).or_default();
            rows.retain(|row| row.get("Идентификатор") != id.as_ref());
            rows.push(fields);
        });
        Ok(Value::Undefined)
    }
}

/// `НаборЗаписей` with a filter on the dimension, written empty: it deletes.
struct RecordSet {
    base: Base,
    register: String,
    filter: Rc<RefCell<Option<Json>>>,
}

impl Object for RecordSet {
    fn type_name(&self) -> &'static str {
        "РегистрСведенийНаборЗаписей"
    }

    fn get(&self, name: &str) -> Outcome<Value> {
        if lower(name) == "отбор" {
            Ok(Value::object(Filter(self.filter.clone())))
        } else {
            mistake(format!("a record set has no {name}"))
        }
    }

    fn call(&self, name: &str, _args: &[Option<Value>]) -> Outcome<Value> {
        let Some(id) = self.filter.borrow().clone() else { return mistake("the whole register would be deleted") };
        if lower(name) != "записать" {
            return mistake(format!("a record set has no {name}"));
        }
        self.base.with(|tables| {
            let rows = tables.registers.entry(self.register.clone()).or_default();
            rows.retain(|row| row.get("Идентификатор") != Some(&id));
        });
        Ok(Value::Undefined)
    }
}

/// `Набор.Отбор.Идентификатор.Установить(…)`.
struct Filter(Rc<RefCell<Option<Json>>>);

impl Object for Filter {
    fn type_name(&self) -> &'static str {
        "Отбор"
    }

    fn get(&self, name: &str) -> Outcome<Value> {
        match lower(name).as_str() {
            "идентификатор" => Ok(Value::object(Filter(self.0.clone()))),
            _ => mistake(format!("no dimension {name}")),
        }
    }

    fn call(&self, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
        match (lower(name).as_str(), args) {
            ("установить", [Some(value)]) => {
                *self.0.borrow_mut() = Some(value.to_json()?);
                Ok(Value::Undefined)
            }
            _ => mistake(format!("a filter has no {name}")),
        }
    }
}
