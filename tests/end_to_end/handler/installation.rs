//! Installation and uninstallation of the application, and the tokens that come with calls.

use super::*;
use b24_emulator::{ADMINISTRATOR, EMPLOYEE, Options};

#[test]
fn an_installation_brings_the_first_tokens() {
    for source in BOTH_SOURCES {
        let portal = Portal::start();
        let client = portal.client_of(&portal.uninstalled_config(source));
        client.connect(LONG).unwrap();
        assert_eq!(client.wait(Timeout::from_millis(50)).unwrap(), None, "without a token the queue is not checked");
        portal.install(&client);
        expect_check(&client);
        client.bind_event("ONCRMDEALADD").unwrap();
        until("the connection", || client.is_connected());
        client.bind_handler(&url(&client), 0).unwrap();
        portal.add_deals([1]);
        let mut batch = client.next(LONG).unwrap().unwrap();
        assert_eq!(numbers(&mut batch), [1], "{source}");
        batch.acknowledge().unwrap();
        assert_eq!(portal.tokens.lock().unwrap().len(), 1, "the tokens were reported to the host");

        // The next client, on any machine, knows the application token and continues with the tokens.
        let state = client.state();
        drop(client);
        let client = portal.client_of(&portal.uninstalled_config("handler"));
        client.restore(&state).unwrap();
        client.connect(LONG).unwrap();
        expect_check(&client);
        portal.control(json!("expire_tokens"));
        client.call("profile", "").unwrap();
        assert_eq!(post(&client, &portal.call("ONOFFLINEEVENT").to_string()), 200);
        expect_call(&client);
    }
}

#[test]
fn an_installation_that_does_not_prove_itself_changes_nothing() {
    let portal = Portal::start();
    let config = portal.uninstalled_config("handler");
    let with = |key: &str, value: &str| {
        let mut config = config.clone();
        config.set(key, value).unwrap();
        let client = portal.client_of(&config);
        client.connect(LONG).unwrap();
        client
    };
    let mut install = portal.call("ONAPPINSTALL");
    install["auth"]["access_token"] = portal.emulator.issue_tokens(ADMINISTRATOR).access_token.into();
    let refused = |client: &Client, call: &Value| {
        let before = client.state();
        assert_eq!(post(client, &call.to_string()), 403, "{call}");
        assert_eq!(client.state(), before);
        assert_eq!(client.wait(AT_ONCE).unwrap(), None);
    };
    let change = |name: &str, value: Value| {
        let mut call = install.clone();
        call["auth"][name] = value;
        call
    };
    for call in [
        change("access_token", json!("made up")),
        change("access_token", json!("")),
        change("application_token", json!("")),
        change("member_id", json!("")),
    ] {
        refused(&with("auth.server", &portal.emulator.portal_url()), &call);
    }
    refused(&with("auth.client_id", ""), &install);
    refused(&with("handler.member_id", "another"), &install);
    refused(&with("handler.application_token", "another"), &install);

    let client = with("auth.server", &portal.emulator.portal_url());
    assert_eq!(post(&client, &install.to_string()), 200);
    expect_check(&client);
    // Sent again, it changes nothing. With another token it does not come from the portal.
    let before = client.state();
    assert_eq!(post(&client, &install.to_string()), 200);
    assert_eq!((client.state(), client.wait(AT_ONCE).unwrap()), (before, None));
    refused(&client, &change("application_token", json!("another")));
}

#[test]
fn an_uninstallation_ends_every_call() {
    for source in BOTH_SOURCES {
        let portal = Portal::start();
        let client = portal.client_of(&portal.uninstalled_config(source));
        client.connect(LONG).unwrap();
        portal.install(&client);
        expect_check(&client);
        until("the connection", || client.is_connected());
        let at = address(&client);
        std::thread::scope(|scope| {
            let waits: Vec<_> = (0..3).map(|_| scope.spawn(|| client.wait(Timeout::Never).map(drop))).collect();
            portal.control(json!({"uninstall": {"handler": url(&client)}}));
            for wait in waits {
                let mut ended = wait.join().unwrap();
                while ended.is_ok() {
                    ended = client.wait(LONG).map(drop);
                }
                let error = ended.unwrap_err();
                assert_eq!((error.status(), error.code()), (Status::Auth, "APPLICATION_UNINSTALLED"));
                assert!(error.to_string().contains("install the application again"), "{error}");
            }
        });
        for error in [
            client.fetch(0).err().unwrap(),
            client.connect(LONG).unwrap_err(),
            client.call("profile", "").unwrap_err(),
            client.accept_handler_call(b"", "").unwrap_err(),
        ] {
            assert_eq!(error.code(), "APPLICATION_UNINSTALLED", "{source}");
        }
        client.join();
        TcpListener::bind(&at).expect("the port is free");
        until("the answer", || portal.emulator.counters().handler_calls == 2);
        assert_eq!(portal.emulator.counters().handler_calls_failed, 0, "the portal got its answer");
        assert!(!client.state().contains(&portal.emulator.application().application_token));

        // Installed again, with the state of the old client.
        let next = portal.client_of(&portal.uninstalled_config(source));
        next.restore(&client.state()).unwrap();
        next.connect(LONG).unwrap();
        assert_eq!(next.wait(Timeout::from_millis(20)).unwrap(), None, "dead tokens are not used");
        portal.install(&next);
        expect_check(&next);
        next.call("profile", "").unwrap();
    }
}

#[test]
fn tokens_of_a_call_are_used_when_the_own_ones_cannot_be_renewed() {
    let portal = Portal::start();
    let mut config = portal.handler_config("handler");
    config.set("auth.refresh_token", "").unwrap();
    let client = portal.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    client.connect(LONG).unwrap();
    expect_check(&client);
    client.bind_handler(&url(&client), 0).unwrap();
    portal.control(json!("expire_tokens"));
    assert_eq!(client.call("profile", "").unwrap_err().status(), Status::Auth);
    // Another user's change: the call carries the token of the administrator who bound the handler.
    portal.emulator.make_event("ONCRMDEALADD", deal(1), &EMPLOYEE.to_string());
    portal.add_deals([2]);
    expect_call(&client);
    let mut found = Vec::new();
    until("both deals", || {
        let mut batch = client.fetch(0).unwrap();
        found.extend(numbers(&mut batch));
        found.len() == 2
    });
    assert_eq!(portal.tokens.lock().unwrap().len(), 1, "the tokens were reported to the host");

    // A call without tokens rings all the same.
    portal.control(json!({"handler_tokens": false}));
    portal.end_pause(&client);
    portal.add_deals([3]);
    expect_call(&client);
    client.call("profile", "").unwrap();
}

#[test]
fn tokens_of_a_call_do_not_replace_a_pair_that_works() {
    let portal = Portal::start();
    let client = portal.called("handler");
    let before: Value = serde_json::from_str(&client.state()).unwrap();
    portal.control(json!({"handler_refresh_token": true}));
    portal.add_deals([1]);
    client.next(LONG).unwrap().unwrap().acknowledge().unwrap();
    let after: Value = serde_json::from_str(&client.state()).unwrap();
    assert_eq!(after["tokens"], before["tokens"]);
    portal.control(json!("expire_tokens"));
    client.call("profile", "").unwrap();
    assert_eq!(stat(&client, "renewals"), 1);
}

#[test]
fn no_secret_in_what_people_read() {
    let portal = Portal::with(Options { hold: Duration::from_millis(200), ..Options::default() });
    let client = portal.client_of(&portal.uninstalled_config("both"));
    client.connect(LONG).unwrap();
    let application = portal.emulator.application();
    let mut secrets = vec![application.application_token.clone(), application.client_secret];
    let guess = "a-guess-that-somebody-makes";
    let mut call = portal.call("ONAPPINSTALL");
    call["auth"]["access_token"] = guess.into();
    assert_eq!(post(&client, &call.to_string()), 403);
    portal.clock.advance(Duration::from_secs(60));
    portal.install(&client);
    expect_check(&client);
    client.bind_handler(&url(&client), 0).unwrap();
    client.bind_event("ONCRMDEALADD").unwrap();
    portal.control(json!({"handler_refresh_token": true}));
    portal.add_deals([1]);
    client.next(LONG).unwrap().unwrap().acknowledge().unwrap();
    for wrong in [guess, "{\"event\":\"X\",\"auth\":\"a-guess-that-somebody-makes\"}"] {
        post(&client, wrong);
        portal.clock.advance(Duration::from_secs(2));
    }
    let state: Value = serde_json::from_str(&client.state()).unwrap();
    for name in ["access_token", "refresh_token"] {
        secrets.push(state["tokens"][name].as_str().unwrap().to_owned());
    }
    portal.control(json!({"uninstall": {"handler": url(&client)}}));
    let error = loop {
        if let Err(error) = client.wait(LONG) {
            break error;
        }
    };
    secrets.push(guess.into());
    let mut config = portal.handler_config("handler");
    config.set("handler.listen", "192.0.2.1:80").unwrap();
    let cannot_listen = portal.client_of(&config).connect(LONG).unwrap_err().to_string();
    let shown = config.get("handler.application_token").unwrap();
    for text in [portal.log(), client.stats(), error.to_string(), cannot_listen, shown] {
        assert!(!text.is_empty());
        for secret in &secrets {
            assert!(secret.len() >= 16 && !text.contains(secret.as_str()), "{}", text.replace(secret, "<<HERE>>"));
        }
    }
    assert!(portal.log().contains("answered with HTTP 403") && portal.log().contains("was installed"));
}
