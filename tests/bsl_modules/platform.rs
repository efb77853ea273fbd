//! The platform and the information base around the modules: constants, registers, the safe storage of the library of
//! standard subsystems, the event log, JSON, and components.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use addin1c_test::TestAddinLib;
use serde_json::{Map, Value as Json};

use super::collections::structure;
use super::component::Component;
use super::registers::Registers;
use super::value::{Object, Outcome, Value, exception, lower, mistake};

/// What outlives a session and is seen by all of them: the data of the information base. Shared with the test's thread.
#[derive(Clone, Default)]
pub struct Base(Arc<Mutex<Tables>>);

#[derive(Default)]
pub struct Tables {
    pub constants: BTreeMap<String, Json>,
    /// Register, then row; all dimensions and resources of a row are in it.
    pub registers: BTreeMap<String, Vec<Map<String, Json>>>,
    /// By owner and key.
    pub secrets: BTreeMap<(String, String), Json>,
    /// Level and text.
    pub log: Vec<(String, String)>,
    /// Methods and keys of background jobs that were started.
    pub jobs: Vec<(String, String)>,
    /// Whether the library of standard subsystems is part of the configuration.
    pub has_standard_subsystems: bool,
    /// `СтрокаСоединенияИнформационнойБазы`.
    pub connection: String,
}

impl Base {
    pub fn with<T>(&self, use_it: impl FnOnce(&mut Tables) -> T) -> T {
        use_it(&mut self.0.lock().unwrap())
    }
}

pub struct Platform {
    base: Base,
    library: &'static TestAddinLib,
}

impl Platform {
    pub fn new(base: Base, library: &'static TestAddinLib) -> Platform {
        Platform { base, library }
    }

    pub fn log(&self, level: &str, text: &str) {
        self.base.with(|tables| tables.log.push((level.to_owned(), text.to_owned())));
    }

    /// `Новый Имя(…)`.
    pub fn create(&self, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
        Ok(match lower(name).as_str() {
            "массив" => Value::array(Vec::new()),
            "соответствие" => Value::Map(Default::default()),
            "структура" => structure(args),
            "чтениеjson" | "записьjson" => Value::object(JsonText(RefCell::default())),
            "хранилищезначения" => {
                let kept = args.first().cloned().flatten().unwrap_or(Value::Undefined);
                Value::object(Storage(kept.to_json()?))
            }
            "параметрызаписиjson" => Value::object(Words("ПараметрыЗаписиJSON")),
            "addin.b24.b24events" => Value::object(Component::new(self.library)?),
            _ => return mistake(format!("unknown type {name}")),
        })
    }

    /// A name that is neither a variable nor a module.
    pub fn global(&self, name: &str) -> Outcome<Value> {
        Ok(match lower(name).as_str() {
            "константы" => Value::object(Constants(self.base.clone())),
            "регистрысведений" => Value::object(Registers(self.base.clone())),
            "общегоназначения" => Value::object(CommonPurpose(self.base.clone())),
            "обработкаошибок" => Value::object(ErrorProcessing),
            "фоновыезадания" => Value::object(BackgroundJobs(self.base.clone())),
            "метаданные" => Value::object(Metadata(self.base.clone())),
            "символы" => Value::object(Symbols),
            "типвнешнейкомпоненты" => Value::object(Words("ТипВнешнейКомпоненты")),
            "типподключениявнешнейкомпоненты" => {
                Value::object(Words("ТипПодключенияВнешнейКомпоненты"))
            }
            "уровеньжурналарегистрации" => Value::object(Words("УровеньЖурналаРегистрации")),
            "способкодированиястроки" => Value::object(Words("СпособКодированияСтроки")),
            "переносстрокjson" => Value::object(Words("ПереносСтрокJSON")),
            _ => return mistake(format!("the variable {name} has no value")),
        })
    }

    /// A function that needs the information base.
    pub fn function(&self, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
        let shown = |index: usize| args.get(index).cloned().flatten().map_or(String::new(), |value| value.shown());
        Ok(match lower(name).as_str() {
            "подключитьвнешнююкомпоненту" => Value::Boolean(true),
            "строкасоединенияинформационнойбазы" => {
                Value::text(self.base.with(|tables| tables.connection.clone()))
            }
            "вычислить" => self.global(&shown(0))?,
            "транзакцияактивна" => Value::Boolean(false),
            "установитьпривилегированныйрежим" => Value::Undefined,
            "записьжурналарегистрации" => {
                self.log(&shown(1), &shown(4));
                Value::Undefined
            }
            // The session's own job never ends while it waits for it, so this is a pause.
            "получитьтекущийсеансинформационнойбазы" => Value::object(Session),
            _ => return mistake(format!("unknown function {name}")),
        })
    }
}

/// `ЧтениеJSON`, `ЗаписьJSON`.
struct JsonText(RefCell<String>);

impl Object for JsonText {
    fn type_name(&self) -> &'static str {
        "ЧтениеJSON"
    }

    fn call(&self, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
        match lower(name).as_str() {
            // A writer gets parameters here, a reader its text.
            "установитьстроку" => {
                if let Some(Some(Value::Text(text))) = args.first() {
                    *self.0.borrow_mut() = text.to_string();
                }
                Ok(Value::Undefined)
            }
            "закрыть" => Ok(Value::text(self.0.take())),
            _ => mistake(format!("JSON has no method {name}")),
        }
    }

    fn get(&self, name: &str) -> Outcome<Value> {
        if name == "\0text" { Ok(Value::text(&*self.0.borrow())) } else { mistake(format!("JSON has no {name}")) }
    }

    fn set(&self, name: &str, value: Value) -> Outcome<()> {
        if name != "\0text" {
            return mistake(format!("JSON has no {name}"));
        }
        *self.0.borrow_mut() = value.shown();
        Ok(())
    }
}

pub fn reader_text(reader: &Value) -> Outcome<String> {
    super::collections::get(reader, "\0text").map(|text| text.shown())
}

pub fn write_json(writer: &Value, json: &Json) -> Outcome<()> {
    super::collections::set(writer, "\0text", Value::text(json.to_string()))
}

/// An enumeration of the platform: each of its words is a text.
struct Words(&'static str);

impl Object for Words {
    fn type_name(&self) -> &'static str {
        self.0
    }

    fn get(&self, name: &str) -> Outcome<Value> {
        Ok(Value::text(name))
    }
}

struct Symbols;

impl Object for Symbols {
    fn type_name(&self) -> &'static str {
        "Символы"
    }

    fn get(&self, name: &str) -> Outcome<Value> {
        if lower(name) == "пс" { Ok(Value::text("\n")) } else { mistake(format!("Символы has no {name}")) }
    }
}

struct ErrorProcessing;

impl Object for ErrorProcessing {
    fn type_name(&self) -> &'static str {
        "ОбработкаОшибок"
    }

    fn call(&self, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
        match lower(name).as_str() {
            "подробноепредставлениеошибки" | "краткоепредставлениеошибки" => {
                Ok(args.first().cloned().flatten().unwrap_or(Value::Undefined))
            }
            _ => mistake(format!("ОбработкаОшибок has no {name}")),
        }
    }
}

struct Metadata(Base);

impl Object for Metadata {
    fn type_name(&self) -> &'static str {
        "Метаданные"
    }

    fn get(&self, name: &str) -> Outcome<Value> {
        match lower(name).as_str() {
            "общиемодули" => Ok(Value::object(Metadata(self.0.clone()))),
            "регламентныезадания" => Ok(Value::Map(Rc::default())),
            _ => mistake(format!("Метаданные has no {name}")),
        }
    }

    fn call(&self, name: &str, _args: &[Option<Value>]) -> Outcome<Value> {
        match (lower(name).as_str(), self.0.with(|tables| tables.has_standard_subsystems)) {
            ("найти", true) => Ok(Value::object(Metadata(self.0.clone()))),
            ("найти", false) => Ok(Value::Undefined),
            _ => mistake(format!("metadata has no {name}")),
        }
    }
}

struct Session;

impl Object for Session {
    fn type_name(&self) -> &'static str {
        "СеансИнформационнойБазы"
    }

    fn call(&self, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
        match lower(name).as_str() {
            "получитьфоновоезадание" => Ok(Value::object(Session)),
            "ожидатьзавершениявыполнения" => {
                let seconds = args.first().cloned().flatten().map_or(Ok(0.0), |seconds| seconds.number())?;
                // The modules count in seconds; a test need not.
                std::thread::sleep(std::time::Duration::from_secs_f64(seconds / 100.0));
                Ok(Value::Undefined)
            }
            _ => mistake(format!("a session has no {name}")),
        }
    }
}

struct BackgroundJobs(Base);

impl Object for BackgroundJobs {
    fn type_name(&self) -> &'static str {
        "ФоновыеЗадания"
    }

    fn call(&self, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
        let shown = |index: usize| args.get(index).cloned().flatten().map_or(String::new(), |value| value.shown());
        if lower(name) != "выполнить" {
            return mistake(format!("ФоновыеЗадания has no {name}"));
        }
        let job = (shown(0), shown(2));
        self.0.with(|tables| {
            if tables.jobs.iter().any(|(_, key)| *key == job.1) {
                return exception("Фоновое задание с таким значением ключа уже выполняется");
            }
            tables.jobs.push(job);
            Ok(Value::Undefined)
        })
    }
}

struct Constants(Base);

impl Object for Constants {
    fn type_name(&self) -> &'static str {
        "КонстантыМенеджер"
    }

    fn get(&self, name: &str) -> Outcome<Value> {
        let is_known = self.0.with(|tables| tables.constants.contains_key(name));
        if is_known {
            Ok(Value::object(Constant(self.0.clone(), name.into())))
        } else {
            mistake(format!("no constant {name}"))
        }
    }
}

struct Constant(Base, String);

impl Object for Constant {
    fn type_name(&self) -> &'static str {
        "КонстантаМенеджер"
    }

    fn call(&self, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
        match (lower(name).as_str(), args) {
            ("получить", []) => Ok(Value::from_json(&self.0.with(|tables| tables.constants[&self.1].clone()))),
            ("установить", [Some(value)]) => {
                let value = value.to_json()?;
                self.0.with(|tables| tables.constants.insert(self.1.clone(), value));
                Ok(Value::Undefined)
            }
            _ => mistake(format!("a constant has no {name}")),
        }
    }
}

/// The safe storage of the library of standard subsystems. What is written is a copy.
struct CommonPurpose(Base);

impl Object for CommonPurpose {
    fn type_name(&self) -> &'static str {
        "ОбщегоНазначения"
    }

    fn call(&self, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
        match (lower(name).as_str(), args) {
            ("приначалевыполнениярегламентногозадания", [Some(_)]) => {
                Ok(Value::Undefined)
            }
            ("прочитатьданныеизбезопасногохранилища", [Some(owner), Some(key)]) => {
                let found = self.0.with(|tables| tables.secrets.get(&(owner.shown(), key.shown())).cloned());
                Ok(found.map_or(Value::Undefined, |json| Value::from_json(&json)))
            }
            ("записатьданныевбезопасноехранилище", [Some(owner), Some(value), Some(key)]) =>
            {
                let (place, value) = ((owner.shown(), key.shown()), value.to_json()?);
                self.0.with(|tables| tables.secrets.insert(place, value));
                Ok(Value::Undefined)
            }
            _ => mistake(format!("ОбщегоНазначения has no {name} with {} parameters", args.len())),
        }
    }
}

/// `ХранилищеЗначения`: a copy of a value.
pub struct Storage(pub Json);

impl Object for Storage {
    fn type_name(&self) -> &'static str {
        "ХранилищеЗначения"
    }

    fn call(&self, name: &str, _args: &[Option<Value>]) -> Outcome<Value> {
        if lower(name) == "получить" {
            Ok(Value::from_json(&self.0))
        } else {
            mistake(format!("ХранилищеЗначения has no {name}"))
        }
    }
}
