//! An installation of the portal's owner, not the cloud.

mod common;

use b24_emulator::{Control, Options};
use common::{Client, quick};
use serde_json::{Value, json};

fn on_premise() -> Client {
    Client::new(Options { on_premise: true, ..quick() })
}

fn sorted_keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn there_are_no_plans() {
    let client = on_premise();
    for code in ["rest_offline_extended", "rest_auth_connector", "nonsense"] {
        assert_eq!(client.call("feature.get", json!({"CODE": code})), json!({"value": "ru_selfhosted"}));
    }
    assert_eq!(client.refusal("feature.get", json!({})), (400, "CODE_EMPTY".to_owned()));
    let none = Options { offline_extended: false, auth_connector_allowed: false, on_premise: true, ..quick() };
    Client::new(none).call("event.offline.get", json!({"clear": 0, "auth_connector": "OneC"}));
}

#[test]
fn the_application_has_no_license_type() {
    let client = on_premise();
    let info = client.call("app.info", json!({}));
    assert_eq!(info["LICENSE"], "ru_selfhosted");
    let keys = ["CODE", "DAYS", "ID", "INSTALLED", "LANGUAGE_ID", "LICENSE", "PAYMENT_EXPIRED", "STATUS", "VERSION"];
    assert_eq!(sorted_keys(&info), keys);
    assert_eq!(client.by_webhook("app.info", json!({}))["LICENSE"], "ru_selfhosted");
}

#[test]
fn load_is_not_limited() {
    let client = on_premise();
    let (_, body) = client.rest("profile", json!({}));
    let time = ["date_finish", "date_start", "duration", "finish", "processing", "start"];
    assert_eq!(sorted_keys(&body["time"]), time, "no operating");
}

#[test]
fn the_push_server_is_the_portals_own() {
    for push_version in 1..=5 {
        let client = Client::new(Options { on_premise: true, push_version, ..quick() });
        let config = client.call("pull.application.config.get", json!({}));
        let (server, address) = (&config["server"], client.emulator.address());
        assert_eq!((&server["mode"], &server["version"]), (&json!("personal"), &json!(push_version)));
        assert_eq!(server["long_polling"], format!("http://{address}/bitrix/sub/"));
        assert_eq!(server["websocket"], format!("ws://{address}/bitrix/subws/"));
        assert_eq!(server["publish"], format!("http://{address}/bitrix/pubweb/"));
        assert!(config.get("clientId").is_none());
        assert_eq!((config.get("jwt").is_some(), config.get("exp").is_some()), (push_version == 5, push_version == 5));
        assert_eq!(config["publicChannels"] == json!(false), push_version < 4, "{config}");
        assert_eq!(config["channels"]["private"]["public_id"] == "", push_version < 4);
        let poll = client.agent.get(client.url(&format!("/bitrix/sub/?{}", client.subscription()))).call().unwrap();
        assert_eq!(poll.status(), 304);
    }
}

#[test]
fn the_authorization_server_knows_whose_a_token_is() {
    let client = on_premise();
    let application = client.emulator.application();
    let info = |token: &str| {
        let request = client.agent.post(format!("{}/rest/app.info", client.emulator.auth_server_url()));
        let form = request.content_type("application/x-www-form-urlencoded").send(format!("auth={token}"));
        common::json_of(form.unwrap())
    };
    let (status, body) = info(&client.tokens.access_token);
    let result = &body["result"];
    assert_eq!((status, &result["client_id"]), (200, &json!(application.client_id)));
    assert_eq!(result["install"]["member_id"], application.member_id);
    assert_eq!((&result["install"]["status"], &result["user_id"]), (&json!("L"), &json!(1)));
    assert_eq!((info("nonsense").0, info("").0), (401, 401));
    client.emulator.control(Control::ExpireTokens);
    assert_eq!(info(&client.tokens.access_token).1["error"], "expired_token");
}

#[test]
fn tokens_come_from_the_authorization_server_only() {
    let client = on_premise();
    let application = client.emulator.application();
    let form = format!(
        "grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}",
        application.client_id, application.client_secret, client.tokens.refresh_token
    );
    assert_eq!(client.form("/oauth/token/", &form).0, 404);
    let request = client.agent.post(format!("{}/oauth/token/", client.emulator.auth_server_url()));
    let (status, pair) =
        common::json_of(request.content_type("application/x-www-form-urlencoded").send(&form).unwrap());
    assert_eq!(status, 200);
    assert_eq!(pair["server_endpoint"], format!("{}/rest/", client.emulator.auth_server_url()));
    assert_eq!(client.rest_as(pair["access_token"].as_str().unwrap(), "profile", json!({})).0, 200);
    let elsewhere = client.agent.get(format!("{}/rest/profile", client.emulator.auth_server_url())).call().unwrap();
    assert_eq!(elsewhere.status(), 404, "the portal is at its own address");
}
