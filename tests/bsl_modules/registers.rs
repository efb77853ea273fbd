//! Information registers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::{Map, Value as Json};

use super::platform::{Base, Storage};
use super::value::{Object, Outcome, Value, lower, mistake};

/// The dimensions of the registers that the examples have.
fn dimensions(register: &str) -> Outcome<&'static [&'static str]> {
    match register {
        "СделкиБитрикс24" => Ok(&["Идентификатор"]),
        "СекретыБитрикс24" => Ok(&["Потребитель", "Ключ"]),
        _ => mistake(format!("no register {register}")),
    }
}

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
            "создатьменеджерзаписи" => Ok(Value::object(Row {
                dimensions: dimensions(&register)?,
                base,
                register,
                fields: RefCell::default(),
                is_selected: Cell::new(false),
            })),
            "создатьнаборзаписей" => {
                Ok(Value::object(RecordSet { base, register, filter: Rc::default() }))
            }
            _ => mistake(format!("a register has no {name}")),
        }
    }
}

/// `МенеджерЗаписи`.
struct Row {
    base: Base,
    register: String,
    dimensions: &'static [&'static str],
    fields: RefCell<Map<String, Json>>,
    is_selected: Cell<bool>,
}

impl Row {
    fn is_same(&self, row: &Map<String, Json>) -> bool {
        let fields = self.fields.borrow();
        self.dimensions.iter().all(|dimension| row.get(*dimension) == fields.get(*dimension))
    }
}

impl Object for Row {
    fn type_name(&self) -> &'static str {
        "РегистрСведенийМенеджерЗаписи"
    }

    fn get(&self, name: &str) -> Outcome<Value> {
        let fields = self.fields.borrow();
        match fields.get(name) {
            // A resource of this type holds what was put into it.
            Some(value) if name == "Значение" => Ok(Value::object(Storage(value.clone()))),
            Some(value) => Ok(Value::from_json(value)),
            None => mistake(format!("{} has no field {name}", self.register)),
        }
    }

    fn set(&self, name: &str, value: Value) -> Outcome<()> {
        self.fields.borrow_mut().insert(name.to_owned(), value.to_json()?);
        Ok(())
    }

    fn call(&self, name: &str, _args: &[Option<Value>]) -> Outcome<Value> {
        match lower(name).as_str() {
            "прочитать" => {
                let found = self.base.with(|tables| {
                    let rows = tables.registers.get(&self.register);
                    rows.into_iter().flatten().find(|row| self.is_same(row)).cloned()
                });
                self.is_selected.set(found.is_some());
                if let Some(row) = found {
                    *self.fields.borrow_mut() = row;
                }
                Ok(Value::Undefined)
            }
            "выбран" => Ok(Value::Boolean(self.is_selected.get())),
            "записать" => {
                self.base.with(|tables| {
                    let rows = tables.registers.entry(self.register.clone()).or_default();
                    rows.retain(|row| !self.is_same(row));
                    rows.push(self.fields.borrow().clone());
                });
                Ok(Value::Undefined)
            }
            _ => mistake(format!("a record manager has no {name}")),
        }
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
