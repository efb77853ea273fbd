//! What happens in the portal.

use serde_json::json;

/// How many commands a `batch` has at most.
const COMMANDS: usize = 50;

/// The events that the host binds.
pub const EVENTS: [&str; 4] = ["ONCRMLEADADD", "ONCRMCONTACTADD", "ONCRMDEALADD", "ONCRMDEALUPDATE"];

/// What the user does, and what the host has to receive.
pub struct Step {
    pub title: String,
    pub calls: Vec<Call>,
    /// Changes of objects, each of them an event.
    pub events: u32,
    /// Records that they leave in the queue.
    pub records: u32,
}

/// A REST call of the user.
pub struct Call {
    pub method: &'static str,
    pub params: String,
    /// What the terminal shows.
    pub shown: String,
}

/// The script. Its last step adds `burst` deals.
pub fn steps(burst: u32) -> Vec<Step> {
    let prices = (1..=3).map(|price| format!("crm.deal.update?id=1&fields[OPPORTUNITY]={price}000")).collect();
    let mut steps = vec![
        one("A lead is added before the client connects; the client finds it then", "crm.lead.add", LEAD),
        one("A deal is added", "crm.deal.add", DEAL),
        one("A contact is added", "crm.contact.add", CONTACT),
        Step {
            title: "The deal is changed three times in one request: the queue holds one record per object".into(),
            calls: vec![batch(prices)],
            events: 3,
            records: 1,
        },
        one("It is changed again after that record was acknowledged: a new record", "crm.deal.update", UPDATE),
    ];
    if burst > 0 {
        let add = |number| format!("crm.deal.add?fields[TITLE]=Order%20{number}");
        let deals: Vec<String> = (1..=burst).map(add).collect();
        steps.push(Step {
            title: format!("{burst} more deals are added"),
            calls: deals.chunks(COMMANDS).map(|deals| batch(deals.to_vec())).collect(),
            events: burst,
            records: burst,
        });
    }
    steps
}

const LEAD: &str = r#"{"fields":{"TITLE":"A call from the web site"}}"#;
const DEAL: &str = r#"{"fields":{"TITLE":"Twenty chairs","OPPORTUNITY":900}}"#;
const CONTACT: &str = r#"{"fields":{"NAME":"Анна","LAST_NAME":"Иванова"}}"#;
const UPDATE: &str = r#"{"id":1,"fields":{"TITLE":"Twenty chairs and a table"}}"#;

fn one(title: &str, method: &'static str, params: &str) -> Step {
    let call = Call { method, params: params.into(), shown: format!("{method}  {params}") };
    Step { title: title.into(), calls: vec![call], events: 1, records: 1 }
}

fn batch(commands: Vec<String>) -> Call {
    let params = json!({"halt": 1, "cmd": commands}).to_string();
    let first = commands.first().map_or("", String::as_str);
    Call { method: "batch", params, shown: format!("batch of {}:  {first} …", commands.len()) }
}
