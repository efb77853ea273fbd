//! What every quickstart program has to do, in whatever language.

use std::process::Command;

use serde_json::{Value, json};

use super::{Portal, Program};

/// Runs a program that is to print two added deals and end. The first deal comes while it connects, the second one
/// when it waits, so that only the push server can announce it.
pub fn quickstart(program: &mut Command, needs: &str) {
    let portal = Portal::start();
    portal.describe_to(program.arg("2"));
    let add = |id: &str| portal.emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": id}}), "");

    let program = Program::start(program, needs);
    portal.wait_for("event.bind");
    add("7");
    portal.wait_for("event.offline.clear");
    add("8");
    let output = program.finish();

    let batches: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
        .collect();
    let events: Vec<&Value> = batches.iter().filter_map(|batch| batch["events"].as_array()).flatten().collect();
    let ids: Vec<&Value> = events.iter().map(|event| &event["EVENT_DATA"]["FIELDS"]["ID"]).collect();
    assert_eq!(ids, ["7", "8"], "{output}");
    assert!(events.iter().all(|event| event["EVENT_NAME"] == "ONCRMDEALADD"), "{output}");
    assert_eq!(portal.emulator.queue(""), [], "everything is acknowledged");
}
