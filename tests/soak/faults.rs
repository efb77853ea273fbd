//! The faults, all of which a host may meet in its life.

use serde_json::{Value, json};

use super::host::Host;
use super::support::Portal;

/// A fault: its name, and what happens in the portal. The full disk happens in the host.
type Fault = (&'static str, Vec<Value>);

const FULL_DISK: &str = "full disk";
/// Longer than the hosts wait for an answer.
pub const TOO_SLOW_MS: u64 = 4000;

/// The answer to the next call of a method is lost.
fn lost(method: &str, when: Value) -> Value {
    json!({"drop_next": {"method": method, "when": when}})
}

/// The next calls of a method are refused.
fn refused(method: &str, times: u32, status: u16, error: &str) -> Value {
    json!({"fail_next": {"method": method, "times": times, "status": status, "error": error}})
}

/// The next REST calls of any method are answered by something in front of the portal.
fn gateway(status: u16) -> Value {
    json!({"fail_next": {"method": "batch", "times": 2, "status": status, "body": "<html>Bad gateway</html>"}})
}

fn slow(method: &str, ms: u64) -> Value {
    json!({"delay_next": {"method": method, "ms": ms}})
}

fn closed(code: u16) -> Value {
    json!({"close_websockets": {"code": code}})
}

fn every() -> Vec<Fault> {
    const GET: &str = "event.offline.get";
    const CONFIG: &str = "pull.application.config.get";
    let cut_answer = json!({"mid_answer": {"after_bytes": 40}});
    let (before, after) = (json!("before_handling"), json!("after_handling"));
    vec![
        ("push server down for a while", vec![json!("stop_push")]),
        ("push server restarted", vec![json!("restart_push")]),
        ("push connections cut", vec![json!("drop_connections")]),
        ("WebSockets cut", vec![json!("drop_websockets")]),
        ("WebSockets stalled", vec![json!("mute_websockets")]),
        ("WebSockets closed: 1001, 1006, 1008", vec![closed(1001), closed(1006), closed(1008)]),
        ("WebSockets closed: 3000, 3001, 3003", vec![closed(3000), closed(3001), closed(3003)]),
        ("WebSockets refused for a while", vec![json!({"refuse_upgrades": {}}), json!("drop_websockets")]),
        ("garbage in the next answer or frame", vec![json!({"publish_raw": {"text": "#!NGINXNMS!#{\"mid\":1,]}"}})]),
        (
            "garbage in frames",
            vec![
                json!({"send_text": {"text": "#!NGINXNMS!#{}#!NGINX"}}),
                json!({"send_binary": {"bytes": [255, 0, 13, 10, 129, 33]}}),
            ],
        ),
        ("channel expired, announced", vec![json!({"expire_channel": {"command": true}})]),
        ("channel expired, not announced", vec![json!({"expire_channel": {}}), json!("drop_connections")]),
        ("configuration expired", vec![json!("config_expire")]),
        ("server_restart announced", vec![json!("server_restart")]),
        ("configuration refused with 500", vec![refused(CONFIG, 2, 500, "INTERNAL_SERVER_ERROR"), closed(3003)]),
        ("fetch lost before the portal", vec![lost(GET, before.clone())]),
        ("answer to a fetch lost", vec![lost(GET, after.clone())]),
        ("answer to a fetch broken off", vec![lost(GET, cut_answer.clone())]),
        ("acknowledgement lost before the portal", vec![lost("batch", before.clone())]),
        ("answer to an acknowledgement lost", vec![lost("batch", after.clone())]),
        ("answer to an acknowledgement broken off", vec![lost("batch", cut_answer)]),
        ("answer to event.offline.clear lost", vec![lost("event.offline.clear", after.clone())]),
        ("request for tokens lost", vec![lost("oauth", before)]),
        ("new tokens lost", vec![lost("oauth", after)]),
        ("authorization server fails", vec![refused("oauth", 2, 502, "")]),
        ("access tokens expired", vec![json!("expire_tokens")]),
        ("tokens revoked", vec![json!("revoke_tokens")]),
        ("token refused: CONNECTION_ERROR", vec![refused(GET, 1, 401, "CONNECTION_ERROR")]),
        ("ACCESS_DENIED", vec![refused(GET, 1, 403, "ACCESS_DENIED")]),
        ("QUERY_LIMIT_EXCEEDED", vec![refused("batch", 2, 503, "QUERY_LIMIT_EXCEEDED")]),
        ("a narrow leaky bucket for a while", vec![json!({"limits": {"burst": 5, "per_second": 5.0}})]),
        ("OPERATION_TIME_LIMIT", vec![json!({"operating_limit": {"method": GET, "seconds": 1, "announced": true}})]),
        ("INTERNAL_SERVER_ERROR", vec![refused(GET, 2, 500, "INTERNAL_SERVER_ERROR")]),
        ("a gateway answers", vec![gateway(502), gateway(504)]),
        ("a slow answer", vec![slow(GET, 1000), slow("batch", 1000)]),
        ("an answer that comes too late", vec![slow(GET, TOO_SLOW_MS)]),
        ("acknowledged too late", vec![slow("batch", TOO_SLOW_MS)]),
        (FULL_DISK, vec![]),
    ]
}

/// One fault after the other, round and round.
pub struct Faults {
    every: Vec<Fault>,
    next: usize,
    /// How often each has happened.
    pub counts: Vec<(&'static str, u64)>,
}

impl Faults {
    /// Starts somewhere else in each lane.
    pub fn starting_with(number: usize) -> Faults {
        let every = every();
        let counts = every.iter().map(|(name, _)| (*name, 0)).collect();
        Faults { every, next: number, counts }
    }

    pub fn kinds() -> usize {
        every().len()
    }

    pub fn happen(&mut self, portal: &Portal, host: &Host) {
        let index = self.next % self.every.len();
        let (name, controls) = &self.every[index];
        controls.iter().for_each(|control| portal.control(control.clone()));
        if *name == FULL_DISK {
            host.fill_disk(true);
        }
        self.next += 1;
        self.counts[index].1 += 1;
    }

    /// Ends what lasts until somebody ends it.
    pub fn pass(portal: &Portal, host: &Host) {
        for control in ["start_push", "accept_upgrades", "no_limits", "no_operating_limit"] {
            portal.control(json!(control));
        }
        host.fill_disk(false);
    }
}
