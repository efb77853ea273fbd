//! The portal's manners: authorization, batches, lists, limits, faults.

mod common;

use std::time::{Duration, Instant};

use b24_emulator::{
    ADMINISTRATOR, ConfigSpelling, Control, DelayNext, DropNext, DropWhen, EMPLOYEE, Emulator, FailNext, Limits,
    Options,
};
use common::{Client, SendJson, json_of, quick, text_of};
use serde_json::{Value, json};

#[test]
fn every_way_to_give_a_token() {
    let client = Client::new(quick());
    let token = client.tokens.access_token.clone();
    let url = client.url("/rest/Profile.json");
    let in_query = client.agent.get(format!("{url}?auth={token}")).call().unwrap();
    let bearer = client.agent.get(&url).header("Authorization", format!("Bearer {token}")).call().unwrap();
    let (_, form) = client.form("/rest/profile", &format!("access_token={token}"));
    assert_eq!(json_of(in_query).1["result"], form["result"]);
    assert_eq!(json_of(bearer).1["result"], form["result"]);
    assert_eq!(client.call("profile", json!({})), form["result"]);
    assert_eq!(form["result"]["ID"], "1");
    assert!(form["time"]["operating_reset_at"].is_i64());

    assert_eq!(client.form("/rest/profile", "").1["error"], "NO_AUTH_FOUND");
    assert_eq!(
        client.form("/rest/profile", "auth=nonsense"),
        (
            401,
            json!({
                "error": "invalid_token", "error_description": "Unable to get application by token"
            })
        )
    );
    assert_eq!(client.form("/rest/no.such.method", "").0, 404);
    assert_eq!(client.form("/nowhere", "").0, 404);
}

#[test]
fn webhooks_have_no_application() {
    let client = Client::new(quick());
    let webhook = client.emulator.webhook_url();
    let call = |method: &str| json_of(client.agent.post(format!("{webhook}{method}")).send_json(json!({})).unwrap());
    assert_eq!(call("crm.deal.add").1["result"], 1);
    for method in ["event.get", "event.offline.get", "pull.application.config.get", "pull.application.event.add"] {
        let (status, body) = call(method);
        assert_eq!((status, &body["error"]), (403, &json!("WRONG_AUTH_TYPE")), "{method}");
    }
    assert_eq!(client.form("/rest/1/wrong/profile", "").1["error"], "INVALID_CREDENTIALS");
}

#[test]
fn tokens_are_renewed_once() {
    let client = Client::new(quick());
    let application = client.emulator.application();
    let keys = format!("client_id={}&client_secret={}", application.client_id, application.client_secret);
    let renew =
        |token: &str| client.form("/oauth/token/", &format!("grant_type=refresh_token&{keys}&refresh_token={token}"));
    client.emulator.control(Control::ExpireTokens);
    assert_eq!(client.refusal("profile", json!({})), (401, "expired_token".to_owned()));
    let (status, new) = renew(&client.tokens.refresh_token);
    assert_eq!((status, &new["expires_in"], &new["user_id"]), (200, &json!(3600), &json!(1)));
    assert_eq!(new["member_id"], application.member_id);
    assert!(new["client_endpoint"].as_str().unwrap().starts_with(&client.emulator.portal_url()));
    assert_eq!(client.rest_as(new["access_token"].as_str().unwrap(), "profile", json!({})).0, 200);
    assert_eq!(renew(&client.tokens.refresh_token).1["error"], "invalid_grant");
    client.emulator.control(Control::RevokeTokens);
    assert_eq!(renew(new["refresh_token"].as_str().unwrap()).1["error"], "invalid_grant");

    let code = client.emulator.authorization_code(EMPLOYEE);
    let (_, first) = client.form("/oauth/token/", &format!("grant_type=authorization_code&{keys}&code={code}"));
    assert_eq!(first["user_id"], EMPLOYEE);
    let wrong = client.form("/oauth/token/", "grant_type=refresh_token&client_id=x&client_secret=y&refresh_token=z");
    assert_eq!(wrong.1["error"], "invalid_client");
    assert_eq!(client.form("/oauth/token/", "").1["error"], "invalid_request");
    assert_eq!(client.emulator.counters().renewals, 2);
}

#[test]
fn the_portals_page_passes_a_code_to_the_application() {
    let client = Client::new(quick());
    let application = client.emulator.application();
    let open = |id: &str| {
        client.agent.get(client.url(&format!("/oauth/authorize/?client_id={id}&state=a%26b"))).call().unwrap()
    };
    assert_eq!(open("another").status(), 400);
    let answer = open(&application.client_id);
    assert_eq!(answer.status(), 302);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let (_, query) = location.split_once('?').unwrap();
    let value = |name: &str| query.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).unwrap();
    assert_eq!((value("state"), value("member_id")), ("a%26b", application.member_id.as_str()));
    let keys = format!("client_id={}&client_secret={}", application.client_id, application.client_secret);
    let code = value("code");
    let (status, pair) = client.form("/oauth/token/", &format!("grant_type=authorization_code&{keys}&code={code}"));
    assert_eq!((status, &pair["user_id"]), (200, &json!(ADMINISTRATOR)));
}

#[test]
fn a_batch_passes_results_on() {
    let client = Client::new(quick());
    let answer = client.call(
        "batch",
        json!({"halt": 0, "cmd": {
            "add": "crm.deal.add?fields[TITLE]=%D0%AF%20%26%20%22you%22",
            "get": "crm.deal.get?id=$result[add]",
            "list": "crm.deal.list?filter[TITLE]=$result[get][TITLE]&select[]=TITLE",
            "bad": "crm.deal.get?id=100",
            "none": "no.such.method",
            "nested": "batch?cmd[a]=profile",
        }}),
    );
    assert_eq!(answer["result"]["add"], 1);
    assert_eq!(answer["result"]["get"]["TITLE"], "Я & \"you\"");
    assert_eq!(answer["result"]["list"], json!([{"ID": "1", "TITLE": "Я & \"you\""}]));
    assert_eq!(answer["result_total"], json!({"list": 1}));
    assert_eq!(answer["result_next"], json!([]));
    assert_eq!(answer["result_error"]["none"]["error"], "ERROR_METHOD_NOT_FOUND");
    assert_eq!(answer["result_error"]["bad"]["error_description"], "Not found");
    assert_eq!(answer["result_error"]["nested"]["error"], "ERROR_BATCH_METHOD_NOT_ALLOWED");
    assert!(answer["result_time"]["add"]["operating"].is_number());
}

#[test]
fn a_batch_as_a_list_halts_and_ends_at_50() {
    let client = Client::new(quick());
    let halted = client.call("batch", json!({"halt": 1, "cmd": ["server.time", "nothing", "profile"]}));
    assert_eq!(halted["result"].as_array().unwrap().len(), 1);
    assert_eq!(
        halted["result_error"],
        json!({"1": {
            "error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!"
        }})
    );
    let commands: Vec<&str> = (0..51).map(|_| "server.time").collect();
    let long = client.call("batch", json!({"cmd": commands}));
    assert_eq!(long["result"].as_array().unwrap().len(), 50);
    assert_eq!(long["result_error"]["50"]["error"], "ERROR_BATCH_LENGTH_EXCEEDED");
    assert_eq!(client.call("batch", json!({}))["result"], json!([]));
}

#[test]
fn a_batch_has_one_connector() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "OneC");
    client.call("batch", json!({"cmd": ["crm.deal.add?auth_connector=OneC"]}));
    assert_eq!(client.emulator.queue("OneC").len(), 1, "that of a command does not count");
    client.call("batch", json!({"cmd": ["crm.deal.add"], "auth_connector": "OneC"}));
    assert_eq!(client.emulator.queue("OneC").len(), 1, "that of the batch does");
}

#[test]
fn crm_lists_in_pages_of_50() {
    let client = Client::new(quick());
    let commands: Vec<String> = (0..50).map(|n| format!("crm.contact.add?fields[NAME]=n{n}&fields[AGE]={n}")).collect();
    client.call("batch", json!({"cmd": commands}));
    client.call("crm.contact.add", json!({"FIELDS": {"NAME": "last", "OPENED": true, "AGE": 7}}));
    let (_, page) = client.rest("crm.contact.list", json!({"start": 0}));
    assert_eq!((&page["total"], &page["next"]), (&json!(51), &json!(50)));
    let (_, page) = client.rest("crm.contact.list", json!({"start": 50, "select": ["NAME", "OPENED", "AGE"]}));
    assert_eq!(page["result"], json!([{"ID": "51", "NAME": "last", "OPENED": "Y", "AGE": "7"}]));
    let (_, page) = client.rest("crm.contact.list", json!({"start": -1, "order": {"ID": "DESC"}}));
    assert_eq!((&page["total"], &page["result"][0]["ID"]), (&Value::Null, &json!("51")));
    client.call("crm.contact.update", json!({"id": 51, "fields": {"NAME": "new"}}));
    client.call("crm.contact.delete", json!({"id": 1}));
    assert_eq!(client.refusal("crm.contact.get", json!({"id": 1})), (400, String::new()));
    assert_eq!(client.call("crm.contact.list", json!({"filter": {"NAME": "new"}}))[0]["ID"], "51");
}

#[test]
fn scopes() {
    let client = Client::new(Options { scope: "crm".to_owned(), ..quick() });
    let refused = (401, "insufficient_scope".to_owned());
    assert_eq!(client.refusal("pull.application.config.get", json!({})), refused);
    assert_eq!(client.call("scope", json!({})), json!(["crm"]));
    client.emulator.control(Control::Scope { scope: "pull,user_brief".to_owned() });
    assert_eq!(client.refusal("crm.deal.list", json!({})), refused);
    client.call("user.current", json!({}));
    assert!(client.call("app.info", json!({}))["INSTALLED"].as_bool().unwrap());
    assert!(client.call("methods", json!({})).as_array().unwrap().contains(&json!("event.offline.get")));
}

#[test]
fn both_spellings_of_the_configuration() {
    let client = Client::new(quick());
    let config = client.call("pull.application.config.get", json!({"CACHE": "N"}));
    assert!(config["server"]["long_pooling_secure"].is_string() && config["clientId"].is_string());
    assert_eq!(config["server"]["version"], 4);
    let public = &config["publicChannels"]["1"];
    assert_eq!(public["user_id"], 1);
    assert_ne!(public["public_id"], config["channels"]["private"]["public_id"], "the user's own channel");
    assert_eq!(public["signature"].as_str().unwrap().len(), 40);
    client.emulator.control(Control::ConfigSpelling(ConfigSpelling::Document));
    let config = client.call("pull.application.config.get", json!({}));
    assert!(config["server"]["long_polling_secure"].is_string() && config["server"]["clientId"].is_string());
    assert!(config["clientId"].is_null() && config["server"]["long_pooling_secure"].is_null());
}

#[test]
fn the_bucket_and_the_operating_limit() {
    let client = Client::new(Options { limits: Some(Limits { burst: 2, per_second: 0.01 }), ..quick() });
    let statuses: Vec<u16> = (0..4).map(|_| client.rest("profile", json!({})).0).collect();
    assert_eq!(statuses, [200, 200, 503, 503]);
    assert_eq!(client.emulator.counters().limit_refusals, 2);
    client.emulator.control(Control::NoLimits);
    client.emulator.control(Control::OperatingLimit { method: "profile".into(), seconds: 60, announced: false });
    let (status, body) = client.rest("profile", json!({}));
    assert_eq!((status, &body["error"]), (429, &json!("OPERATION_TIME_LIMIT")));
    assert_eq!(client.rest("server.time", json!({})).0, 200);
    client.emulator.control(Control::NoOperatingLimit);
    client.call("profile", json!({}));
}

#[test]
fn failures_of_every_kind() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    let method = Some("crm.deal.add".to_owned());
    let html = FailNext {
        method: method.clone(),
        status: 502,
        body: Some("<h1>Bad Gateway</h1>".into()),
        ..FailNext::default()
    };
    client.emulator.control(Control::FailNext(html));
    assert_eq!(client.rest("profile", json!({})).0, 200);
    assert_eq!(client.rest("crm.deal.add", json!({})), (502, json!("<h1>Bad Gateway</h1>")));

    let redirect = json!({"fail_next": {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}});
    client.agent.post(client.url("/control")).send_json(redirect).unwrap();
    let response = client.agent.get(client.url("/rest/profile")).call().unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers()["Location"].to_str().unwrap()),
        (302, "http://127.0.0.1:1/")
    );

    let drop_next =
        |when| client.emulator.control(Control::DropNext(DropNext { method: method.clone(), times: 1, when }));
    let add = || client.agent.post(format!("{}crm.deal.add", client.emulator.webhook_url())).send_json(json!({}));
    drop_next(DropWhen::BeforeHandling);
    assert!(add().is_err());
    assert_eq!(client.emulator.queue("").len(), 0);
    drop_next(DropWhen::AfterHandling);
    assert!(add().is_err());
    assert_eq!(client.emulator.queue("").len(), 1);
    drop_next(DropWhen::MidAnswer { after_bytes: 5 });
    let mut response = add().unwrap();
    let mut start = Vec::new();
    assert!(std::io::Read::read_to_end(&mut response.body_mut().as_reader(), &mut start).is_err());
    assert_eq!(start, b"{\"res");
    assert_eq!(client.emulator.queue("").len(), 2);

    client.emulator.control(Control::DelayNext(DelayNext { method, times: 1, ms: 200 }));
    let clock = Instant::now();
    assert_eq!(add().unwrap().status(), 200);
    assert!(clock.elapsed() >= Duration::from_millis(200));
    assert_eq!(client.emulator.counters().faults_applied, 6);
    let wrong = client.agent.post(client.url("/control")).send_json(json!({"no_such": 1})).unwrap();
    assert_eq!(wrong.status(), 400);
}

#[test]
fn requests_are_recorded_as_they_came() {
    let client = Client::new(quick());
    client.call("profile", json!({"x": 1}));
    let requests = client.emulator.requests();
    let last = requests.last().unwrap();
    assert_eq!((last.method.as_str(), last.target.as_str()), ("POST", "/rest/profile"));
    assert!(last.body.contains(&client.tokens.access_token));
    let shown = json_of(client.agent.get(client.url("/control")).call().unwrap()).1;
    assert_eq!(shown["counters"]["calls"]["profile"], 1);
}

#[test]
fn phps_json() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    client.emulator.make_event("ONCRMDEALADD", json!({}), "");
    let request = client.agent.post(client.url("/rest/event.offline.get"));
    let text = text_of(request.send_json(json!({"auth": client.tokens.access_token})).unwrap());
    assert!(text.contains(r#""EVENT_DATA":[]"#), "{text}");
    assert!(text.contains(r#""ID":"1""#), "{text}");
    client.call("event.bind", json!({"event": "ONAPPINSTALL", "handler": "http://127.0.0.1/Я"}));
    let request = client.agent.post(client.url("/rest/event.get"));
    let text = text_of(request.send_json(json!({"auth": client.tokens.access_token})).unwrap());
    assert!(text.contains(r"http:\/\/127.0.0.1\/\u042f"), "{text}");
}

#[test]
fn only_loopback_and_known_versions() {
    let start = |options| Emulator::start(options).map(drop);
    assert!(start(Options { listen: "0.0.0.0:0".parse().unwrap(), ..quick() }).is_err());
    assert!(start(Options { push_version: 6, ..quick() }).is_err());
    assert!(start(Options { channel_ttl: Duration::ZERO, ..quick() }).is_err());
    assert!(start(Options { channel_ttl: Duration::MAX, token_ttl: Duration::MAX, ..quick() }).is_ok());
}
