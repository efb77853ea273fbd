//! What is bound in the portal, and what becomes of it.

use super::*;

impl Portal {
    /// The batches with changes of bindings that the portal has been asked for: their commands, decoded.
    fn binding_batches(&self) -> Vec<Vec<String>> {
        let batches = self.emulator.requests().into_iter().filter(|request| request.target.contains("batch"));
        let commands = batches.map(|request| {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            let commands =
                body["cmd"].as_object().unwrap().values().map(|command| command.as_str().unwrap().to_owned());
            commands.collect::<Vec<_>>()
        });
        let is_change =
            |command: &String| ["event.bind?", "event.unbind?"].iter().any(|name| command.starts_with(name));
        commands.filter(|commands| commands.iter().any(is_change)).collect()
    }

    /// Everything that is bound: `event address` or `event`.
    fn everything_bound(&self, client: &Client) -> Vec<String> {
        let answer: Value = serde_json::from_str(&client.call("event.get", "").unwrap()).unwrap();
        let text = |binding: &Value, name: &str| binding[name].as_str().unwrap_or_default().to_owned();
        let bindings = answer["result"].as_array().unwrap().iter();
        let mut bound: Vec<String> = bindings
            .map(|binding| format!("{} {}", text(binding, "event"), text(binding, "handler")).trim_end().to_owned())
            .collect();
        bound.sort();
        bound
    }

    /// What the portal does when the application is updated, and the call that it makes then.
    fn update_application(&self, client: &Client) {
        let administrator = self.client();
        for bound in self.everything_bound(&administrator) {
            let params = match bound.split_once(' ') {
                Some((event, handler)) => json!({"event": event, "handler": handler}),
                None => json!({"event": bound, "event_type": "offline"}),
            };
            administrator.call("event.unbind", &params.to_string()).unwrap();
        }
        assert_eq!(self.everything_bound(&administrator), [""; 0]);
        let call = self.call("ONAPPUPDATE").to_string();
        assert_eq!(client.accept_handler_call(call.as_bytes(), "application/json"), Ok(200));
    }
}

#[test]
fn binding_is_idempotent_and_follows_the_address() {
    let portal = Portal::start();
    let client = portal.client();
    let [old, new] = ["http://127.0.0.1:1/old", "http://127.0.0.1:1/new"];
    for url in [old, old, new, new] {
        client.bind_handler(url, 1).unwrap();
        assert_eq!(portal.bound(&client), [url]);
    }
    portal.client().bind_handler(old, 5).unwrap();
    assert_eq!(portal.bound(&client), [old], "a client that does not know the previous address replaces it too");
    client.unbind_handler(Some(new)).unwrap();
    assert_eq!(portal.bound(&client), [old]);
    client.unbind_handler(Some(old)).unwrap();
    client.bind_handler(new, 1).unwrap();
    client.unbind_handler(None).unwrap();
    client.unbind_handler(None).unwrap();
    assert_eq!(portal.bound(&client), [""; 0]);
    for bad in ["", "my-server", "ftp://x/"] {
        assert_eq!(client.bind_handler(bad, 1).unwrap_err().status(), Status::InvalidArgument);
    }
}

#[test]
fn changed_options_are_bound_anew() {
    let portal = Portal::start();
    let client = portal.client_of(&portal.handler_config("handler"));
    client.connect(LONG).unwrap();
    expect_check(&client);
    let url = "http://127.0.0.1:1/b24";
    client.bind_handler(url, 1).unwrap();
    client.bind_handler(url, 1).unwrap();
    assert_eq!(portal.binding_batches().len(), 1, "once is enough");
    assert_eq!(client.wait(AT_ONCE).unwrap(), None);

    client.bind_handler(url, 5).unwrap();
    let batches = portal.binding_batches();
    let [unbind, bind] = batches.last().unwrap().as_slice() else { panic!("{batches:?}") };
    assert!(unbind.starts_with("event.unbind?") && unbind.contains("ONOFFLINEEVENT"), "{unbind}");
    assert!(bind.starts_with("event.bind?") && bind.contains("minTimeout%5D=5"), "{bind}");
    // A call may have been missed in between.
    expect_check(&client);
    assert_eq!(portal.bound(&client), [url]);

    // The portal does not tell which options a binding has, so another client makes sure.
    portal.client().bind_handler(url, 7).unwrap();
    assert!(portal.binding_batches().last().unwrap().iter().any(|command| command.contains("minTimeout%5D=7")));
    assert_eq!(portal.bound(&client), [url]);
}

#[test]
fn an_address_is_called_for_updates_and_the_uninstallation_too() {
    let portal = Portal::start();
    let client = portal.client();
    let url = "http://127.0.0.1:1/b24";
    client.bind_handler(url, 1).unwrap();
    let events = ["ONAPPUNINSTALL", "ONAPPUPDATE", "ONOFFLINEEVENT"].map(|event| format!("{event} {url}"));
    let bound = [vec![], events.to_vec(), vec!["ONCRMDEALADD".into()]].concat();
    let sorted = |mut bound: Vec<String>| {
        bound.sort();
        bound
    };
    assert_eq!(portal.everything_bound(&client), sorted(bound));
    client.unbind_handler(None).unwrap();
    assert_eq!(portal.everything_bound(&client), ["ONCRMDEALADD"]);
}

#[test]
fn an_update_of_the_application_is_survived() {
    let portal = Portal::start();
    // An earlier process has bound an event, and this one does not bind it itself.
    portal.client().bind_event("ONCRMLEADADD").unwrap();
    let client = portal.called("handler");
    client.bind_event("ONCRMCONTACTADD").unwrap();
    client.unbind_event("ONCRMCONTACTADD").unwrap();
    let before = portal.everything_bound(&client);
    portal.update_application(&client);
    until("the bindings", || portal.everything_bound(&client) == before);
    until("the check", || client.wait(AT_ONCE).unwrap().is_some());
    portal.add_deals([1]);
    expect_call(&client);
    assert_eq!(numbers(&mut client.fetch(0).unwrap()), [1]);
    assert!(portal.log().contains("the application was updated"), "{}", portal.log());
    until("the outcome", || portal.log().contains("bound anew after the update"));
}

#[test]
fn what_others_have_bound_before_survives_an_update_too() {
    for source in ["handler", "push"] {
        let portal = Portal::start();
        let earlier = portal.client();
        earlier.bind_event("ONCRMLEADADD").unwrap();
        earlier.bind_handler("http://127.0.0.1:1/b24", 5).unwrap();
        let before = portal.everything_bound(&earlier);
        assert_eq!(before.len(), 5);
        drop(earlier);
        let client = portal.client_of(&portal.handler_config(source));
        client.connect(LONG).unwrap();
        portal.update_application(&client);
        until("the bindings", || portal.everything_bound(&client) == before);

        // What is unbound stays unbound.
        client.unbind_handler(None).unwrap();
        client.unbind_event("ONCRMLEADADD").unwrap();
        portal.update_application(&client);
        until("the bindings", || portal.everything_bound(&client) == ["ONCRMDEALADD"]);
    }
}

#[test]
fn an_update_is_survived_though_the_portal_fails_at_first() {
    let portal = Portal::start();
    let client = portal.called("handler");
    let before = portal.everything_bound(&client);
    // More often than one call is repeated.
    portal.control(json!({"fail_next": {"method": "batch", "status": 502, "times": 4}}));
    portal.update_application(&client);
    until("the bindings", || portal.everything_bound(&client) == before);
    assert!(portal.emulator.counters().faults_applied >= 4);
}

#[test]
fn an_update_is_survived_by_a_client_that_does_not_listen_for_calls() {
    let portal = Portal::start();
    let client = portal.client_of(&portal.handler_config("push"));
    client.bind_event("ONCRMDEALADD").unwrap();
    client.bind_handler("http://127.0.0.1:1/b24", 1).unwrap();
    let before = portal.everything_bound(&client);
    portal.update_application(&client);
    assert_eq!(portal.everything_bound(&client), before);
}

#[test]
fn an_update_of_which_only_a_stranger_tells_changes_nothing() {
    let portal = Portal::start();
    let client = portal.called("handler");
    let mut call = portal.call("ONAPPUPDATE");
    call["auth"]["application_token"] = "a guess".into();
    let requests = portal.emulator.counters().requests;
    assert_eq!(post(&client, &call.to_string()), 403);
    assert_eq!(portal.emulator.counters().requests, requests);
}
