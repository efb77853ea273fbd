//! The modules of `examples_1c/` at work: an interpreter runs them with the real component against a portal.

mod collections;
mod component;
mod functions;
mod interpreter;
mod platform;
mod registers;
#[path = "../support/mod.rs"]
mod support;
mod syntax;
mod value;

use std::fs;
use std::path::Path;
use std::thread;

use addin1c_test::TestAddinLib;
use b24_emulator::ADMINISTRATOR;
use interpreter::Interpreter;
use platform::{Base, Platform};
use serde_json::{Value as Json, json};
use support::{Portal, until};
use value::Raise;

const CONSUMER: &str = "Битрикс24_Сервер";
const ENABLED: &str = "ПриниматьСобытияБитрикс24";

/// An information base with the examples in it, configured for a portal.
fn base_for(portal: &Portal) -> Base {
    let base = Base::default();
    let tokens = portal.emulator.issue_tokens(ADMINISTRATOR);
    let application = portal.emulator.application();
    let settings = json!({
        "portal.url": portal.emulator.portal_url(),
        "auth.server": portal.emulator.auth_server_url(),
        "auth.client_id": application.client_id,
        "auth.client_secret": application.client_secret,
        "auth.access_token": tokens.access_token,
        "auth.refresh_token": tokens.refresh_token,
        "connector.id": "OneC",
    });
    base.with(|tables| {
        tables.constants.insert(ENABLED.into(), json!(true));
        tables.secrets.insert((CONSUMER.into(), "Параметры".into()), settings);
    });
    base
}

/// A session of 1C on a thread of its own that calls a routine of a module.
fn session(base: &Base, module: &'static str, routine: &'static str) -> thread::JoinHandle<Result<(), String>> {
    let base = base.clone();
    thread::spawn(move || {
        let library = Box::leak(Box::new(TestAddinLib::new(support::shared_library()).expect("an add-in")));
        let source = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples_1c").join(format!("{name}.bsl"));
            fs::read_to_string(path).expect("the module")
        };
        let modules = ["РаботаСБитрикс24", "СделкиБитрикс24"].map(|name| (name, source(name)));
        let interpreter = Interpreter::new(modules.into(), Platform::new(base, library));
        match interpreter.call(module, routine, Vec::new()) {
            Ok(_) => Ok(()),
            Err(Raise::Exception(text)) => Err(text),
            Err(Raise::Mistake(text)) => panic!("{text}"),
        }
    })
}

fn deals(base: &Base) -> Vec<Json> {
    base.with(|tables| tables.registers.get("СделкиБитрикс24").cloned().unwrap_or_default())
        .into_iter()
        .map(Json::Object)
        .collect()
}

#[test]
fn changes_reach_the_base_until_the_constant_stops_the_job() {
    let portal = Portal::start();
    let somebody = portal.client_with(&[("connector.id", "")]);
    let call = |method: &str, params: Json| somebody.call(method, &params.to_string()).expect("the portal answers");
    let base = base_for(&portal);
    let job = session(&base, "РаботаСБитрикс24", "ПриниматьСобытия");
    // It has bound its events and looks into the queue.
    portal.wait_for("event.offline.get");
    call("crm.deal.add", json!({"fields": {"TITLE": "Заказ", "OPPORTUNITY": "1234.50"}}));
    until("the deal is there", || deals(&base).iter().any(|deal| deal["Название"] == "Заказ"));
    assert_eq!(deals(&base)[0]["Сумма"], 1234.5);
    call("crm.deal.update", json!({"id": 1, "fields": {"TITLE": "Заказ 2"}}));
    until("it is changed", || deals(&base).iter().any(|deal| deal["Название"] == "Заказ 2"));
    call("crm.deal.delete", json!({"id": 1}));
    until("it is gone", || deals(&base).is_empty());
    base.with(|tables| tables.constants.insert(ENABLED.into(), json!(false)));
    job.join().unwrap().expect("it ends by itself");
    assert_eq!(portal.emulator.queue("OneC"), []);
}
