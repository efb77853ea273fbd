//! What is inconvenient about the real portal, as its PHP has it.

mod common;

use b24_emulator::{Conditions, Control, EMPLOYEE, ExpireAction, Options, Plan};
use common::{Client, SendJson, json_of, messages, quick, text_of};
use serde_json::{Value, json};

fn ids(events: &Value) -> Vec<&str> {
    events.as_array().unwrap().iter().map(|event| event["ID"].as_str().unwrap()).collect()
}

fn queued(client: &Client) -> [usize; 3] {
    ["", "OneC", "Other"].map(|connector| client.emulator.queue(connector).len())
}

#[test]
fn only_the_parameters_of_a_method_come_in_any_case() {
    let client = Client::new(quick());
    let token = client.tokens.access_token.clone();
    assert_eq!(client.form("/rest/profile", &format!("AUTH={token}")).1["error"], "NO_AUTH_FOUND");
    assert_eq!(client.form("/rest/profile", &format!("access_token={token}")).0, 200);
    client.bind("ONCRMDEALADD", "");
    client.bind("ONCRMDEALADD", "OneC");
    for number in 0..60 {
        client.emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": number}}), "");
    }
    let fetched = client.call("event.offline.get", json!({"LIMIT": 1, "Clear": "0", "AUTH_CONNECTOR": "OneC"}));
    assert_eq!(ids(&fetched["events"]), ["1"], "without its exact name the key is not seen");
    let (_, page) = client.rest("event.offline.list", json!({"START": 50, "FILTER": {">ID": 4}}));
    assert_eq!((&page["next"], &page["total"]), (&json!(50), &json!(58)), "the first page");
    let (_, page) = client.rest("event.offline.list", json!({"start": 50, "FILTER": {">ID": 4}}));
    assert_eq!((&page["next"], ids(&page["result"]).len()), (&Value::Null, 8));
}

#[test]
fn the_header_comes_before_the_parameters() {
    let client = Client::new(quick());
    let token = client.tokens.access_token.clone();
    let with = |header: &str, parameter: &str| {
        let request = client.agent.post(client.url("/rest/profile")).header("Authorization", header);
        json_of(request.send_json(json!({"auth": parameter})).unwrap())
    };
    assert_eq!(with("Bearer nonsense", &token).1["error"], "invalid_token");
    assert_eq!(with(&format!("bearer  {token}"), "nonsense").0, 200);
    assert_eq!(with("Basic nonsense", &token).0, 200);
}

#[test]
fn a_webhook_is_another_application_without_connectors() {
    let client = Client::new(Options { auth_connector_allowed: false, ..quick() });
    client.emulator.control(Control::Plan(Plan { offline_extended: true, auth_connector: true }));
    ["", "OneC", "Other"].iter().for_each(|connector| client.bind("ONCRMDEALADD", connector));
    client.emulator.control(Control::Plan(Plan { offline_extended: true, auth_connector: false }));
    client.by_webhook("crm.deal.add", json!({"auth_connector": "OneC"}));
    assert_eq!(queued(&client), [1, 1, 1]);
}

#[test]
fn own_changes_are_left_out_by_the_key_of_the_call() {
    let client = Client::new(quick());
    ["", "OneC", "Other"].iter().for_each(|connector| client.bind("ONCRMDEALADD", connector));
    client.call("crm.deal.add", json!({}));
    assert_eq!(queued(&client), [0, 1, 1], "a call without a key is an own change of the queue without one");
    client.call("crm.deal.add", json!({"auth_connector": "OneC"}));
    assert_eq!(queued(&client), [1, 1, 2]);
    let employee = client.emulator.issue_tokens(EMPLOYEE).access_token;
    client.rest_as(&employee, "crm.deal.add", json!({}));
    assert_eq!(queued(&client), [1, 2, 3], "whoever the user is");
    client.call("batch", json!({"cmd": ["crm.deal.add"], "auth_connector": "Other"}));
    assert_eq!(queued(&client), [2, 3, 3]);
    client.emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": 9}}), "");
    assert_eq!(queued(&client), [3, 4, 4]);
}

#[test]
fn operations_of_filters() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    for number in 0..3 {
        client.emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": number}}), "");
    }
    let get = |filter: Value| client.rest("event.offline.get", json!({"clear": 0, "filter": filter}));
    for (operation, argument) in [("@", json!("1")), ("%", json!("1"))] {
        let (status, body) = get(json!({format!("{operation}ID"): argument}));
        assert_eq!((status, &body["error"]), (400, &json!("ERROR_ARGUMENT")));
        assert_eq!(body["error_description"], format!("Unknown operator `{operation}`"));
    }
    let (status, body) = get(json!({">ID": ["1"]}));
    assert_eq!((status, &body["argument"]), (400, &json!(">ID")));
    assert_eq!(body["error_description"], "The value of an argument '>ID' has an invalid type");
    let (status, body) = get(json!({">TIMESTAMP_X": "2020-01-01T00:00:00+03:00"}));
    assert_eq!((status, &body["argument"]), (400, &json!(">TIMESTAMP_X")), "PHP makes an object of it first");

    let list = |filter: Value| client.call("event.offline.list", json!({"filter": filter}));
    assert_eq!(ids(&list(json!({"@ID": "2"}))), ["2"]);
    assert_eq!(ids(&list(json!({"%EVENT_NAME": "deal"}))).len(), 3);
    assert_eq!(ids(&list(json!({">TIMESTAMP_X": "2020-01-01T00:00:00+03:00"}))).len(), 3);
    let fetched = client.call("event.offline.get", json!({"clear": 0, "filter": {">=ID": 2}}));
    assert_eq!(ids(&fetched["events"]), ["2", "3"]);
    let again = json!({"clear": 0, "process_id": fetched["process_id"], "filter": {"@ID": "3"}});
    assert_eq!(ids(&client.call("event.offline.get", again)["events"]), ["3"], "a reservation is read differently");
}

#[test]
fn refusals_have_the_vendors_texts() {
    let client = Client::new(quick());
    let refused = |method: &str, params: Value| {
        let (status, body) = client.rest(method, params);
        assert!(body.get("time").is_none(), "{body}");
        (status, body["error"].clone(), body["error_description"].as_str().unwrap().to_owned())
    };
    client.emulator.control(Control::Plan(Plan { offline_extended: false, auth_connector: false }));
    let licence = |feature: &str| {
        (403, json!("WRONG_LICENSE"), format!("This feature is not enabled for the current license: {feature}"))
    };
    let reserving = licence("extended offline events handling");
    assert_eq!(refused("event.offline.get", json!({"clear": 0})), reserving);
    assert_eq!(refused("event.offline.get", json!({"clear": 0, "process_id": "P"})), reserving);
    assert_eq!(refused("profile", json!({"auth_connector": "OneC"})), licence("auth_connector"));

    client.emulator.control(Control::Scope { scope: "user_brief".to_owned() });
    let privileges = "The request requires higher privileges than provided by the access token".to_owned();
    assert_eq!(refused("crm.deal.list", json!({})), (401, json!("insufficient_scope"), privileges));
    let batch = client.call("batch", json!({"cmd": {"a": "crm.deal.list"}}));
    assert_eq!(batch["result_error"]["a"], json!({"error": "insufficient_scope", "error_description": ""}));

    client.emulator.control(Control::ExpireTokens);
    let expired = "The access token provided has expired".to_owned();
    assert_eq!(refused("profile", json!({})), (401, json!("expired_token"), expired));
    let (_, body) = client.rest_as("x", "event.offline.get", json!({}));
    assert!(body.get("time").is_none());
}

#[test]
fn the_argument_that_is_wrong_is_named_as_the_vendor_misspells_it() {
    let client = Client::new(quick());
    let (_, body) = client.rest("event.offline.clear", json!({"process_id": "p", "message_id": ["short"]}));
    assert_eq!(body["argument"], "messsage_id");
    let (_, body) = client.rest("event.offline.clear", json!({"process_id": "p", "message_id": "text"}));
    assert_eq!(body["argument"], "message_id");
}

#[test]
fn an_applications_channel_expires_with_get_config_and_its_client_id() {
    let client = Client::new(Options { hold: std::time::Duration::from_secs(30), ..Options::default() });
    let config = client.call("pull.application.config.get", json!({}));
    let poll = client.poll_held(&client.subscription());
    client.emulator.control(Control::ExpireChannel { command: true, action: ExpireAction::GetConfig });
    let message = messages(&text_of(poll.join().unwrap().unwrap()))[0]["text"].clone();
    let params = &message["params"];
    assert_eq!((&message["command"], &params["action"]), (&json!("channel_expire"), &json!("get_config")));
    let client_id = client.emulator.application().client_id;
    assert_eq!(params["channel"], json!({"id": config["channels"]["shared"]["id"], "type": client_id}));
    let renewed = client.call("pull.application.config.get", json!({}))["channels"]["shared"].clone();
    let new = &params["new_channel"];
    assert_eq!((&new["id"], &new["type"]), (&renewed["id"], &json!(client_id)));
    assert!(new["start"].is_string() && new["end"].is_string(), "{new}");
}

#[test]
fn a_channel_that_is_over_expires_so_by_itself() {
    let ttl = std::time::Duration::from_secs(1);
    let client = Client::new(Options { hold: ttl * 30, channel_ttl: ttl, ..Options::default() });
    let poll = client.poll_held(&client.subscription());
    let message = messages(&text_of(poll.join().unwrap().unwrap()))[0]["text"].clone();
    assert_eq!(message["params"]["action"], "get_config");
    assert_eq!(message["params"]["channel"]["type"], client.emulator.application().client_id);
}

#[test]
fn cache_and_reopen_take_any_text() {
    let client = Client::new(quick());
    let config = |params: Value| client.call("pull.application.config.get", params)["channels"].clone();
    let usual = config(json!({}));
    for params in [json!({"CACHE": "N", "REOPEN": "N"}), json!({"cache": true, "reopen": 0}), json!({"CACHE": ["x"]})] {
        assert_eq!(config(params), usual);
    }
}

#[test]
fn clear_is_a_number_of_php() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    client.emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": 1}}), "");
    for clear in [json!("N"), json!("Y"), json!("false"), json!(false), json!([]), json!("0x1")] {
        assert!(client.call("event.offline.get", json!({"clear": clear}))["process_id"].is_string(), "{clear}");
    }
    for clear in [json!("1N"), json!(true), json!(null), json!(-1), json!(["N"])] {
        assert!(client.call("event.offline.get", json!({"clear": clear}))["process_id"].is_null(), "{clear}");
    }
}

#[test]
fn a_failed_record_swallows_later_changes_until_it_was_fetched() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALUPDATE", "");
    let change = || client.emulator.make_event("ONCRMDEALUPDATE", json!({"FIELDS": {"ID": "1"}}), "");
    let get = |error: u32| client.call("event.offline.get", json!({"clear": 0, "error": error}));
    change();
    let first = get(0);
    let message = first["events"][0]["MESSAGE_ID"].clone();
    client.call("event.offline.error", json!({"process_id": first["process_id"], "message_id": [message]}));
    let published = client.emulator.counters().messages_published;
    change();
    assert_eq!(client.emulator.counters().messages_published, published + 1, "the signal comes all the same");
    assert_eq!(get(0)["events"], json!([]), "merged into the failed record");
    let failed = get(1);
    assert_eq!(ids(&failed["events"]), ["1"]);
    change();
    assert_eq!(ids(&get(0)["events"]), ["2"], "while the failed one is reserved a new record begins");
}

#[test]
fn the_token_answer_names_the_authorization_server() {
    let client = Client::new(quick());
    let application = client.emulator.application();
    let form = format!(
        "grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}",
        application.client_id, application.client_secret, client.tokens.refresh_token
    );
    let (status, pair) = client.form("/oauth/token/", &form);
    assert_eq!(status, 200);
    let portal = client.emulator.address().to_string();
    assert_ne!(pair["domain"], portal);
    assert_eq!(pair["server_endpoint"], format!("http://{}/rest/", pair["domain"].as_str().unwrap()));
    assert_eq!(pair["client_endpoint"], format!("http://{portal}/rest/"));
}

#[test]
fn the_last_success_tells_when_a_blocked_method_is_free_again() {
    let client = Client::new(quick());
    let limit = Control::OperatingLimit { method: "profile".into(), seconds: 60, announced: true };
    client.emulator.control(limit);
    let (status, last) = client.rest("profile", json!({}));
    assert_eq!((status, &last["time"]["operating"]), (200, &json!(420.0)));
    let ends_in = last["time"]["operating_reset_at"].as_i64().unwrap() - last["time"]["start"].as_f64().unwrap() as i64;
    assert!((59..=61).contains(&ends_in), "{last}");
    let text = "Method is blocked due to operation time limit.";
    let blocked = json!({"error": "OPERATION_TIME_LIMIT", "error_description": text});
    assert_eq!(client.rest("profile", json!({})), (429, blocked));
    client.call("server.time", json!({}));
}

#[test]
fn a_profile_has_the_vendors_fields() {
    let client = Client::new(quick());
    let profile = client.call("profile", json!({}));
    let fields: Vec<&str> = profile.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = ["ID", "ADMIN", "NAME", "LAST_NAME", "PERSONAL_GENDER", "TIME_ZONE"];
    expected.sort_unstable();
    assert_eq!((fields, &profile["ID"], &profile["ADMIN"]), (expected.to_vec(), &json!("1"), &json!(true)));
}

#[test]
fn a_dismissed_user_is_not_authorized() {
    let client = Client::new(quick());
    client.emulator.control(Control::Conditions(Conditions { user_dismissed: true, ..Conditions::default() }));
    let refusal = json!({"error": "authorization_error", "error_description": "Unable to authorize user"});
    assert_eq!(client.rest("profile", json!({})), (401, refusal));
    client.by_webhook("profile", json!({}));
}

#[test]
fn an_employee_unbinds_his_own_handler_by_number() {
    let client = Client::new(quick());
    let employee = client.emulator.issue_tokens(EMPLOYEE).access_token;
    let params = |user: Value| json!({"event": "ONCRMDEALADD", "handler": "http://127.0.0.1:1/", "auth_type": user});
    assert_eq!(client.rest_as(&employee, "event.bind", params(json!(EMPLOYEE.to_string()))).0, 200);
    let (_, refusal) = client.rest_as(&employee, "event.unbind", params(json!(EMPLOYEE.to_string())));
    assert_eq!(refusal["error"], "ACCESS_DENIED", "a text is never the same as a number");
    let (_, unbound) = client.rest_as(&employee, "event.unbind", params(json!(EMPLOYEE)));
    assert_eq!(unbound["result"], json!({"count": 1}));
}
