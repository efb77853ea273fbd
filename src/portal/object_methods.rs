//! Which method returns the object of an event (docs/protocol.md §2.4).

use std::collections::HashMap;

use form_urlencoded::Serializer;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::config::object_methods::{ObjectMethod, ParamValue, parse};

/// Event names without their actions, and the method that returns the object. From the vendor's documentation of the
/// events and the methods.
const METHODS: &str = "
    ONCRMLEAD=crm.lead.get?id={FIELDS.ID}
    ONCRMDEAL=crm.deal.get?id={FIELDS.ID}
    ONCRMCONTACT=crm.contact.get?id={FIELDS.ID}
    ONCRMCOMPANY=crm.company.get?id={FIELDS.ID}
    ONCRMQUOTE=crm.quote.get?id={FIELDS.ID}
    ONCRMINVOICE=crm.invoice.get?id={FIELDS.ID}
    ONCRMDYNAMICITEM=crm.item.get?entityTypeId={FIELDS.ENTITY_TYPE_ID}&id={FIELDS.ID}
    ONCRMTYPE=crm.type.get?id={FIELDS.ID}
    ONCRMACTIVITY=crm.activity.get?id={FIELDS.ID}
    ONCRMTIMELINECOMMENT=crm.timeline.comment.get?id={FIELDS.ID|ID}
    ONCRMREQUISITE=crm.requisite.get?id={FIELDS.ID}
    ONCRMBANKDETAIL=crm.requisite.bankdetail.get?id={FIELDS.ID}
    ONCRMCURRENCY=crm.currency.get?id={FIELDS.ID}
    ONCRMPRODUCT=crm.product.get?id={FIELDS.ID}
    ONCRMPRODUCTSECTION=crm.productsection.get?id={FIELDS.ID}
    CATALOG.PRODUCT.ON.=catalog.product.get?id={FIELDS.ID}
    CATALOG.PRICE.ON.=catalog.price.get?id={FIELDS.ID}
    CATALOG.PRICE.TYPE.ON.=catalog.priceType.get?id={FIELDS.ID}
    CATALOG.MEASURE.ON.=catalog.measure.get?id={FIELDS.ID}
    ONSALEORDER=sale.order.get?id={FIELDS.ID}
    ONORDER=sale.order.get?id={FIELDS.ID}
    ONPAYMENT=sale.payment.get?id={FIELDS.ID}
    ONSHIPMENT=sale.shipment.get?id={FIELDS.ID}
    ONTASK=tasks.task.get?taskId={FIELDS_AFTER.ID|FIELDS_BEFORE.ID}
    ONTASKCOMMENT=task.commentitem.get?TASKID={FIELDS_AFTER.TASK_ID|FIELDS_BEFORE.TASK_ID}&ITEMID={FIELDS_AFTER.ID|FIELDS_BEFORE.ID}
    ONUSER=user.get?ID={ID}
    ONSONETGROUP=sonet_group.get?FILTER[ID]={FIELDS.ID}
    ONBOOKING=booking.v1.booking.get?id={ID}
";

/// What follows the name of an event, and whether the object is gone then.
const ACTIONS: [(&str, bool); 9] = [
    ("", false),
    ("ADD", false),
    ("UPDATE", false),
    ("DELETE", true),
    ("MOVETOCATEGORY", false),
    ("SETSTATUS", false),
    ("SAVED", false),
    ("ENTITYSAVED", false),
    ("DELETED", true),
];

/// The known methods, by event.
pub(super) struct ObjectMethods(HashMap<String, ObjectMethod>);

/// What a record says of its object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) lookup: Lookup,
    /// The object is gone.
    pub(super) deletes: bool,
}

/// The call that returns an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lookup {
    pub(super) method: String,
    /// The parameters, as a query.
    query: String,
}

impl Lookup {
    /// As the method `batch` takes it.
    pub(super) fn command(&self) -> String {
        format!("{}?{}", self.method, self.query)
    }
}

impl ObjectMethods {
    /// The built-in ones, and those that the host adds or repaths.
    pub(super) fn new(configured: &[ObjectMethod]) -> ObjectMethods {
        // A test reads the table.
        let known = parse(METHODS).unwrap_or_default();
        let all = known.into_iter().chain(configured.iter().cloned());
        ObjectMethods(all.map(|method| (method.event.clone(), method)).collect())
    }

    /// The object that an event is about; `None` if no method is known for it, or its data names no object.
    pub(super) fn find(&self, event: &str, data: &RawValue) -> Option<Change> {
        let (method, deletes) = self.method(&event.to_ascii_uppercase())?;
        let data: Value = serde_json::from_str(data.get()).unwrap_or_default();
        let mut query = Serializer::new(String::new());
        for (name, value) in &method.params {
            match value {
                ParamValue::Literal(text) => query.append_pair(name, text),
                ParamValue::Data(paths) => query.append_pair(name, &first_value(&data, paths)?),
            };
        }
        Some(Change { lookup: Lookup { method: method.method.clone(), query: query.finish() }, deletes })
    }

    fn method(&self, event: &str) -> Option<(&ObjectMethod, bool)> {
        // Events of one type of smart process carry its number: ONCRMDYNAMICITEMUPDATE_31.
        let general = event.trim_end_matches(|c: char| c.is_ascii_digit()).strip_suffix('_');
        let named = |event: &str| {
            ACTIONS.iter().find_map(|(action, deletes)| {
                let method = self.0.get(event.strip_suffix(action)?)?;
                Some((method, *deletes))
            })
        };
        named(event).or_else(|| named(general?))
    }
}

/// The first of the paths that holds an id.
fn first_value(data: &Value, paths: &[Vec<String>]) -> Option<String> {
    paths.iter().find_map(|path| match path.iter().try_fold(data, |value, key| value.get(key))? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(configured: &str, event: &str, data: &str) -> Option<(String, bool)> {
        let methods = ObjectMethods::new(&parse(configured).unwrap());
        let change = methods.find(event, serde_json::from_str(data).unwrap())?;
        Some((change.lookup.command(), change.deletes))
    }

    #[test]
    fn every_line_of_the_table_can_be_read() {
        let lines = METHODS.lines().filter(|line| !line.trim().is_empty()).count();
        assert_eq!(parse(METHODS).unwrap().len(), lines);
    }

    #[test]
    fn events_lead_to_methods() {
        let fields = r#"{"FIELDS":{"ID":"24","ENTITY_TYPE_ID":"1220"}}"#;
        for (event, data, command, deletes) in [
            ("ONCRMDEALADD", fields, "crm.deal.get?id=24", false),
            ("onCrmCompanyDelete", fields, "crm.company.get?id=24", true),
            ("ONCRMDEALMOVETOCATEGORY", fields, "crm.deal.get?id=24", false),
            ("ONCRMDYNAMICITEMUPDATE", fields, "crm.item.get?entityTypeId=1220&id=24", false),
            ("ONCRMDYNAMICITEMDELETE_1220", fields, "crm.item.get?entityTypeId=1220&id=24", true),
            ("ONCRMPRODUCTSECTIONADD", fields, "crm.productsection.get?id=24", false),
            ("CATALOG.PRICE.TYPE.ON.UPDATE", fields, "catalog.priceType.get?id=24", false),
            ("ONORDERDELETED", fields, "sale.order.get?id=24", true),
            ("ONSALEORDERSAVED", fields, "sale.order.get?id=24", false),
            ("ONPAYMENTENTITYSAVED", fields, "sale.payment.get?id=24", false),
            ("ONUSERADD", r#"{"ID":5,"EMAIL":"a@b"}"#, "user.get?ID=5", false),
            ("ONCRMCURRENCYUPDATE", r#"{"FIELDS":{"ID":"C&H"}}"#, "crm.currency.get?id=C%26H", false),
            ("ONSONETGROUPUPDATE", fields, "sonet_group.get?FILTER%5BID%5D=24", false),
        ] {
            assert_eq!(find("", event, data), Some((command.to_owned(), deletes)), "{event}");
        }
    }

    #[test]
    fn the_host_adds_and_repaths_methods() {
        let configured = "ONCRMDEAL=my.deal.get?full=1&id={FIELDS.ID};MY.THING.CHANGED=my.thing.get?id={THING}";
        let deal = find(configured, "ONCRMDEALUPDATE", r#"{"FIELDS":{"ID":7}}"#);
        assert_eq!(deal, Some(("my.deal.get?full=1&id=7".into(), false)));
        let thing = find(configured, "MY.THING.CHANGED", r#"{"THING":9}"#);
        assert_eq!(thing, Some(("my.thing.get?id=9".into(), false)));
        assert_eq!(find("", "MY.THING.CHANGED", r#"{"THING":9}"#), None);
    }
}
