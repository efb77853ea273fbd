//! Broken answers: a clear status and text, and the client works on.

use super::support::*;
use b24_emulator::Options;
use b24events::error::Status;
use serde_json::json;

#[test]
fn broken_rest_answers() {
    let portal = Portal::start();
    let mut config = portal.config();
    config.set("http.max_answer_bytes", "4096").unwrap();
    let client = portal.client_of(&config);
    let long = format!("{{\"result\":\"{}\"}}", "x".repeat(5000));
    for (status, body, says) in [
        (200, "{\"result\":", "incomplete or invalid JSON"),
        (200, "", "incomplete or invalid JSON"),
        (200, "<html><body>login</body></html>", "HTML"),
        (200, "{\"time\":{}}", "neither result nor error"),
        (500, "{\"result\":true}", "neither result nor error"),
        (200, long.as_str(), "http.max_answer_bytes"),
    ] {
        portal.control(json!({"fail_next": {"method": "crm.deal.add", "status": status, "body": body}}));
        let error = client.call("crm.deal.add", "{}").unwrap_err();
        assert_eq!(error.status(), Status::Protocol, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    client.call("profile", "").unwrap();
}

#[test]
fn an_answer_cut_in_the_middle() {
    let portal = Portal::start();
    let client = portal.client();
    portal.control(json!({"drop_next": {"method": "crm.deal.list", "when": {"mid_answer": {"after_bytes": 20}}}}));
    let error = client.call("crm.deal.list", "").unwrap_err();
    assert!(matches!(error.status(), Status::Network | Status::Protocol), "{error}");
    client.call("crm.deal.list", "").unwrap();
}

#[test]
fn a_redirect_is_not_followed() {
    let portal = Portal::start();
    let other = Portal::start();
    let client = portal.client();
    let target = format!("{}/rest/profile.json", other.emulator.portal_url());
    portal.control(
        json!({"fail_next": {"method": "profile", "status": 307, "body": "", "headers": {"Location": target}}}),
    );
    let error = client.call("profile", "").unwrap_err();
    assert_eq!((error.status(), error.http_status()), (Status::Protocol, 307));
    assert!(error.to_string().contains("portal.url"), "{error}");
    assert_eq!(other.emulator.requests().len(), 0);
}

#[test]
fn a_broken_answer_fails_the_fetch_and_no_earlier_batch() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals([1]);
    let before = client.fetch(0).unwrap();
    portal.add_deals([2]);
    portal.control(
        json!({"fail_next": {"method": "event.offline.get", "times": 9, "status": 200, "body": "{\"result\":[1,2]}"}}),
    );
    assert_eq!(client.fetch(0).err().unwrap().status(), Status::Protocol);
    before.acknowledge().unwrap();
    assert_eq!(portal.queued(), 1);
    portal.control(json!("clear_faults"));
    assert_eq!(numbers(&mut client.fetch(0).unwrap()), [2]);
}

#[test]
fn malformed_envelopes_are_counted_and_the_queue_is_checked() {
    let portal = Portal::with(Options { websocket: false, ..Options::default() });
    let client = portal.connected();
    let good = |count: u32| {
        format!(
            "#!NGINXNMS!#{{\"mid\":\"{count}\",\"text\":{{\"module_id\":\"rest\",\"command\":\"event_offline\",\"params\":[{{\"connector_id\":\"OneC\",\"count\":{count}}}]}}}}#!NGINXNME!#"
        )
    };
    portal.emulator.publish_raw(format!("#!NGINXNMS!#{{\"half\":{}", good(3)).into_bytes());
    let notification = client.wait(LONG).unwrap().unwrap();
    assert_eq!((notification.count, notification.signalled), (3, true));
    expect_check(&client);
    let mut bytes = b"#!NGINXNMS!#{\"text\":\"\xff\xfe\"}#!NGINXNME!#".to_vec();
    bytes.extend_from_slice(good(2).as_bytes());
    portal.emulator.publish_raw(bytes);
    assert_eq!(client.wait(LONG).unwrap().unwrap().count, 2);
    expect_check(&client);
    let stats = stats(&client);
    assert_eq!(stats["malformed"], 2, "{stats}");
}

#[test]
fn the_client_recovers_from_rubbish_of_the_push_server() {
    for rubbish in [&b"<html>captive portal</html>"[..], b"#!NGINXNMS!#{\"half\":", b"\xff\x00\xfe"] {
        let portal = Portal::with(Options { websocket: false, ..Options::default() });
        let client = portal.connected();
        portal.emulator.publish_raw(rubbish.to_vec());
        expect_check(&client);
        portal.add_deals([1]);
        assert_eq!(client.next(LONG).unwrap().unwrap().len(), 1);
    }
}
