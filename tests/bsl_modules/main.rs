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
use std::thread::{self, JoinHandle};

use addin1c_test::TestAddinLib;
use b24_emulator::ADMINISTRATOR;
use b24events::client::Client;
use interpreter::Interpreter;
use platform::{Base, Platform};
use serde_json::{Value as Json, json};
use support::{Portal, until};
use value::Raise;

const CONSUMER: &str = "Битрикс24_Сервер";
const REPLAY: &str = "ПовторитьОшибочныеБитрикс24";
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
        tables.constants = [(ENABLED, true), (REPLAY, false), ("КомпонентаБитрикс24Неизолированно", false)]
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .into();
        tables.connection = "Srvr=\"accounts\";Ref=\"live\";".into();
        tables.has_standard_subsystems = true;
        tables.secrets.insert((CONSUMER.into(), "Параметры".into()), settings);
    });
    base
}

/// A session of 1C on a thread of its own that calls a routine of a module.
fn session(base: &Base, module: &'static str, routine: &'static str) -> JoinHandle<Result<(), String>> {
    let base = base.clone();
    thread::spawn(move || {
        let library = Box::leak(Box::new(TestAddinLib::new(support::shared_library()).expect("an add-in")));
        let source = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples_1c").join(format!("{name}.bsl"));
            fs::read_to_string(path).expect("the module")
        };
        let modules = ["РаботаСБитрикс24", "СделкиБитрикс24", "БиблиотекаБитрикс24"].map(|name| (name, source(name)));
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

/// The job of the examples, and somebody who changes deals in the portal.
struct Reception {
    portal: Portal,
    somebody: Client,
    base: Base,
    job: JoinHandle<Result<(), String>>,
}

impl Reception {
    fn start() -> Reception {
        let portal = Portal::start();
        let base = base_for(&portal);
        Reception::start_with(portal, base)
    }

    fn start_with(portal: Portal, base: Base) -> Reception {
        let somebody = portal.client_with(&[("connector.id", "")]);
        let job = session(&base, "РаботаСБитрикс24", "ПриниматьСобытия");
        // It has bound its events and looks into the queue.
        portal.wait_for("event.offline.get");
        Reception { portal, somebody, base, job }
    }

    fn call(&self, method: &str, params: Json) {
        self.somebody.call(method, &params.to_string()).expect("the portal answers");
    }

    fn add(&self, title: &str) {
        self.call("crm.deal.add", json!({"fields": {"TITLE": title, "OPPORTUNITY": "1234.50"}}));
    }

    fn has(&self, title: &str) -> bool {
        deals(&self.base).iter().any(|deal| deal["Название"] == title)
    }

    fn expect(&self, title: &str) {
        until(title, || self.has(title));
    }

    fn log(&self) -> String {
        self.base.with(|tables| tables.log.iter().map(|(level, text)| format!("{level}: {text}\n")).collect())
    }

    /// Switches the constant off and waits for the job.
    fn stop(self) -> (Portal, Base) {
        self.base.with(|tables| tables.constants.insert(ENABLED.into(), json!(false)));
        self.job.join().unwrap().expect("it ends by itself");
        (self.portal, self.base)
    }
}

fn is_enabled(base: &Base) -> bool {
    base.with(|tables| tables.constants[ENABLED] == true)
}

#[test]
fn changes_reach_the_base_until_the_constant_stops_the_job() {
    let reception = Reception::start();
    reception.add("Заказ");
    reception.expect("Заказ");
    assert_eq!(deals(&reception.base)[0]["Сумма"], 1234.5);
    reception.call("crm.deal.update", json!({"id": 1, "fields": {"TITLE": "Заказ 2"}}));
    reception.expect("Заказ 2");
    reception.call("crm.deal.delete", json!({"id": 1}));
    until("it is gone", || deals(&reception.base).is_empty());
    assert_eq!(reception.log(), "");
    let (portal, _) = reception.stop();
    assert_eq!(portal.emulator.queue("OneC"), []);
}

#[test]
fn the_next_job_goes_on_with_renewed_tokens_and_without_the_standard_subsystems() {
    let portal = Portal::start();
    let base = base_for(&portal);
    base.with(|tables| {
        tables.has_standard_subsystems = false;
        let settings = tables.secrets.remove(&(CONSUMER.into(), "Параметры".into())).unwrap();
        let row = json!({"Потребитель": CONSUMER, "Ключ": "Параметры", "Значение": settings});
        tables.registers.insert("СекретыБитрикс24".into(), vec![row.as_object().unwrap().clone()]);
    });
    let reception = Reception::start_with(portal, base);
    reception.portal.control(json!("expire_tokens"));
    reception.add("первая");
    reception.expect("первая");
    let (portal, base) = reception.stop();
    assert!(portal.emulator.counters().renewals > 0);
    base.with(|tables| tables.constants.insert(ENABLED.into(), json!(true)));
    let reception = Reception::start_with(portal, base);
    reception.add("вторая");
    reception.expect("вторая");
    reception.stop();
}

#[test]
fn troubles_that_pass_do_not_end_the_job() {
    let reception = Reception::start();
    for _ in 0..6 {
        reception.portal.control(json!({"fail_next": {"method": "event.offline.get", "status": 503}}));
    }
    reception.portal.control(json!({"fail_next": {"method": "batch", "status": 503}}));
    reception.portal.control(json!("restart_push"));
    reception.add("после сбоя");
    reception.expect("после сбоя");
    assert!(is_enabled(&reception.base), "{}", reception.log());
    reception.stop();
}

#[test]
fn a_blocked_method_defers_records_and_marks_none_as_failed() {
    let reception = Reception::start();
    reception.portal.control(json!({"operating_limit": {"method": "crm.deal.get", "seconds": 2}}));
    reception.add("отложенная");
    reception.expect("отложенная");
    assert!(!reception.log().contains("не обработана"), "{}", reception.log());
    let (portal, _) = reception.stop();
    assert_eq!(portal.emulator.queue("OneC"), []);
}

#[test]
fn a_record_that_fails_is_replayed_by_the_second_job() {
    let reception = Reception::start();
    // Its data names no deal, so it cannot be processed.
    reception.portal.emulator.make_event("ONCRMDEALUPDATE", json!({"FIELDS": {}}), "");
    until("it is logged", || reception.log().contains("не обработана"));
    reception.add("после ошибочной");
    reception.expect("после ошибочной");
    let failures = || reception.log().matches("не обработана").count();
    assert_eq!(failures(), 1, "only fetch_failed returns it");
    session(&reception.base, "РаботаСБитрикс24", "ПовторитьОшибочные").join().unwrap().unwrap();
    until("it is tried again", || failures() == 2);
    let (portal, _) = reception.stop();
    assert_eq!(portal.emulator.queue("OneC").len(), 1, "it stays in the portal");
}

#[test]
fn tokens_that_died_switch_the_reception_off() {
    let reception = Reception::start();
    reception.portal.control(json!("revoke_tokens"));
    reception.portal.signal(1);
    let error = reception.job.join().unwrap().unwrap_err();
    assert!(error.contains("authorize the application again"), "{error}");
    assert!(!is_enabled(&reception.base));
    let log = reception.base.with(|tables| tables.log.clone());
    assert!(log.iter().any(|(_, text)| text.contains("Приём выключен")), "{log:?}");
}

#[test]
fn a_copy_of_the_base_leaves_the_tokens_alone() {
    let (portal, base) = Reception::start().stop();
    base.with(|tables| {
        tables.connection = "File=\"C:\\copy\"".into();
        tables.constants.insert(ENABLED.into(), json!(true));
    });
    let requests = portal.emulator.counters().requests;
    session(&base, "РаботаСБитрикс24", "ПриниматьСобытия").join().unwrap().unwrap();
    assert!(!is_enabled(&base));
    assert_eq!(portal.emulator.counters().requests, requests);
}
