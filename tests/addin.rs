//! The 1C add-in under the host of the crate `addin1c-test`, which is compiled from the platform's own C++ headers.
//!
//! That host knows `CallAsFunc`, properties and a memory manager; it calls neither `Init` nor `Done`.

mod support;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use addin1c_test::{TestAddinLib, Variant};
use b24_emulator::{ADMINISTRATOR, Emulator};
use serde_json::{Value, json};

/// Calls a method as 1C code does.
macro_rules! call {
    ($object:expr, $name:literal $(, $value:expr)* $(,)?) => {
        $object.call_as_func(addin1c_test::name!($name), &mut [$(Variant::from_value($value)),*]).map(|value| text(&value))
    };
}

macro_rules! property {
    ($object:expr, $name:literal) => {
        text(&$object.get_property(addin1c_test::name!($name)).expect("the property can be read"))
    };
}

trait FromValue<T> {
    fn from_value(value: T) -> Self;
}

impl FromValue<&str> for Variant {
    fn from_value(value: &str) -> Variant {
        Variant::new_str(&value.encode_utf16().collect::<Vec<_>>())
    }
}

impl FromValue<&String> for Variant {
    fn from_value(value: &String) -> Variant {
        Variant::from_value(value.as_str())
    }
}

impl FromValue<i32> for Variant {
    fn from_value(value: i32) -> Variant {
        Variant::new_i32(value)
    }
}

impl FromValue<f64> for Variant {
    fn from_value(value: f64) -> Variant {
        Variant::new_f64(value)
    }
}

impl FromValue<bool> for Variant {
    fn from_value(value: bool) -> Variant {
        Variant::new_bool(value)
    }
}

impl FromValue<()> for Variant {
    fn from_value((): ()) -> Variant {
        Variant::new()
    }
}

/// What 1C would show.
fn text(value: &Variant) -> String {
    let text = value.get_str().map(String::from_utf16_lossy);
    let other = || value.get_bool().map(|value| value.to_string()).or(value.get_i32().map(|value| value.to_string()));
    text.or_else(other).unwrap_or_default()
}

fn library() -> TestAddinLib {
    TestAddinLib::new(support::shared_library()).expect("the library is an add-in")
}

macro_rules! configure {
    ($object:expr, $emulator:expr) => {{
        let (url, token) = ($emulator.portal_url(), $emulator.issue_tokens(ADMINISTRATOR).access_token);
        call!($object, "УстановитьПараметр", "portal.url", &url).expect("an address");
        call!($object, "SetParameter", "auth.access_token", &token).expect("a token");
    }};
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[test]
fn from_parameters_to_an_acknowledged_batch() {
    let emulator = Emulator::start(support::options()).unwrap();
    let library = library();
    let object = library.new_addin("B24Events").unwrap();
    assert_eq!(property!(object, "Версия"), env!("CARGO_PKG_VERSION"));
    assert_eq!(property!(object, "Connected"), "false");
    assert_eq!((property!(object, "State"), property!(object, "Statistics")), (String::new(), "{}".into()));
    configure!(object, emulator);
    assert_eq!(call!(object, "ПолучитьПараметр", "auth.access_token").unwrap(), "***");

    call!(object, "Подключить", 10_000).unwrap();
    assert_eq!(property!(object, "ПОДКЛЮЧЕНО"), "true");
    call!(object, "BindEvent", "ONCRMDEALADD").unwrap();
    emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": "5"}}), "");
    // The library itself may want to check the queue before the signal comes.
    let signal =
        (0..3).map(|_| parsed(&call!(object, "ОжидатьСобытие", 10_000).unwrap())).find(|it| it["signalled"] == true);
    assert_eq!(signal, Some(json!({"connector_id": "", "count": 1, "signalled": true})));

    let batch = parsed(&call!(object, "Fetch", 50).unwrap());
    assert_eq!(batch["batch_id"], batch["process_id"]);
    assert_eq!(batch["events"][0]["EVENT_DATA"], json!({"FIELDS": {"ID": "5"}}));
    let id = batch["batch_id"].as_str().unwrap();
    assert!(call!(object, "Acknowledge", id, ()).is_err());
    assert!(property!(object, "LastError").contains("MessageIds is Undefined"));
    call!(object, "Acknowledge", id, "").unwrap();
    assert_eq!(emulator.queue("").len(), 1, "neither Undefined nor an empty text acknowledges anything");
    call!(object, "Acknowledge", id, "*").unwrap();
    assert_eq!(emulator.queue(""), []);
    assert!(call!(object, "Acknowledge", id, "*").is_err(), "it is closed");
    assert!(property!(object, "LastError").contains("is open"));

    let answer = parsed(&call!(object, "ВызватьМетод", "crm.deal.add", r#"{"fields":{"TITLE":"Сделка"}}"#).unwrap());
    let deal = format!(r#"{{"id":{}}}"#, answer["result"]);
    let deal = parsed(&call!(object, "CallMethod", "crm.deal.get", &deal).unwrap());
    assert_eq!(deal["result"]["TITLE"], "Сделка");
    assert_eq!(emulator.queue(""), [], "the portal does not queue an application's own changes for it");
    emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": "2"}}), "");
    let batch = parsed(&call!(object, "NextBatch", 10_000).unwrap());
    assert_eq!(batch["events"][0]["EVENT_NAME"], "ONCRMDEALADD");

    call!(object, "ОтписатьсяОтСобытия", "ONCRMDEALADD").unwrap();
    call!(object, "Disconnect").unwrap();
    assert_eq!(property!(object, "Connected"), "false");
}

#[test]
fn a_beginner_is_led_to_the_first_tokens_and_to_what_is_wrong() {
    let emulator = Emulator::start(support::options()).unwrap();
    let library = library();
    let object = library.new_addin("B24Events").unwrap();
    assert!(object.get_property(addin1c_test::name!("АдресАвторизации")).is_err(), "nothing is set");
    call!(object, "УстановитьПараметр", "portal.url", &emulator.portal_url()).unwrap();
    assert!(object.get_property(addin1c_test::name!("AuthorizationAddress")).is_err(), "auth.client_id is not set");
    let application = emulator.application();
    call!(object, "УстановитьПараметр", "auth.client_id", &application.client_id).unwrap();
    call!(object, "УстановитьПараметр", "auth.client_secret", &application.client_secret).unwrap();
    call!(object, "УстановитьПараметр", "auth.server", &emulator.auth_server_url()).unwrap();
    let address = property!(object, "АдресАвторизации");
    assert_eq!(address, format!("{}/oauth/authorize/?client_id={}", emulator.portal_url(), application.client_id));
    assert_eq!(property!(object, "AuthorizationAddress"), address);

    let report = parsed(&call!(object, "Диагностика", 30_000).unwrap());
    assert_eq!(report["status"], "failed");
    assert!(report["text"]["russian"].as_str().unwrap().contains(&address), "{report}");
    call!(object, "Авторизовать", &emulator.authorization_code(ADMINISTRATOR)).unwrap();
    let report = parsed(&call!(object, "Diagnose", 30_000).unwrap());
    let failed = report["checks"].as_array().unwrap().iter().filter(|check| check["status"] == "failed");
    assert_eq!(failed.map(|check| check["id"].as_str().unwrap()).collect::<Vec<_>>(), ["bindings"], "{report}");
    call!(object, "ПодписатьсяНаСобытие", "ONCRMDEALADD").unwrap();
    call!(object, "Подключить", 10_000).unwrap();
    assert_eq!(parsed(&call!(object, "Диагностика", 30_000).unwrap())["status"], "ok");
}

#[test]
fn values_of_every_type_are_accepted_or_refused() {
    let library = library();
    let object = library.new_addin("B24Events").unwrap();
    call!(object, "SetParameter", "fetch.limit", 7).unwrap();
    call!(object, "SetParameter", "fetch.limit", 8.0).unwrap();
    assert_eq!(call!(object, "GetParameter", "fetch.limit").unwrap(), "8");
    call!(object, "SetParameter", "http.allow_plain", true).unwrap();
    assert_eq!(call!(object, "GetParameter", "http.allow_plain").unwrap(), "true");

    assert!(call!(object, "SetParameter", 1, "x").is_err());
    assert!(property!(object, "ПоследняяОшибка").contains("Key must be a string, not the number 1"));
    assert_eq!(property!(object, "КодПоследнейОшибки"), "INVALID_ARGUMENT");
    for outcome in [
        call!(object, "SetParameter", "fetch.limit", 8.5),
        call!(object, "SetParameter", "fetch.limit", ()),
        call!(object, "SetParameter", "fetch.limit", true),
        call!(object, "GetParameter", ()),
        call!(object, "WaitEvent", "soon"),
        call!(object, "WaitEvent", true),
        call!(object, "GetParameter", "no.such.key"),
    ] {
        assert!(outcome.is_err());
        assert!(property!(object, "LastError").len() > 20);
    }
    assert!(object.set_property(addin1c_test::name!("State"), &Variant::new_i32(1)).is_err());
    assert!(object.set_property(addin1c_test::name!("Version"), &Variant::from_value("x")).is_err());
    assert!(call!(object, "NoSuchMethod").is_err());
    assert!(object.get_property(addin1c_test::name!("NoSuchProperty")).is_err());
    call!(object, "GetParameter", "fetch.limit").unwrap();
    assert_eq!(property!(object, "LastError"), "", "a success clears it");
}

#[test]
fn a_portal_that_refuses_is_an_error_with_its_code() {
    let emulator = Emulator::start(support::options()).unwrap();
    let library = library();
    let object = library.new_addin("B24Events").unwrap();
    configure!(object, emulator);
    let employee = emulator.issue_tokens(b24_emulator::EMPLOYEE).access_token;
    call!(object, "SetParameter", "auth.access_token", &employee).unwrap();
    assert!(call!(object, "BindEvent", "ONCRMDEALADD").is_err());
    assert_eq!(property!(object, "LastErrorCode"), "ACCESS_DENIED");
    assert!(!property!(object, "LastError").contains(&employee));
    // The token of somebody who has the right takes effect with the next Connect.
    configure!(object, emulator);
    call!(object, "Connect", 10_000).unwrap();
    call!(object, "BindEvent", "ONCRMDEALADD").unwrap();
}

#[test]
fn another_object_continues_from_the_state_with_its_tokens() {
    let emulator = Emulator::start(support::options()).unwrap();
    let library = library();
    let application = emulator.application();
    let tokens = emulator.issue_tokens(ADMINISTRATOR);
    let url = emulator.portal_url();
    let parameters = [
        ("portal.url", url.as_str()),
        ("auth.server", &emulator.auth_server_url()),
        ("auth.client_id", &application.client_id),
        ("auth.client_secret", &application.client_secret),
        ("auth.access_token", &tokens.access_token),
        ("auth.refresh_token", &tokens.refresh_token),
        // Expired: the first call renews it, and the configured pair is no longer valid.
        ("auth.expires", "1"),
    ];
    let (state, batch) = {
        let object = library.new_addin("B24Events").unwrap();
        for (key, value) in parameters {
            call!(object, "SetParameter", key, value).unwrap();
        }
        call!(object, "Connect", 10_000).unwrap();
        call!(object, "BindEvent", "ONCRMDEALADD").unwrap();
        emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": "5"}}), "");
        let batch = parsed(&call!(object, "NextBatch", 10_000).unwrap());
        (property!(object, "Состояние"), batch)
    };
    assert!(!state.contains(&tokens.refresh_token), "it holds the new pair");
    let object = library.new_addin("B24Events").unwrap();
    for (key, value) in parameters {
        call!(object, "SetParameter", key, value).unwrap();
    }
    object.set_property(addin1c_test::name!("State"), &Variant::from_value(&state)).unwrap();
    call!(object, "Connect", 10_000).unwrap();
    let again = parsed(&call!(object, "NextBatch", 10_000).unwrap());
    assert_eq!(again["batch_id"], batch["batch_id"]);
    call!(object, "Acknowledge", again["batch_id"].as_str().unwrap(), "*").unwrap();
    assert_eq!(emulator.queue(""), []);
}

#[test]
fn one_object_that_waits_does_not_delay_another() {
    let emulator = Emulator::start(support::options()).unwrap();
    let (waits, waiting) = mpsc::channel();
    thread::scope(|scope| {
        // The host's objects belong to one thread, so each thread loads the library for itself, as background jobs do.
        let emulator = &emulator;
        let waiter = scope.spawn(move || {
            let library = library();
            let object = library.new_addin("B24Events").unwrap();
            configure!(object, emulator);
            call!(object, "Connect", 10_000).unwrap();
            call!(object, "BindEvent", "ONCRMDEALADD").unwrap();
            waits.send(()).unwrap();
            // The library itself wants to check the queue first.
            while parsed(&call!(object, "WaitEvent", -1).unwrap())["signalled"] == false {}
        });
        waiting.recv().unwrap();
        thread::sleep(Duration::from_millis(300));
        let library = library();
        let object = library.new_addin("B24Events").unwrap();
        configure!(object, emulator);
        for _ in 0..100 {
            call!(object, "GetParameter", "portal.url").unwrap();
        }
        call!(object, "CallMethod", "crm.deal.list", "{}").unwrap();
        assert!(!waiter.is_finished(), "it waits without a limit");
        emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": "5"}}), "");
        waiter.join().unwrap();
    });
}

#[test]
fn failed_records_are_fetched_again_and_tokens_can_be_set() {
    let emulator = Emulator::start(support::options()).unwrap();
    let library = library();
    let object = library.new_addin("B24Events").unwrap();
    configure!(object, emulator);
    call!(object, "УстановитьПараметр", "auth.renew", "host").unwrap();
    call!(object, "ПодписатьсяНаСобытие", "ONCRMDEALADD").unwrap();
    emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": "5"}}), "");
    let batch = parsed(&call!(object, "ПолучитьЗаписи", 50).unwrap());
    let id = batch["events"][0]["MESSAGE_ID"].as_str().unwrap();
    let objects = parsed(&call!(object, "ПолучитьОбъекты", batch["batch_id"].as_str().unwrap()).unwrap());
    assert_eq!(objects[id]["status"], "error", "nobody has added this deal: {objects}");
    assert_eq!(call!(object, "ПолучитьОбъекты", "").unwrap(), "{}");
    assert!(call!(object, "ПолучитьОбъекты", "no such batch").is_err());
    call!(object, "ОтметитьОшибочные", batch["batch_id"].as_str().unwrap(), id).unwrap();
    let failed = parsed(&call!(object, "ПолучитьОшибочные", 50).unwrap());
    assert_eq!(failed["events"][0]["MESSAGE_ID"], id);
    call!(object, "Подтвердить", failed["batch_id"].as_str().unwrap(), "*").unwrap();
    assert_eq!(emulator.queue(""), []);
    call!(object, "НайтиПотерянные").unwrap();

    emulator.control(b24_emulator::Control::ExpireTokens);
    assert!(call!(object, "ВызватьМетод", "profile", "{}").is_err());
    assert_eq!(
        (property!(object, "LastErrorCode"), property!(object, "ОшибкаВременная")),
        ("expired_token".into(), "false".into())
    );
    call!(object, "УстановитьТокены", &emulator.issue_tokens(ADMINISTRATOR).access_token, "", 0).unwrap();
    let answers = parsed(&call!(object, "ВызватьМетоды", r#"{"who":{"method":"profile"}}"#).unwrap());
    assert_eq!(answers["results"]["who"]["ID"], "1", "{answers}");

    let application = emulator.application();
    for (key, value) in [
        ("auth.client_id", &application.client_id),
        ("auth.client_secret", &application.client_secret),
        ("auth.server", &emulator.auth_server_url()),
    ] {
        call!(object, "SetParameter", key, value).unwrap();
    }
    call!(object, "Connect", 10_000).unwrap();
    call!(object, "Авторизовать", &emulator.authorization_code(ADMINISTRATOR)).unwrap();
    call!(object, "ВызватьМетод", "profile", "{}").unwrap();
    emulator.control(
        serde_json::from_value(json!({"fail_next": {"method": "profile", "status": 502, "body": "x"}})).unwrap(),
    );
    assert!(call!(object, "ВызватьМетод", "profile", "{}").is_err());
    assert_eq!(property!(object, "ОшибкаВременная"), "true");
}

#[test]
fn an_http_service_of_1c_accepts_the_portals_calls() {
    let emulator = Emulator::start(support::options()).unwrap();
    let application = emulator.application();
    let library = library();
    let object = library.new_addin("B24Events").unwrap();
    configure!(object, emulator);
    call!(object, "SetParameter", "handler.application_token", &application.application_token).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let body = json!({"event": "ONOFFLINEEVENT", "ts": now, "auth": {
        "domain": emulator.portal_url().replace("http://", ""), "member_id": application.member_id,
        "application_token": application.application_token}});
    assert_eq!(call!(object, "ПринятьВызовОбработчика", &body.to_string()).unwrap(), "200");
    assert_eq!(call!(object, "AcceptHandlerCall", "event=ONOFFLINEEVENT").unwrap(), "403");
    assert_eq!(call!(object, "AcceptHandlerCall", "нечто").unwrap(), "400");
    assert_eq!(call!(object, "AcceptHandlerCall", "").unwrap(), "400");
    assert_eq!(parsed(&property!(object, "Statistics"))["handler_calls"], 1);

    let bound = |url: &str| {
        let answer = parsed(&call!(object, "CallMethod", "event.get", "{}").unwrap());
        answer["result"].as_array().unwrap().iter().any(|binding| binding["handler"] == url)
    };
    let url = "http://127.0.0.1:1/b24";
    call!(object, "ЗарегистрироватьОбработчик", url, ()).unwrap();
    call!(object, "BindHandler", url, 5).unwrap();
    assert!(bound(url));
    call!(object, "СнятьОбработчик", url).unwrap();
    assert!(!bound(url));
    call!(object, "BindHandler", url, ()).unwrap();
    assert!(call!(object, "UnbindHandler", ()).is_err(), "Undefined does not mean all");
    assert!(bound(url));
    call!(object, "UnbindHandler", "*").unwrap();
    assert!(!bound(url));
    assert!(call!(object, "BindHandler", url, -1).is_err());
    assert!(property!(object, "LastError").contains("MinPauseS"));

    // The port of the component itself.
    call!(object, "SetParameter", "source", "handler").unwrap();
    call!(object, "SetParameter", "handler.listen", "127.0.0.1:0").unwrap();
    call!(object, "Connect", 10_000).unwrap();
    assert_eq!(property!(object, "Connected"), "true");
    let url = format!("http://{}/b24", parsed(&property!(object, "Statistics"))["handler_address"].as_str().unwrap());
    call!(object, "BindHandler", &url, 0).unwrap();
    call!(object, "BindEvent", "ONCRMDEALADD").unwrap();
    emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": "5"}}), "");
    let batch = parsed(&call!(object, "NextBatch", 10_000).unwrap());
    call!(object, "Acknowledge", batch["batch_id"].as_str().unwrap(), "*").unwrap();
    call!(object, "Disconnect").unwrap();
    assert!(std::net::TcpStream::connect(url.replace("http://", "").replace("/b24", "")).is_err());
}

#[test]
fn assigning_an_earlier_state_to_a_connected_object_loses_nothing() {
    let emulator = Emulator::start(support::options()).unwrap();
    let library = library();
    let object = library.new_addin("B24Events").unwrap();
    configure!(object, emulator);
    call!(object, "Connect", 10_000).unwrap();
    call!(object, "BindEvent", "ONCRMDEALADD").unwrap();
    let early = property!(object, "State");
    emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": "5"}}), "");
    let batch = parsed(&call!(object, "NextBatch", 10_000).unwrap());
    let id = batch["batch_id"].as_str().unwrap();
    for written in ["", early.as_str()] {
        object.set_property(addin1c_test::name!("State"), &Variant::from_value(written)).unwrap();
        call!(object, "Disconnect").unwrap();
        assert!(property!(object, "State").contains(id), "after writing {written:?}");
        call!(object, "Connect", 10_000).unwrap();
        assert_eq!(parsed(&call!(object, "Fetch", 50).unwrap())["batch_id"], id);
    }
    call!(object, "Acknowledge", id, "*").unwrap();
    assert_eq!(emulator.queue(""), []);
}
