//! The component, as modules see it: the real library, loaded as 1C loads it.

use std::error::Error;
use std::rc::Rc;

use addin1c_test::{TestAddinLib, Variant};
use b24events::addin::class::{ALL, DefaultValue, METHODS, Method, PROPERTIES};

use super::value::{Object, Outcome, Value, exception, lower, mistake};

type Answer<T> = Result<T, Box<dyn Error>>;
type Get = Box<dyn Fn(&[u16]) -> Answer<Variant>>;
type Set = Box<dyn Fn(&[u16], &Variant) -> Answer<()>>;
type Call = Box<dyn Fn(&[u16], Vec<Variant>) -> Answer<Variant>>;

/// An object of the class. Its crate does not export the type, so closures hold it.
pub struct Component {
    call: Call,
    get: Get,
    set: Set,
}

impl Component {
    pub fn new(library: &'static TestAddinLib) -> Outcome<Component> {
        let object = library.new_addin("B24Events").or_else(|error| exception(error.to_string()))?;
        let object = Rc::new(object);
        let (getter, setter) = (object.clone(), object.clone());
        // The crate takes the number of parameters at compile time.
        macro_rules! call {
            ($name:expr, $values:expr, $count:literal) => {{
                let mut values: [Variant; $count] = $values.try_into().expect("counted");
                object.call_as_func($name, &mut values)
            }};
        }
        let call: Call = Box::new(move |name, values| match values.len() {
            0 => call!(name, values, 0),
            1 => call!(name, values, 1),
            2 => call!(name, values, 2),
            3 => call!(name, values, 3),
            more => panic!("no method has {more} parameters"),
        });
        Ok(Component {
            call,
            get: Box::new(move |name| getter.get_property(name)),
            set: Box::new(move |name, value| setter.set_property(name, value)),
        })
    }

    /// 1C raises an exception with the text that the component has reported.
    fn failure<T>(&self) -> Outcome<T> {
        let text = (self.get)(&wide("ПоследняяОшибка"));
        exception(text.ok().and_then(|text| text.get_str().map(String::from_utf16_lossy)).unwrap_or_default())
    }
}

impl Object for Component {
    fn type_name(&self) -> &'static str {
        "ВнешняяКомпонента"
    }

    fn get(&self, name: &str) -> Outcome<Value> {
        check_property(name)?;
        (self.get)(&wide(name)).map_or_else(|_| self.failure(), |value| Ok(from_variant(&value)))
    }

    fn set(&self, name: &str, value: Value) -> Outcome<()> {
        check_property(name)?;
        let value = to_variant(&value)?;
        (self.set)(&wide(name), &value).or_else(|_| self.failure())
    }

    fn call(&self, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
        let method = find_method(name).or_else(|| find_method(name.strip_suffix("Асинх")?));
        let Some(method) = method else { return mistake(format!("the class has no method {name}")) };
        if args.len() > method.params.len() {
            return mistake(format!("{name} takes {} parameters", method.params.len()));
        }
        let value = |index: usize| match (args.get(index).and_then(Option::as_ref), &method.params[index].default) {
            (Some(value), _) => to_variant(value),
            (None, DefaultValue::Text(text)) => to_variant(&Value::text(text)),
            (None, DefaultValue::All) => to_variant(&Value::text(ALL)),
            (None, DefaultValue::Integer(number)) => Ok(Variant::new_i32(*number)),
            (None, DefaultValue::Required) => mistake(format!("{name}: parameter {} is left out", index + 1)),
        };
        let values = (0..method.params.len()).map(value).collect::<Outcome<Vec<_>>>()?;
        (self.call)(&wide(method.russian), values).map_or_else(|_| self.failure(), |value| Ok(from_variant(&value)))
    }
}

fn find_method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| [method.russian, method.english].iter().any(|known| lower(known) == lower(name)))
}

fn check_property(name: &str) -> Outcome<()> {
    let is_name = |known: &&str| lower(known) == lower(name);
    match PROPERTIES.iter().any(|property| [property.russian, property.english].iter().any(is_name)) {
        true => Ok(()),
        false => mistake(format!("the class has no property {name}")),
    }
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

fn to_variant(value: &Value) -> Outcome<Variant> {
    Ok(match value {
        Value::Undefined => Variant::new(),
        Value::Boolean(yes) => Variant::new_bool(*yes),
        Value::Number(number) if number.fract() == 0.0 && number.abs() < f64::from(i32::MAX) => {
            Variant::new_i32(*number as i32)
        }
        Value::Number(number) => Variant::new_f64(*number),
        Value::Text(text) => Variant::new_str(&text.encode_utf16().collect::<Vec<_>>()),
        other => return exception(format!("{} нельзя передать компоненте", other.type_name())),
    })
}

fn from_variant(value: &Variant) -> Value {
    let text = value.get_str().map(|text| Value::text(String::from_utf16_lossy(text)));
    text.or_else(|| value.get_bool().map(Value::Boolean))
        .or_else(|| value.get_i32().map(|number| Value::Number(number.into())))
        .or_else(|| value.get_f64().map(Value::Number))
        .unwrap_or(Value::Undefined)
}
