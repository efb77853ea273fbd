//! Nothing that people read holds a token, a secret or a channel.

use super::support::*;
use b24_emulator::{EMPLOYEE, Options};
use serde_json::json;
use std::time::Duration;

#[test]
fn no_secret_in_texts_logs_statistics_or_addresses() {
    for (websocket, push_version) in [(false, 4), (true, 4), (true, 5)] {
        look_for_secrets(websocket, push_version);
    }
}

fn look_for_secrets(websocket: bool, push_version: u32) {
    let portal =
        Portal::with(Options { hold: Duration::from_millis(200), websocket, push_version, ..Options::default() });
    let mut config = portal.config();
    config.set("http.timeout_ms", "2000").unwrap();
    let mut secrets = vec![portal.emulator.application().client_secret];
    let mut texts = vec![config.get("auth.access_token").unwrap(), config.get("auth.client_secret").unwrap()];
    let client = portal.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    client.connect(LONG).unwrap();
    let mut collect = |text: String| texts.push(text);

    // What succeeds, and what fails.
    portal.add_deals([1]);
    client.next(LONG).unwrap().unwrap().acknowledge().unwrap();
    portal.control(json!("expire_tokens"));
    client.call("profile", "").unwrap();
    let current = portal.tokens.lock().unwrap().last().unwrap().clone();
    let echo = format!("token {current} is not good");
    portal.control(json!({"fail_next": {"method": "profile", "status": 400, "error": "X", "description": echo}}));
    collect(client.call("profile", "").unwrap_err().to_string());
    portal.control(json!({"fail_next": {"method": "profile", "status": 200, "body": format!("<html>{current}")}}));
    collect(client.call("profile", "").unwrap_err().to_string());
    portal.control(
        json!({"fail_next": {"method": "oauth", "status": 200, "body": format!("{{\"access_token\":\"{current}\"}}")}}),
    );
    portal.control(json!("expire_tokens"));
    collect(client.call("profile", "").unwrap_err().to_string());
    portal.control(json!({"drop_next": {"method": "profile", "when": "before_handling"}}));
    collect(client.call("profile", "").unwrap_err().to_string());
    portal.control(json!({"fail_next": {"method": if websocket { "subws" } else { "sub" }, "status": 302, "body": "", "headers": {"Location": "http://127.0.0.1:1/"}}}));
    portal.control(json!("drop_connections"));
    until("the failure", || portal.log().contains("no subscription"));
    portal.emulator.publish_raw(format!("#!NGINXNMS!#{{\"x\":{current}").into_bytes());
    let mut employee = portal.config();
    employee.set("auth.access_token", &portal.emulator.issue_tokens(EMPLOYEE).access_token).unwrap();
    collect(portal.client_of(&employee).fetch(0).err().unwrap().to_string());
    portal.control(json!("revoke_tokens"));
    portal.control(json!({"expire_channel": {"command": true, "action": "get_config"}}));
    loop {
        if let Err(error) = client.wait(LONG) {
            collect(error.to_string());
            break;
        }
    }
    collect(client.stats());
    collect(portal.log());

    // The requests that the portal received hold the secrets.
    for request in portal.emulator.requests() {
        let query = request.target.split_once('?').map_or("", |(_, query)| query);
        if request.target.contains("/sub") {
            let id = query.split('&').find(|pair| pair.starts_with("CHANNEL_ID=") || pair.starts_with("token="));
            let (_, channel) = id.unwrap().split_once('=').unwrap();
            secrets.extend(channel.split(['/', '.']).map(|part| part.replace("%3A", ":")));
        } else {
            assert!(query.is_empty(), "a REST address carries parameters: {}", request.target);
        }
    }
    secrets.extend(portal.tokens.lock().unwrap().iter().cloned());
    secrets.push(current);
    assert!(secrets.len() >= 5 && secrets.iter().all(|secret| secret.len() >= 16), "{}", secrets.len());
    for text in &texts {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "a secret is in: {}", text.replace(secret.as_str(), "<<HERE>>"));
        }
    }
}
