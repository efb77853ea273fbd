//! `filter` and `order` of list methods over rows of texts.

use std::cmp::Ordering;

use crate::php::value::Value;

use super::error::RestError;
use crate::{php, time};

/// Operations as they are written before the name of a field, longer ones first.
const OPERATIONS: [(&str, Operation); 8] = [
    (">=", Operation::GreaterOrEqual),
    ("<=", Operation::LessOrEqual),
    ("=", Operation::Equal),
    (">", Operation::Greater),
    ("<", Operation::Less),
    ("@", Operation::In),
    ("%", Operation::Like),
    ("", Operation::Equal),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Equal,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    In,
    Like,
}

/// How values of a field compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    Text,
    Time,
}

/// The kind of a field, `None` if it does not exist.
pub type Fields<'a> = &'a dyn Fn(&str) -> Option<Kind>;

#[derive(Debug)]
pub struct Filter(Vec<Condition>);

#[derive(Debug)]
struct Condition {
    field: String,
    kind: Kind,
    operation: Operation,
    values: Vec<String>,
    /// The name with its operation.
    key: String,
    is_list: bool,
}

impl Filter {
    pub fn parse(filter: Option<&Value>, fields: Fields) -> Result<Self, RestError> {
        let Some(filter) = filter else { return Ok(Self(Vec::new())) };
        if !filter.is_array() {
            return Err(RestError::bad_query("The filter is not an array.".to_owned()));
        }
        php::entries(filter)
            .into_iter()
            .map(|(key, value)| Condition::parse(&key.to_uppercase(), value, fields))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// `event.offline.get` selects the records that it reserves with another query, which takes scalars only and knows
    /// fewer operations.
    pub fn check_reserving(&self) -> Result<(), RestError> {
        self.0.iter().try_for_each(Condition::check_reserving)
    }

    /// `value` gives a field of the row.
    pub fn accepts(&self, value: &dyn Fn(&str) -> String) -> bool {
        self.0.iter().all(|condition| condition.accepts(&value(&condition.field)))
    }
}

impl Condition {
    fn parse(key: &str, value: &Value, fields: Fields) -> Result<Self, RestError> {
        let name_from = key.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(key.len());
        let (sign, field) = key.split_at(name_from);
        let Some((_, operation)) = OPERATIONS.iter().find(|(spelling, _)| *spelling == sign) else {
            return Err(RestError::bad_query(format!("Filter operation not allowed: {sign}")));
        };
        let Some(kind) = fields(field) else {
            return Err(RestError::bad_query(format!("Filter field not allowed: {field}")));
        };
        // A list of values means "one of them", for every operation.
        let values = match value {
            Value::Array(_) | Value::Object(_) => {
                php::entries(value).into_iter().filter_map(|(_, value)| php::text(value)).collect()
            }
            scalar => vec![php::text(scalar).unwrap_or_default()],
        };
        let is_list = value.is_array();
        Ok(Self { field: field.to_owned(), kind, operation: *operation, values, key: key.to_owned(), is_list })
    }

    fn check_reserving(&self) -> Result<(), RestError> {
        // The vendor makes an object of a time before it checks that the value is a scalar.
        if self.is_list || self.kind == Kind::Time {
            return Err(RestError::wrong_type(&self.key));
        }
        match self.operation {
            Operation::In => Err(RestError::wrong_value("", "Unknown operator `@`")),
            Operation::Like => Err(RestError::wrong_value("", "Unknown operator `%`")),
            _ => Ok(()),
        }
    }

    fn accepts(&self, value: &str) -> bool {
        self.values.iter().any(|wanted| {
            if self.operation == Operation::Like {
                return value.to_lowercase().contains(&wanted.to_lowercase());
            }
            let Some(ordering) = compare(self.kind, value, wanted) else { return false };
            match self.operation {
                Operation::Equal | Operation::In | Operation::Like => ordering.is_eq(),
                Operation::Greater => ordering.is_gt(),
                Operation::Less => ordering.is_lt(),
                Operation::GreaterOrEqual => ordering.is_ge(),
                Operation::LessOrEqual => ordering.is_le(),
            }
        })
    }
}

/// As MySQL compares: texts without case, a text in place of a number is 0. `None` for an invalid time.
fn compare(kind: Kind, a: &str, b: &str) -> Option<Ordering> {
    match kind {
        Kind::Number => Some(number(a).total_cmp(&number(b))),
        Kind::Text => Some(a.to_lowercase().cmp(&b.to_lowercase())),
        Kind::Time => Some(time::parse_iso(a)?.cmp(&time::parse_iso(b)?)),
    }
}

fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or(0.0)
}

#[derive(Debug)]
pub struct Order(Vec<(String, Kind, bool)>);

impl Order {
    /// `default` is the field if the call has no order.
    pub fn parse(order: Option<&Value>, default: &str, fields: Fields) -> Result<Self, RestError> {
        let allowed = |field: &str| {
            fields(field).ok_or_else(|| RestError::bad_query(format!("Order field not allowed: {field}")))
        };
        let Some(order) = order else {
            return Ok(Self(vec![(default.to_owned(), allowed(default)?, false)]));
        };
        if !order.is_array() {
            return Err(RestError::bad_query("The order is not an array.".to_owned()));
        }
        let mut keys = Vec::new();
        for (key, value) in php::entries(order) {
            let direction = php::text(value).unwrap_or_default().to_uppercase();
            if key.parse::<u64>().is_ok() {
                keys.push((direction.clone(), allowed(&direction)?, false));
                continue;
            }
            let field = key.to_uppercase();
            let kind = allowed(&field)?;
            match direction.as_str() {
                "ASC" => keys.push((field, kind, false)),
                "DESC" => keys.push((field, kind, true)),
                _ => return Err(RestError::bad_query("Order direction should be one of {ASC|DESC}".to_owned())),
            }
        }
        Ok(Self(keys))
    }

    /// Rows that compare equal keep their order.
    pub fn compare(&self, a: &dyn Fn(&str) -> String, b: &dyn Fn(&str) -> String) -> Ordering {
        self.0
            .iter()
            .map(|(field, kind, descending)| {
                let ordering = compare(*kind, &a(field), &b(field)).unwrap_or(Ordering::Equal);
                if *descending { ordering.reverse() } else { ordering }
            })
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::php::value::json;

    fn fields(field: &str) -> Option<Kind> {
        match field {
            "ID" => Some(Kind::Number),
            "EVENT_NAME" | "PROCESS_ID" => Some(Kind::Text),
            "TIMESTAMP_X" => Some(Kind::Time),
            _ => None,
        }
    }

    fn row(field: &str) -> String {
        match field {
            "ID" => "10",
            "EVENT_NAME" => "ONCRMDEALADD",
            "TIMESTAMP_X" => "2026-11-24T04:52:24+03:00",
            _ => "",
        }
        .to_owned()
    }

    #[test]
    fn every_operation() {
        let cases = [
            (json!({"ID": 10}), true),
            (json!({"=ID": "10"}), true),
            (json!({">ID": "9"}), true),
            (json!({"<ID": "9"}), false),
            (json!({">=ID": 10, "<=ID": 10}), true),
            (json!({"@ID": ["1", "10"]}), true),
            (json!({"@ID": ["1", "2"]}), false),
            (json!({"%EVENT_NAME": "deal"}), true),
            (json!({"event_name": "oncrmdealadd"}), true),
            (json!({">PROCESS_ID": ""}), false),
            (json!({"=PROCESS_ID": ""}), true),
            (json!({">=TIMESTAMP_X": "2026-11-24T01:52:24+00:00"}), true),
            (json!({">TIMESTAMP_X": "2026-11-24T01:52:24Z"}), false),
            (json!([]), true),
        ];
        for (filter, expected) in cases {
            let parsed = Filter::parse(Some(&filter), &fields).unwrap();
            assert_eq!(parsed.accepts(&row), expected, "{filter}");
        }
    }

    #[test]
    fn refusals() {
        for filter in [json!({"!ID": 1}), json!({"><ID": 1}), json!({"SECRET": 1}), json!("ID")] {
            assert!(Filter::parse(Some(&filter), &fields).is_err(), "{filter}");
        }
        for order in [json!({"ID": "UP"}), json!({"SECRET": "ASC"}), json!(["SECRET"]), json!("ID")] {
            assert!(Order::parse(Some(&order), "ID", &fields).is_err(), "{order}");
        }
    }
}
