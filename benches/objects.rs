//! What it saves to get the objects of a batch in one go instead of one by one.
//!
//! `cargo bench --bench objects` prints requests and time of both.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use b24events::client::Client;
use serde_json::{Value, json};
use support::Portal;

const DEALS: u32 = 300;
/// How often each deal changes before the records are fetched. The portal merges equal records, so an addition and an
/// update make two.
const RECORDS_PER_DEAL: u32 = 2;

fn main() {
    let portal = Portal::start();
    let keys = [("connector.id", ""), ("rate.per_second", "0")];
    let somebody = portal.client_with(&keys);
    let client = portal.client_with(&[("rate.per_second", "0"), ("fetch.limit", "1000")]);
    for event in ["ONCRMDEALADD", "ONCRMDEALUPDATE"] {
        client.bind_event(event).expect("the portal has the event");
    }
    for deal in 1..=DEALS {
        call(&somebody, "crm.deal.add", &json!({"fields": {"TITLE": "a deal of the benchmark"}}));
        call(&somebody, "crm.deal.update", &json!({"id": deal, "fields": {"OPPORTUNITY": "100.00"}}));
    }
    let batch = client.fetch(0).expect("the portal answers");
    assert_eq!(batch.len(), (DEALS * RECORDS_PER_DEAL) as usize);

    let (together, time) = measure(&portal, || {
        batch.objects(batch.json()).expect("the portal answers");
    });
    println!("objects of {} records, {DEALS} of them distinct: {together} requests, {time:.1} ms", batch.len());
    let (one_by_one, time) = measure(&portal, || {
        let records: Value = serde_json::from_str(batch.json()).expect("JSON");
        for record in records["events"].as_array().expect("a list") {
            call(&client, "crm.deal.get", &json!({"id": record["EVENT_DATA"]["FIELDS"]["ID"]}));
        }
    });
    println!("crm.deal.get for each record: {one_by_one} requests, {time:.1} ms");
    println!(
        "at the portal's 2 requests a second that is {:.0} s instead of {:.0} s",
        one_by_one as f64 / 2.0,
        together as f64 / 2.0
    );
}

fn call(client: &Client, method: &str, params: &Value) {
    client.call(method, &params.to_string()).expect("the portal answers");
}

/// Requests and milliseconds.
fn measure(portal: &Portal, run: impl FnOnce()) -> (u64, f64) {
    let requests = portal.emulator.counters().requests;
    let start = Instant::now();
    run();
    (portal.emulator.counters().requests - requests, start.elapsed().as_secs_f64() * 1e3)
}
