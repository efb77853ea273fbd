//! Nothing that people read holds a token, a secret or a channel.

use super::setting::*;
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
    let setting =
        Setting::with(Options { hold: Duration::from_millis(200), websocket, push_version, ..Options::default() });
    let mut config = setting.config();
    config.set("http.timeout_ms", "2000").unwrap();
    let mut secrets = vec![setting.emulator.application().client_secret];
    let mut texts = vec![config.get("auth.access_token").unwrap(), config.get("auth.client_secret").unwrap()];
    let client = setting.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    client.connect(LONG).unwrap();
    let mut collect = |text: String| texts.push(text);

    // Everything that goes well, and everything that goes wrong.
    setting.deals([1]);
    client.next(LONG).unwrap().unwrap().acknowledge().unwrap();
    setting.control(json!("expire_tokens"));
    client.call("profile", "").unwrap();
    let current = setting.tokens.lock().unwrap().last().unwrap().clone();
    let echo = format!("token {current} is not good");
    setting.control(json!({"fail_next": {"method": "profile", "status": 400, "error": "X", "description": echo}}));
    collect(client.call("profile", "").unwrap_err().to_string());
    setting.control(json!({"fail_next": {"method": "profile", "status": 200, "body": format!("<html>{current}")}}));
    collect(client.call("profile", "").unwrap_err().to_string());
    setting.control(
        json!({"fail_next": {"method": "oauth", "status": 200, "body": format!("{{\"access_token\":\"{current}\"}}")}}),
    );
    setting.control(json!("expire_tokens"));
    collect(client.call("profile", "").unwrap_err().to_string());
    setting.control(json!({"drop_next": {"method": "profile", "when": "before_handling"}}));
    collect(client.call("profile", "").unwrap_err().to_string());
    setting.control(json!({"fail_next": {"method": if websocket { "subws" } else { "sub" }, "status": 302, "body": "", "headers": {"Location": "http://127.0.0.1:1/"}}}));
    setting.control(json!("drop_connections"));
    until("the failure", || setting.log().contains("no subscription"));
    setting.emulator.publish_raw(format!("#!NGINXNMS!#{{\"x\":{current}").into_bytes());
    let mut employee = setting.config();
    employee.set("auth.access_token", &setting.emulator.issue_tokens(EMPLOYEE).access_token).unwrap();
    collect(setting.client_of(&employee).fetch(0).err().unwrap().to_string());
    setting.control(json!("revoke_tokens"));
    setting.control(json!({"expire_channel": {"command": true, "action": "get_config"}}));
    loop {
        if let Err(error) = client.wait(LONG) {
            collect(error.to_string());
            break;
        }
    }
    collect(client.stats());
    collect(setting.log());

    // What the portal saw tells us what the secrets were.
    for request in setting.emulator.requests() {
        let query = request.target.split_once('?').map_or("", |(_, query)| query);
        if request.target.starts_with("/sub") {
            let id = query.split('&').find(|pair| pair.starts_with("CHANNEL_ID=") || pair.starts_with("token="));
            let (_, channel) = id.unwrap().split_once('=').unwrap();
            secrets.extend(channel.split(['/', '.']).map(|part| part.replace("%3A", ":")));
        } else {
            assert!(query.is_empty(), "a REST address carries parameters: {}", request.target);
        }
    }
    secrets.extend(setting.tokens.lock().unwrap().iter().cloned());
    secrets.push(current);
    assert!(secrets.len() >= 5 && secrets.iter().all(|secret| secret.len() >= 16), "{}", secrets.len());
    for text in &texts {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "a secret is in: {}", text.replace(secret.as_str(), "<<HERE>>"));
        }
    }
}
