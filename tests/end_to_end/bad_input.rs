//! Broken answers: a clear status and text, and the client goes on.

use super::setting::*;
use b24_emulator::Options;
use b24events::error::Status;
use serde_json::{Value, json};

#[test]
fn broken_rest_answers() {
    let setting = Setting::new();
    let mut config = setting.config();
    config.set("http.max_answer_bytes", "4096").unwrap();
    let client = setting.client_of(&config);
    let long = format!("{{\"result\":\"{}\"}}", "x".repeat(5000));
    for (status, body, says) in [
        (200, "{\"result\":", "incomplete or invalid JSON"),
        (200, "", "incomplete or invalid JSON"),
        (200, "<html><body>login</body></html>", "HTML"),
        (200, "{\"time\":{}}", "neither result nor error"),
        (500, "{\"result\":true}", "neither result nor error"),
        (200, long.as_str(), "http.max_answer_bytes"),
    ] {
        setting.control(json!({"fail_next": {"method": "crm.deal.add", "status": status, "body": body}}));
        let error = client.call("crm.deal.add", "{}").unwrap_err();
        assert_eq!(error.status(), Status::Protocol, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    client.call("profile", "").unwrap();
}

#[test]
fn an_answer_cut_in_the_middle() {
    let setting = Setting::new();
    let client = setting.client();
    setting.control(json!({"drop_next": {"method": "crm.deal.list", "when": {"mid_answer": {"after_bytes": 20}}}}));
    let error = client.call("crm.deal.list", "").unwrap_err();
    assert!(matches!(error.status(), Status::Network | Status::Protocol), "{error}");
    client.call("crm.deal.list", "").unwrap();
}

#[test]
fn a_redirect_is_not_followed() {
    let setting = Setting::new();
    let other = Setting::new();
    let client = setting.client();
    let target = format!("{}/rest/profile.json", other.emulator.portal_url());
    setting.control(
        json!({"fail_next": {"method": "profile", "status": 307, "body": "", "headers": {"Location": target}}}),
    );
    let error = client.call("profile", "").unwrap_err();
    assert_eq!((error.status(), error.http_status()), (Status::Protocol, 307));
    assert!(error.to_string().contains("portal.url"), "{error}");
    assert_eq!(other.emulator.requests().len(), 0);
}

#[test]
fn broken_records_leave_the_reservation_in_place() {
    let setting = Setting::new();
    let client = setting.client();
    setting.deals([1]);
    let before = client.fetch(0).unwrap();
    setting.deals([2]);
    setting.control(
        json!({"fail_next": {"method": "event.offline.get", "times": 9, "status": 200, "body": "{\"result\":[1,2]}"}}),
    );
    assert_eq!(client.fetch(0).err().unwrap().status(), Status::Protocol);
    before.acknowledge().unwrap();
    assert_eq!(setting.queued(), 1);
}

#[test]
fn malformed_envelopes_are_counted_and_what_they_may_have_said_is_looked_for() {
    let setting = Setting::with(Options { websocket: false, ..Options::default() });
    let client = setting.connected();
    let good = |count: u32| {
        format!(
            "#!NGINXNMS!#{{\"mid\":\"{count}\",\"text\":{{\"module_id\":\"rest\",\"command\":\"event_offline\",\"params\":[{{\"connector_id\":\"OneC\",\"count\":{count}}}]}}}}#!NGINXNME!#"
        )
    };
    setting.emulator.publish_raw(format!("#!NGINXNMS!#{{\"half\":{}", good(3)).into_bytes());
    let notification = client.wait(LONG).unwrap().unwrap();
    assert_eq!((notification.count, notification.signalled), (3, true));
    look(&client);
    let mut bytes = b"#!NGINXNMS!#{\"text\":\"\xff\xfe\"}#!NGINXNME!#".to_vec();
    bytes.extend_from_slice(good(2).as_bytes());
    setting.emulator.publish_raw(bytes);
    assert_eq!(client.wait(LONG).unwrap().unwrap().count, 2);
    look(&client);
    let stats: Value = serde_json::from_str(&client.stats()).unwrap();
    assert_eq!(stats["malformed"], 2, "{stats}");
}

#[test]
fn rubbish_from_the_push_server_is_no_end() {
    for rubbish in [&b"<html>captive portal</html>"[..], b"#!NGINXNMS!#{\"half\":", b"\xff\x00\xfe"] {
        let setting = Setting::with(Options { websocket: false, ..Options::default() });
        let client = setting.connected();
        setting.emulator.publish_raw(rubbish.to_vec());
        look(&client);
        setting.deals([1]);
        assert_eq!(client.next(LONG).unwrap().unwrap().len(), 1);
    }
}
