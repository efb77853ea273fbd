//! The diagnosis: all well, and each trouble with the one line that names it.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::support::*;
use b24_emulator::{EMPLOYEE, Options};
use b24events::client::Client;
use b24events::clock::Timeout;
use b24events::config::Config;
use b24events::error::{Error, Status};
use serde_json::{Value, json};

fn diagnose(client: &Client) -> Value {
    serde_json::from_str(&client.diagnose(LONG).unwrap()).unwrap()
}

fn check<'a>(report: &'a Value, id: &str) -> &'a Value {
    report["checks"].as_array().unwrap().iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("{id}"))
}

/// The ids of the checks with this status.
fn with_status<'a>(report: &'a Value, status: &str) -> Vec<&'a str> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["status"] == status).map(|check| check["id"].as_str().unwrap()).collect()
}

/// This check alone has failed, nothing is a warning, and the next step names `english` and `russian`.
#[track_caller]
fn expect_failed(report: &Value, id: &str, english: &str, russian: &str) {
    let nothing: Vec<&str> = Vec::new();
    assert_eq!(
        (with_status(report, "failed"), with_status(report, "warning")),
        (vec![id], nothing),
        "{}",
        text(report)
    );
    expect_next_step(report, id, english, russian);
    assert_eq!(report["status"], "failed");
}

#[track_caller]
fn expect_warning(report: &Value, id: &str, english: &str, russian: &str) {
    let nothing: Vec<&str> = Vec::new();
    assert_eq!(
        (with_status(report, "failed"), with_status(report, "warning")),
        (nothing, vec![id]),
        "{}",
        text(report)
    );
    expect_next_step(report, id, english, russian);
    assert_eq!(report["status"], "warning");
}

#[track_caller]
fn expect_next_step(report: &Value, id: &str, english: &str, russian: &str) {
    let next_step = &check(report, id)["next_step"];
    for (language, words) in [("english", english), ("russian", russian)] {
        assert!(next_step[language].as_str().unwrap().contains(words), "{words} in {next_step}");
        assert!(report["text"][language].as_str().unwrap().contains(words), "{words} in the text");
    }
}

fn text(report: &Value) -> &str {
    report["text"]["english"].as_str().unwrap()
}

fn config_with(portal: &Portal, keys: &[(&str, &str)]) -> Config {
    let mut config = portal.config();
    keys.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    config
}

#[test]
fn all_is_well() {
    for (push_version, websocket) in [(4, true), (5, true), (4, false)] {
        let portal = Portal::with(Options { push_version, websocket, ..Options::default() });
        let transport = if websocket { "auto" } else { "long_polling" };
        let client = portal.connected_with(&[("push.transport", transport)]);
        let report = diagnose(&client);
        let nothing: Vec<&str> = Vec::new();
        assert_eq!(
            (with_status(&report, "failed"), with_status(&report, "warning")),
            (nothing.clone(), nothing),
            "{}",
            text(&report)
        );
        assert_eq!(report["status"], "ok");
        let skipped = if websocket { vec!["tls", "handler"] } else { vec!["tls", "websocket", "handler"] };
        assert_eq!(with_status(&report, "skipped"), skipped, "{}", text(&report));
        for (id, seen) in [
            ("proxy", "none"),
            ("name", "127.0.0.1"),
            ("network", "HTTP 401"),
            ("token", "it can be renewed"),
            ("scopes", "crm, pull"),
            ("push_server", "this client is subscribed"),
            ("bindings", "ONCRMDEALADD"),
            ("queue", "free records: 0, reserved: 0, failed: 0"),
        ] {
            let line = &check(&report, id)["seen"]["english"];
            assert!(line.as_str().unwrap().contains(seen), "{seen} in {line}");
        }
    }
}

#[test]
fn nothing_is_changed_and_the_connection_stays() {
    for websocket in [true, false] {
        let portal = Portal::with(Options { websocket, ..Options::default() });
        let client = portal.connected();
        portal.add_deals(1..=3);
        expect_signals(&client, 3);
        let mut batch = client.fetch(1).unwrap();
        let reserved = message_ids(&mut batch);
        client.fetch(1).unwrap().fail_records(&[]).unwrap();
        let queue = format!("{:?}", portal.emulator.queue("OneC"));
        let bindings = client.call("event.get", "").unwrap().split("\"time\"").next().unwrap().to_owned();
        let (before, failures) = (portal.emulator.counters(), stats(&client)["failures"].clone());
        for _ in 0..3 {
            let report = diagnose(&client);
            let line = &check(&report, "queue")["seen"]["english"];
            assert_eq!(line, "free records: 1, reserved: 2, failed: 0");
            assert_eq!(with_status(&report, "failed"), Vec::<&str>::new(), "{}", text(&report));
        }
        let after = portal.emulator.counters();
        for (method, calls) in &after.calls {
            let is_read_only = matches!(method.as_str(), "batch" | "server.time");
            assert!(is_read_only || before.calls.get(method) == Some(calls), "{method} was called");
        }
        assert_eq!(format!("{:?}", portal.emulator.queue("OneC")), queue);
        assert!(client.call("event.get", "").unwrap().starts_with(&bindings));
        assert_eq!(stats(&client)["failures"], failures, "the subscription was not disturbed");
        assert!(client.is_connected());
        batch.acknowledge().unwrap();
        assert_eq!(reserved.len(), 1);
        portal.add_deals([9]);
        expect_signals(&client, 1);
    }
}

#[test]
fn every_trouble_of_the_portal_has_its_line() {
    type Trouble = (&'static str, Value, &'static str, &'static str, &'static str);
    let troubles: [Trouble; 8] = [
        (
            "the push server is off",
            json!({"conditions": {"push_server": false}}),
            "push_server",
            "switch it on",
            "включить",
        ),
        ("the tokens are dead", json!("revoke_tokens"), "token", "authorize the application again", "вторизуйте"),
        ("a scope is missing", json!({"scope": {"scope": "crm,user_brief"}}), "scopes", "add it", "Добавьте"),
        (
            "the installation is open",
            json!({"conditions": {"installed": false}}),
            "installation",
            "finish",
            "завершите",
        ),
        (
            "nobody pays for the application",
            json!({"conditions": {"payment_expired": true}}),
            "plan",
            "renew",
            "Продлите",
        ),
        ("nobody pays for the portal", json!({"conditions": {"license_expired": true}}), "plan", "plan", "тариф"),
        ("the portal is closed", json!({"conditions": {"closed": true}}), "rest", "browser", "браузере"),
        (
            "no connectors on the plan",
            json!({"plan": {"offline_extended": true, "auth_connector": false}}),
            "plan",
            "connector.id",
            "connector.id",
        ),
    ];
    for (what, control, id, english, russian) in troubles {
        let portal = Portal::exactly(Options::default());
        let client = portal.client();
        portal.control(control);
        println!("{what}");
        expect_failed(&diagnose(&client), id, english, russian);
    }
}

#[test]
fn an_employee_is_not_an_administrator() {
    let portal = Portal::start();
    let tokens = portal.emulator.issue_tokens(EMPLOYEE);
    let keys = [("auth.access_token", tokens.access_token.as_str()), ("auth.refresh_token", &tokens.refresh_token)];
    let client = portal.client_of(&config_with(&portal, &keys));
    let report = diagnose(&client);
    expect_failed(&report, "administrator", "administrator's token", "администратора");
    assert_eq!(check(&report, "bindings")["status"], "skipped");
}

#[test]
fn without_reservations_the_plan_is_a_warning_unless_they_are_required() {
    let options = || Options { offline_extended: false, ..Options::default() };
    for (reserve, status) in [("auto", "warning"), ("yes", "failed"), ("no", "ok")] {
        let portal = Portal::with(options());
        let client = portal.client_with(&[("fetch.reserve", reserve)]);
        let report = diagnose(&client);
        assert_eq!(
            (&check(&report, "plan")["status"], &report["status"]),
            (&json!(status), &json!(status)),
            "{reserve}"
        );
    }
    let on_premise = Portal::exactly(Options { on_premise: true, ..Options::default() });
    let report = diagnose(&on_premise.client());
    assert_eq!(report["status"], "ok", "{}", text(&report));
    assert!(check(&report, "plan")["seen"]["english"].as_str().unwrap().contains("selfhosted; reservations: yes"));
}

#[test]
fn an_expired_token_is_renewed_as_in_any_call() {
    let portal = Portal::start();
    let client = portal.client();
    portal.control(json!("expire_tokens"));
    assert_eq!(diagnose(&client)["status"], "ok");
    assert_eq!(portal.emulator.counters().renewals, 1);
    let refreshless = config_with(&portal, &[("auth.refresh_token", "")]);
    let report = diagnose(&portal.client_of(&refreshless));
    expect_warning(&report, "token", "auth.refresh_token", "auth.refresh_token");
    // A host that sets the tokens itself forgets what their renewal needs.
    let config = config_with(&portal, &[("auth.refresh_token", ""), ("auth.client_secret", "")]);
    let forgetful = portal.client_of(&config);
    let tokens = portal.emulator.issue_tokens(b24_emulator::ADMINISTRATOR);
    forgetful.set_tokens(&tokens.access_token, &tokens.refresh_token, 0).unwrap();
    expect_warning(&diagnose(&forgetful), "token", "auth.client_secret", "auth.client_secret");
    portal.control(json!("expire_tokens"));
    expect_failed(&diagnose(&portal.client_of(&refreshless)), "token", "auth.refresh_token", "auth.refresh_token");
}

#[test]
fn without_tokens_the_network_is_checked_and_the_first_step_told() {
    let portal = Portal::start();
    let keys = [("auth.access_token", ""), ("auth.refresh_token", "")];
    let report = diagnose(&portal.client_of(&config_with(&portal, &keys)));
    let address = format!("{}/oauth/authorize/?client_id=local.", portal.emulator.portal_url());
    expect_failed(&report, "token", &address, &address);
    assert_eq!(with_status(&report, "ok"), ["proxy", "name", "network", "clock"]);
    let mut config = config_with(&portal, &keys);
    config.set("auth.client_id", "").unwrap();
    expect_failed(&diagnose(&portal.client_of(&config)), "token", "auth.client_id", "auth.client_id");
    config.set("source", "handler").unwrap();
    config.set("handler.listen", "127.0.0.1:0").unwrap();
    expect_warning(&diagnose(&portal.client_of(&config)), "token", "auth.client_id", "auth.client_id");
}

#[test]
fn a_queue_without_bound_events_stays_empty() {
    let portal = Portal::start();
    let client = portal.client();
    let report = diagnose(&portal.client_of(&config_with(&portal, &[("connector.id", "Other")])));
    expect_failed(&report, "bindings", "connector.id", "connector.id");
    assert!(check(&report, "bindings")["seen"]["russian"].as_str().unwrap().contains("\"OneC\""), "{}", text(&report));
    client.unbind_event("ONCRMDEALADD").unwrap();
    let report = diagnose(&client);
    expect_failed(&report, "bindings", "bind the events", "Подпишитесь");
    assert_eq!(check(&report, "bindings")["seen"]["english"], "none, so nothing will ever come");
}

#[test]
fn failed_records_are_a_warning() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals([1, 2]);
    let mut batch = client.fetch(1).unwrap();
    let ids = message_ids(&mut batch);
    batch.fail_records(&[&ids[0]]).unwrap();
    let report = diagnose(&client);
    expect_warning(&report, "queue", "fetch the failed records", "ошибочные");
    assert_eq!(check(&report, "queue")["seen"]["english"], "free records: 1, reserved: 0, failed: 1");
}

#[test]
fn a_closed_port_an_unknown_name_and_a_dead_proxy_are_told_apart() {
    let portal = Portal::start();
    let port = |listener: TcpListener| listener.local_addr().unwrap().to_string();
    let closed = port(TcpListener::bind("127.0.0.1:0").unwrap());
    for (keys, id, english, russian, ok) in [
        ([("portal.url", format!("http://{closed}"))], "network", "firewall", "брандмауэр", &["proxy", "name"][..]),
        ([("portal.url", "https://no-such-name.invalid".into())], "name", "DNS", "DNS", &["proxy"]),
        ([("http.proxy", format!("http://{closed}"))], "proxy", "http.proxy", "http.proxy", &[]),
    ] {
        let keys: Vec<_> = keys.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let report = diagnose(&portal.client_of(&config_with(&portal, &keys)));
        expect_failed(&report, id, english, russian);
        assert_eq!(with_status(&report, "ok"), ok);
    }
}

#[test]
fn a_wrong_clock_is_found_by_the_portals_answer() {
    let portal = Portal::start();
    let client = portal.client();
    portal.clock.advance(Duration::from_secs(120));
    expect_warning(&diagnose(&client), "clock", "set this computer's clock", "Установите часы");
    portal.clock.advance(Duration::from_secs(86_400));
    let report = diagnose(&client);
    expect_failed(&report, "clock", "set this computer's clock", "Установите часы");
    let seen = check(&report, "clock")["seen"]["english"].as_str().unwrap();
    assert!(seen.starts_with("865") && seen.ends_with("s ahead of the portal's"), "{seen}");
}

#[test]
fn where_websocket_is_blocked_long_polling_is_told() {
    let portal = Portal::start();
    portal.control(json!({"refuse_upgrades": {"status": 502}}));
    let report = diagnose(&portal.client());
    expect_warning(&report, "websocket", "events come all the same", "События приходят");
    let report = diagnose(&portal.client_with(&[("push.transport", "websocket")]));
    expect_failed(&report, "websocket", "push.transport=auto", "push.transport = auto");
    portal.control(json!({"refuse_upgrades": {"status": 403}}));
    assert_eq!(with_status(&diagnose(&portal.client()), "failed"), ["websocket"], "the channel is refused");
}

#[test]
fn the_handler_needs_a_port_and_an_address_that_the_portal_calls() {
    let portal = Portal::start();
    let application = portal.emulator.application();
    let config = |listen: &str| {
        config_with(
            &portal,
            &[
                ("source", "handler"),
                ("handler.listen", listen),
                ("handler.application_token", &application.application_token),
                ("handler.member_id", &application.member_id),
            ],
        )
    };
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = portal.client_of(&config(&occupied.local_addr().unwrap().to_string()));
    client.bind_event("ONCRMDEALADD").unwrap();
    expect_failed(&diagnose(&client), "handler", "free port", "свободный порт");
    let client = portal.client_of(&config("127.0.0.1:0"));
    expect_failed(&diagnose(&client), "handler", "bind the handler", "Привяжите обработчик");
    client.connect(LONG).unwrap();
    let address = stats(&client)["handler_address"].as_str().unwrap().to_owned();
    client.bind_handler(&format!("http://{address}/b24?secret=planted"), 0).unwrap();
    let report = diagnose(&client);
    assert_eq!(report["status"], "ok", "{}", text(&report));
    let seen = check(&report, "handler")["seen"]["english"].as_str().unwrap();
    assert_eq!(seen, format!("listens on {address}; the portal calls http://{address}"));
    assert!(!report.to_string().contains("planted"), "the path of an address may hold a secret");
}

#[test]
fn it_keeps_its_time_and_ends_with_the_client() {
    let portal = Portal::start();
    let client = portal.client();
    assert_eq!(
        with_status(&serde_json::from_str(&client.diagnose(AT_ONCE).unwrap()).unwrap(), "failed"),
        Vec::<&str>::new()
    );
    // Nothing interrupts a renewal.
    portal.control(json!("expire_tokens"));
    portal.control(json!({"delay_next": {"method": "oauth", "times": 1, "ms": 3_000}}));
    let start = Instant::now();
    let report: Value =
        serde_json::from_str(&client.diagnose(Timeout::After(Duration::from_millis(1_000))).unwrap()).unwrap();
    assert!(start.elapsed() < Duration::from_millis(2_500), "{:?}", start.elapsed());
    assert_eq!(check(&report, "network")["status"], "ok");
    assert_eq!(check(&report, "queue")["seen"]["russian"], "не проверено: время вышло");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let client = portal.client_of(&config_with(&portal, &[("portal.url", &url)]));
    std::thread::scope(|scope| {
        let diagnosed = scope.spawn(|| client.diagnose(LONG));
        let (connection, _) = silent.accept().unwrap();
        let start = Instant::now();
        client.close();
        assert_eq!(diagnosed.join().unwrap(), Err(Error::Closed));
        client.join();
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        drop(connection);
    });
    assert_eq!(client.diagnose(LONG).unwrap_err().status(), Status::Closed);
}

#[test]
fn no_secret_is_in_a_report() {
    let portal = Portal::start();
    let application = portal.emulator.application();
    let mut secrets = vec![application.client_secret, application.application_token];
    let mut reports = Vec::new();
    let config = portal.config();
    let client = portal.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    client.connect(LONG).unwrap();
    reports.push(client.diagnose(LONG).unwrap());
    let state: Value = serde_json::from_str(&client.state()).unwrap();
    for name in ["access_token", "refresh_token"] {
        secrets.push(state["tokens"][name].as_str().unwrap().to_owned());
    }
    let current = secrets[2].clone();
    let echo = format!("token {current} is not good");
    portal.control(json!({"fail_next": {"method": "batch", "status": 400, "error": "X", "description": echo}}));
    reports.push(client.diagnose(LONG).unwrap());
    portal.control(json!({"fail_next": {"method": "batch", "status": 200, "body": format!("<html>{current}")}}));
    reports.push(client.diagnose(LONG).unwrap());
    portal.control(json!({"refuse_upgrades": {"status": 502}}));
    reports.push(client.diagnose(LONG).unwrap());
    let proxied = config_with(&portal, &[("http.proxy", "http://onec:planted-password@127.0.0.1:1")]);
    reports.push(portal.client_of(&proxied).diagnose(LONG).unwrap());
    secrets.push("planted-password".into());
    for request in portal.emulator.requests().iter().filter(|request| request.target.contains("/sub")) {
        let query = request.target.split_once('?').unwrap().1;
        let id = query.split('&').find_map(|pair| pair.strip_prefix("CHANNEL_ID=")).unwrap();
        secrets.extend(id.split(['/', '.']).map(|part| part.replace("%3A", ":")));
    }
    assert!(secrets.len() > 6 && secrets.iter().all(|secret| secret.len() >= 16), "{}", secrets.len());
    for report in &reports {
        for secret in &secrets {
            assert!(!report.contains(secret.as_str()), "{}", report.replace(secret.as_str(), "<<HERE>>"));
        }
    }
}
