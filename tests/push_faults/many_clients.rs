//! 200 clients in one process: each gets its own signals, and each needs little memory.
//!
//! The clients live in a process of their own, so that the emulator's memory is not counted.

use std::process::Command;
use std::time::Duration;

use b24events::client::{Client, Hooks};
use b24events::config::Config;
use serde_json::json;

use super::support::{LONG, Portal, Program, deal, until};

const CLIENTS: usize = 200;
/// With these clients everything that is shared is in memory: code, tables, the allocator's arenas.
const FIRST: usize = 20;
const MAX_KIB: usize = 64;

#[test]
fn two_hundred_clients_in_a_process_get_their_own_signals_and_need_little_memory() {
    let portal = Portal::start();
    let emulator = &portal.emulator;
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "many_clients::the_clients", "--ignored", "--nocapture", "--test-threads=1"]);
    portal.describe_to(&mut program);
    let program = Program::start(&mut program, "this test itself");
    let called = |method: &str| emulator.counters().calls.get(method).copied().unwrap_or(0);
    // It calls this when it has measured: what follows needs memory too.
    until("the measurement", || called("profile") == 1);
    assert_eq!(emulator.counters().websockets_open, CLIENTS as u64);
    for number in 0..CLIENTS {
        let signal = json!([{"connector_id": format!("C{number}"), "count": number + 1}]);
        emulator.publish("rest", "event_offline", signal);
    }
    until("every client's signal", || called("app.info") == CLIENTS as u64);
    emulator.make_event("ONCRMDEALADD", deal(7), "");
    let output = program.finish();
    println!("{}", output.lines().filter(|line| line.contains("KiB")).collect::<String>());
    assert_eq!(emulator.counters().websockets_accepted, CLIENTS as u64, "none had to connect again");
    for number in 0..CLIENTS {
        assert_eq!(emulator.queue(&format!("C{number}")).len(), 0, "every client has acknowledged");
    }
}

/// The other process.
#[test]
#[ignore = "run by the other test"]
fn the_clients() {
    let mut clients = Vec::new();
    let mut before = 0;
    for number in 0..CLIENTS {
        if number == FIRST {
            std::thread::sleep(Duration::from_millis(500));
            before = resident_without_stacks();
        }
        clients.push(client(number));
    }
    // Memory is measured at rest: the first checks of the queue and the first pings are over.
    std::thread::sleep(Duration::from_secs(1));
    let each = (resident_without_stacks() - before) / (CLIENTS - FIRST);
    println!("{each} KiB of resident memory per client beyond its stack");
    assert!(each < MAX_KIB, "{each} KiB");
    clients[0].call("profile", "").unwrap();
    for (number, client) in clients.iter().enumerate() {
        let mut count = 0;
        while count == 0 {
            count = client.wait(LONG).unwrap().expect("its own signal").count;
        }
        assert_eq!(count, number as u64 + 1, "and not that of another");
        client.call("app.info", "").unwrap();
    }
    for client in &clients {
        let batch = client.next(LONG).unwrap().expect("the record");
        assert_eq!(batch.len(), 1);
        batch.acknowledge().unwrap();
    }
}

fn client(number: usize) -> Client {
    let mut config = Config::new();
    let env = |name: &str| std::env::var(name).unwrap();
    for (key, value) in [
        ("portal.url", env("B24_PORTAL_URL").as_str()),
        ("auth.access_token", env("B24_ACCESS_TOKEN").as_str()),
        ("connector.id", &format!("C{number}")),
        ("rate.per_second", "0"),
    ] {
        config.set(key, value).unwrap();
    }
    let client = Client::new(&config, Hooks::default()).unwrap();
    client.bind_event("ONCRMDEALADD").unwrap();
    client.connect(LONG).unwrap();
    client
}

/// KiB that are in memory, without what lies in mappings of the size of a thread's stack.
fn resident_without_stacks() -> usize {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut sum, mut is_stack) = (0, false);
    for line in maps.lines() {
        let kib = || line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0);
        match line.split(':').next() {
            Some("Size") => is_stack = (2040..=2056).contains(&kib()),
            Some("Rss") if !is_stack => sum += kib(),
            _ => {}
        }
    }
    sum
}
