//! A small CRM: enough to make real events with real calls.

use std::collections::BTreeMap;

use crate::php::value::{Map, Value, json};

use super::call::{Caller, Outcome, Params, Success};
use super::error::RestError;
use super::filter::{Filter, Kind, Order};
use super::{PAGE, Portal};
use crate::{php, time};

const ENTITIES: [Entity; 4] = [Entity::Deal, Entity::Lead, Entity::Contact, Entity::Company];
const ACTIONS: [&str; 5] = ["add", "update", "get", "list", "delete"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entity {
    Deal,
    Lead,
    Contact,
    Company,
}

impl Entity {
    fn name(self) -> &'static str {
        match self {
            Self::Deal => "deal",
            Self::Lead => "lead",
            Self::Contact => "contact",
            Self::Company => "company",
        }
    }

    fn event(self, action: &str) -> String {
        format!("ONCRM{}{}", self.name().to_uppercase(), action.to_uppercase())
    }
}

/// Fields of one element; all values are texts, as the database gives them.
type Element = Map;

#[derive(Default)]
pub struct Crm {
    elements: BTreeMap<(Entity, u64), Element>,
    last_ids: BTreeMap<Entity, u64>,
}

pub fn event_names() -> Vec<String> {
    let actions = ["add", "update", "delete"];
    ENTITIES.iter().flat_map(|entity| actions.map(|action| entity.event(action))).collect()
}

pub fn method_names() -> Vec<String> {
    let of_entity = |entity: &Entity| ACTIONS.map(|action| format!("crm.{}.{action}", entity.name()));
    ENTITIES.iter().flat_map(of_entity).collect()
}

/// `None` when there is no such method.
pub fn call(portal: &mut Portal, caller: &Caller, method: &str, params: &Params, start: i64) -> Option<Outcome> {
    let (name, action) = method.strip_prefix("crm.")?.split_once('.')?;
    let entity = ENTITIES.into_iter().find(|entity| entity.name() == name)?;
    let outcome = match action {
        "add" => add(portal, caller, entity, params),
        "update" => update(portal, caller, entity, params),
        "delete" => delete(portal, caller, entity, params),
        "get" => get(&portal.crm, entity, params),
        "list" => list(&portal.crm, entity, params, start),
        _ => return None,
    };
    Some(outcome)
}

fn add(portal: &mut Portal, caller: &Caller, entity: Entity, params: &Params) -> Outcome {
    let last = portal.crm.last_ids.entry(entity).or_default();
    *last += 1;
    let id = *last;
    let now = time::iso(time::unix_now());
    let mut element = Map::new();
    element.insert("ID".to_owned(), json!(id.to_string()));
    element.insert("DATE_CREATE".to_owned(), json!(now));
    element.insert("DATE_MODIFY".to_owned(), json!(now));
    element.insert("CREATED_BY_ID".to_owned(), json!(caller.user.to_string()));
    element.insert("ASSIGNED_BY_ID".to_owned(), json!(caller.user.to_string()));
    set_fields(&mut element, params);
    portal.crm.elements.insert((entity, id), element);
    changed(portal, caller, entity, "add", id);
    Ok(json!(id).into())
}

fn update(portal: &mut Portal, caller: &Caller, entity: Entity, params: &Params) -> Outcome {
    let id = wanted_id(params)?;
    let element = portal.crm.elements.get_mut(&(entity, id)).ok_or_else(not_found)?;
    set_fields(element, params);
    element.insert("DATE_MODIFY".to_owned(), json!(time::iso(time::unix_now())));
    changed(portal, caller, entity, "update", id);
    Ok(json!(true).into())
}

fn delete(portal: &mut Portal, caller: &Caller, entity: Entity, params: &Params) -> Outcome {
    let id = wanted_id(params)?;
    portal.crm.elements.remove(&(entity, id)).ok_or_else(not_found)?;
    changed(portal, caller, entity, "delete", id);
    Ok(json!(true).into())
}

fn get(crm: &Crm, entity: Entity, params: &Params) -> Outcome {
    let id = wanted_id(params)?;
    let element = crm.elements.get(&(entity, id)).ok_or_else(not_found)?;
    Ok(Value::Object(element.clone()).into())
}

fn list(crm: &Crm, entity: Entity, params: &Params, start: i64) -> Outcome {
    let filter = Filter::parse(params.get("filter"), &kind)?;
    let order = Order::parse(params.get("order"), "ID", &kind)?;
    let mut found: Vec<&Element> = crm
        .elements
        .iter()
        .filter(|((of, _), element)| *of == entity && filter.accepts(&|name| field(element, name)))
        .map(|(_, element)| element)
        .collect();
    found.sort_by(|a, b| order.compare(&|name| field(a, name), &|name| field(b, name)));
    // CRM counts in whole pages; a negative start asks not to count at all.
    let offset = usize::try_from(start).unwrap_or(0) / PAGE * PAGE;
    let select = selected(params);
    let page: Vec<Value> = found.iter().skip(offset).take(PAGE).map(|element| shown(element, &select)).collect();
    let counted = start >= 0;
    Ok(Success {
        next: (counted && offset + PAGE < found.len()).then_some((offset + PAGE) as u64),
        total: counted.then_some(found.len() as u64),
        result: Value::Array(page),
    })
}

fn changed(portal: &mut Portal, caller: &Caller, entity: Entity, action: &str, id: u64) {
    let data = json!({"FIELDS": {"ID": id.to_string()}});
    let additional = json!({"user_id": caller.user.to_string()});
    portal.raise(&entity.event(action), &data, &additional, caller.own_connector());
}

fn wanted_id(params: &Params) -> Result<u64, RestError> {
    params
        .int("id")
        .and_then(|id| u64::try_from(id).ok())
        .filter(|id| *id > 0)
        .ok_or_else(|| RestError::bad_request("", "ID is not defined or invalid."))
}

fn not_found() -> RestError {
    RestError::bad_request("", "Not found")
}

fn set_fields(element: &mut Element, params: &Params) {
    let Some(Value::Object(fields)) = params.get("fields") else { return };
    for (name, value) in fields {
        let name = name.to_uppercase();
        if name != "ID" {
            element.insert(name, as_stored(value));
        }
    }
}

fn as_stored(value: &Value) -> Value {
    match value {
        Value::Bool(true) => json!("Y"),
        Value::Bool(false) => json!("N"),
        Value::Null => json!(""),
        Value::Number(number) => json!(number.to_string()),
        other => other.clone(),
    }
}

fn field(element: &Element, name: &str) -> String {
    element.get(name).and_then(php::text).unwrap_or_default()
}

fn kind(field: &str) -> Option<Kind> {
    Some(match field {
        "ID" | "OPPORTUNITY" | "ASSIGNED_BY_ID" | "CREATED_BY_ID" => Kind::Number,
        "DATE_CREATE" | "DATE_MODIFY" => Kind::Time,
        _ => Kind::Text,
    })
}

/// Names to show; `None` shows all.
fn selected(params: &Params) -> Option<Vec<String>> {
    let select = params.get("select").map(php::entries)?;
    let names: Vec<String> = select.into_iter().filter_map(|(_, name)| Some(php::text(name)?.to_uppercase())).collect();
    let all = names.is_empty() || names.iter().any(|name| name == "*");
    (!all).then_some(names)
}

fn shown(element: &Element, select: &Option<Vec<String>>) -> Value {
    let wanted = |name: &String| name == "ID" || select.as_ref().is_none_or(|names| names.contains(name));
    let fields = element.iter().filter(|(name, _)| wanted(name));
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}
