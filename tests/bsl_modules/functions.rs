//! Functions of the platform that need no object.

use form_urlencoded::byte_serialize;
use serde_json::Value as Json;

use super::platform::Platform;
use super::value::{Outcome, Value, exception, lower, mistake};

pub fn call(platform: &Platform, name: &str, args: &[Option<Value>]) -> Outcome<Value> {
    let arg = |index: usize| args.get(index).cloned().flatten().unwrap_or(Value::Undefined);
    let text = |index: usize| arg(index).shown();
    Ok(match lower(name).as_str() {
        "сообщить" => {
            platform.log("Сообщить", &text(0));
            Value::Undefined
        }
        "врег" => Value::text(text(0).to_uppercase()),
        "нрег" => Value::text(text(0).to_lowercase()),
        "сокрлп" => Value::text(text(0).trim()),
        "стрдлина" => Value::Number(text(0).chars().count() as f64),
        "лев" => Value::text(text(0).chars().take(arg(1).number()? as usize).collect::<String>()),
        "сред" => {
            let (from, count) = (arg(1).number()? as usize, args.get(2).cloned().flatten());
            let count = count.map_or(Ok(f64::MAX), |count| count.number())? as usize;
            Value::text(text(0).chars().skip(from.saturating_sub(1)).take(count).collect::<String>())
        }
        "пустаястрока" => Value::Boolean(text(0).trim().is_empty()),
        "строка" => Value::text(text(0)),
        "число" => match arg(0) {
            Value::Number(number) => Value::Number(number),
            other => number(&other.shown())?,
        },
        "стрначинаетсяс" => Value::Boolean(text(0).starts_with(&text(1))),
        "стрнайти" => {
            let (whole, part) = (text(0), text(1));
            Value::Number(whole.find(&part).map_or(0, |at| whole[..at].chars().count() + 1) as f64)
        }
        "стрзаменить" => Value::text(text(0).replace(&text(1), &text(2))),
        "стрразделить" => {
            let (whole, separators) = (text(0), text(1));
            let keeps_empty = !matches!(arg(2), Value::Boolean(false));
            let parts = whole.split(|c| separators.contains(c)).filter(|part| keeps_empty || !part.is_empty());
            Value::array(parts.map(Value::text).collect())
        }
        "стрсоединить" => {
            let Value::Array(list) = arg(0) else { return mistake("СтрСоединить takes an array") };
            let parts: Vec<_> = list.borrow().iter().map(Value::shown).collect();
            Value::text(parts.join(&text(1)))
        }
        "стршаблон" => {
            let filled =
                (1..args.len()).rev().fold(text(0), |filled, index| filled.replace(&format!("%{index}"), &text(index)));
            Value::text(filled)
        }
        // The first language of `ru = '…'; en = '…'`.
        "нстр" => {
            let all = text(0);
            let russian = all.split_once("ru").and_then(|(_, rest)| rest.split_once('\''));
            match russian.and_then(|(_, rest)| rest.split_once('\'')) {
                Some((russian, _)) => Value::text(russian),
                None => return mistake(format!("НСтр without a Russian text: {all}")),
            }
        }
        "значениезаполнено" => Value::Boolean(arg(0).is_filled()),
        "типзнч" => Value::Type(arg(0).type_name()),
        "тип" => Value::Type(type_name(&text(0))?),
        "xmlстрока" => Value::text(arg(0).xml()?),
        "xmlзначение" => number(&text(1))?,
        "мин" => Value::Number(arg(0).number()?.min(arg(1).number()?)),
        "макс" => Value::Number(arg(0).number()?.max(arg(1).number()?)),
        "формат" => Value::text(text(0)),
        "кодироватьстроку" => {
            Value::text(byte_serialize(text(0).as_bytes()).collect::<String>().replace('+', "%20"))
        }
        "прочитатьjson" => {
            let json = super::platform::reader_text(&arg(0))?;
            let as_map = matches!(arg(1), Value::Boolean(true));
            match serde_json::from_str::<Json>(&json) {
                Ok(value) if as_map || !value.is_object() => Value::from_json(&value),
                Ok(_) => {
                    return mistake("ПрочитатьJSON into Структура: the portal's names are not always allowed there");
                }
                Err(error) => return exception(format!("Непредвиденный символ при чтении JSON: {error}")),
            }
        }
        "записатьjson" => {
            super::platform::write_json(&arg(0), &arg(1).to_json()?)?;
            Value::Undefined
        }
        _ => return platform.function(name, args),
    })
}

fn number(text: &str) -> Outcome<Value> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace() && *c != '\u{a0}').collect();
    let parsed = plain.replace(',', ".").parse().map(Value::Number);
    parsed.or_else(|_| exception(format!("Преобразование значения к типу Число не может быть выполнено: {text}")))
}

fn type_name(name: &str) -> Outcome<&'static str> {
    const NAMES: [&str; 8] =
        ["Неопределено", "Булево", "Число", "Строка", "Массив", "Соответствие", "Структура", "ДвоичныеДанные"];
    let found = NAMES.into_iter().find(|known| lower(known) == lower(name));
    found.map_or_else(|| mistake(format!("unknown type {name}")), Ok)
}
