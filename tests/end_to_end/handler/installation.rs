//! The application comes and goes, and what it brings.

use super::*;
use b24_emulator::{EMPLOYEE, Options};

#[test]
fn an_installation_brings_the_first_tokens() {
    for source in BOTH_SOURCES {
        let setting = Setting::new();
        let client = setting.client_of(&setting.uninstalled_config(source));
        client.connect(LONG).unwrap();
        assert_eq!(client.wait(Timeout::from_millis(50)).unwrap(), None, "there is nothing to look with");
        setting.install(&client);
        look(&client);
        client.bind_event("ONCRMDEALADD").unwrap();
        until("the connection", || client.is_connected());
        client.bind_handler(&url(&client), 0).unwrap();
        setting.deals([1]);
        let mut batch = client.next(LONG).unwrap().unwrap();
        assert_eq!(numbers(&mut batch), [1], "{source}");
        batch.acknowledge().unwrap();
        assert_eq!(setting.tokens.lock().unwrap().len(), 1, "the host has been told");

        // The next client, on whatever machine, knows what proves the portal, and goes on with the tokens.
        let state = client.state();
        drop(client);
        let client = setting.client_of(&setting.uninstalled_config("handler"));
        client.restore(&state).unwrap();
        client.connect(LONG).unwrap();
        look(&client);
        setting.control(json!("expire_tokens"));
        client.call("profile", "").unwrap();
        assert_eq!(post(&client, &setting.call("ONOFFLINEEVENT").to_string()), 200);
        assert_eq!(client.wait(LONG).unwrap(), CALLED);
    }
}

#[test]
fn an_installation_that_does_not_prove_itself_changes_nothing() {
    let setting = Setting::new();
    let config = setting.uninstalled_config("handler");
    let with = |key: &str, value: &str| {
        let mut config = config.clone();
        config.set(key, value).unwrap();
        let client = setting.client_of(&config);
        client.connect(LONG).unwrap();
        client
    };
    let mut install = setting.call("ONAPPINSTALL");
    install["auth"]["access_token"] = setting.emulator.issue_tokens(EMPLOYEE).access_token.into();
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
        change("domain", json!("evil.example")),
    ] {
        refused(&with("auth.server", &setting.emulator.portal_url()), &call);
    }
    refused(&with("auth.client_id", "local.another"), &install);
    refused(&with("auth.client_id", ""), &install);
    refused(&with("handler.member_id", "another"), &install);
    refused(&with("handler.application_token", "another"), &install);

    // After one that proved nothing the next one waits for its turn; it is not believed in between.
    let client = with("auth.server", &setting.emulator.portal_url());
    refused(&client, &change("access_token", json!("made up")));
    let requests = setting.emulator.counters().requests;
    refused(&client, &install);
    assert_eq!(setting.emulator.counters().requests, requests, "the portal is not asked");
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(post(&client, &install.to_string()), 200);
    look(&client);
    // Played again, it changes nothing; with another token it is not the portal's.
    let before = client.state();
    assert_eq!(post(&client, &install.to_string()), 200);
    assert_eq!((client.state(), client.wait(AT_ONCE).unwrap()), (before, None));
    refused(&client, &change("application_token", json!("another")));
}

#[test]
fn the_end_of_the_application_is_told_to_everyone() {
    for source in BOTH_SOURCES {
        let setting = Setting::new();
        let client = setting.client_of(&setting.uninstalled_config(source));
        client.connect(LONG).unwrap();
        setting.install(&client);
        look(&client);
        until("the connection", || client.is_connected());
        let at = address(&client);
        std::thread::scope(|scope| {
            let waits: Vec<_> = (0..3).map(|_| scope.spawn(|| client.wait(Timeout::Never).map(drop))).collect();
            setting.control(json!({"uninstall": {"handler": url(&client)}}));
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
        until("the answer", || setting.emulator.counters().handler_calls == 2);
        assert_eq!(setting.emulator.counters().handler_calls_failed, 0, "the portal got its answer");
        assert!(!client.state().contains(&setting.emulator.application().application_token));

        // Installed again, with what the old client left.
        let next = setting.client_of(&setting.uninstalled_config(source));
        next.restore(&client.state()).unwrap();
        next.connect(LONG).unwrap();
        assert_eq!(next.wait(Timeout::from_millis(20)).unwrap(), None, "dead tokens are not used");
        setting.install(&next);
        look(&next);
        next.call("profile", "").unwrap();
    }
}

#[test]
fn tokens_of_a_call_stand_in_for_those_that_cannot_be_renewed() {
    let setting = Setting::new();
    let mut config = setting.handler_config("handler");
    config.set("auth.refresh_token", "").unwrap();
    let client = setting.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    client.connect(LONG).unwrap();
    look(&client);
    client.bind_handler(&url(&client), 0).unwrap();
    setting.control(json!("expire_tokens"));
    assert_eq!(client.call("profile", "").unwrap_err().status(), Status::Auth);
    // Somebody else's change: the call carries the token of the administrator who has bound the handler.
    setting.emulator.make_event("ONCRMDEALADD", deal(1), &EMPLOYEE.to_string());
    setting.deals([2]);
    assert_eq!(client.wait(LONG).unwrap(), CALLED);
    let mut found = Vec::new();
    until("both deals", || {
        let mut batch = client.fetch(0).unwrap();
        found.extend(numbers(&mut batch));
        found.len() == 2
    });
    assert_eq!(setting.tokens.lock().unwrap().len(), 1, "the host has been told");

    // A call without tokens rings all the same.
    setting.control(json!({"handler_tokens": false}));
    setting.deals([3]);
    while client.wait(LONG).unwrap() != CALLED {}
    client.call("profile", "").unwrap();
}

#[test]
fn tokens_of_a_call_leave_a_pair_alone_that_works() {
    let setting = Setting::new();
    let client = setting.called("handler");
    let before: Value = serde_json::from_str(&client.state()).unwrap();
    setting.control(json!({"handler_refresh_token": true}));
    setting.deals([1]);
    client.next(LONG).unwrap().unwrap().acknowledge().unwrap();
    let after: Value = serde_json::from_str(&client.state()).unwrap();
    assert_eq!(after["tokens"], before["tokens"]);
    setting.control(json!("expire_tokens"));
    client.call("profile", "").unwrap();
    assert_eq!(stat(&client, "renewals"), 1);
}

#[test]
fn no_secret_in_what_people_read() {
    let setting = Setting::with(Options { hold: Duration::from_millis(200), ..Options::default() });
    let client = setting.client_of(&setting.uninstalled_config("both"));
    client.connect(LONG).unwrap();
    let application = setting.emulator.application();
    let mut secrets = vec![application.application_token.clone(), application.client_secret];
    let guess = "a-guess-that-somebody-makes";
    let mut call = setting.call("ONAPPINSTALL");
    call["auth"]["access_token"] = guess.into();
    assert_eq!(post(&client, &call.to_string()), 403);
    std::thread::sleep(Duration::from_millis(1100));
    setting.install(&client);
    look(&client);
    client.bind_handler(&url(&client), 0).unwrap();
    client.bind_event("ONCRMDEALADD").unwrap();
    setting.control(json!({"handler_refresh_token": true}));
    setting.deals([1]);
    client.next(LONG).unwrap().unwrap().acknowledge().unwrap();
    for wrong in [guess, "{\"event\":\"X\",\"auth\":\"a-guess-that-somebody-makes\"}"] {
        post(&client, wrong);
        std::thread::sleep(Duration::from_millis(1100));
    }
    let state: Value = serde_json::from_str(&client.state()).unwrap();
    for name in ["access_token", "refresh_token"] {
        secrets.push(state["tokens"][name].as_str().unwrap().to_owned());
    }
    setting.control(json!({"uninstall": {"handler": url(&client)}}));
    let error = loop {
        if let Err(error) = client.wait(LONG) {
            break error;
        }
    };
    secrets.push(guess.into());
    let mut config = setting.handler_config("handler");
    config.set("handler.listen", "192.0.2.1:80").unwrap();
    let cannot_listen = setting.client_of(&config).connect(LONG).unwrap_err().to_string();
    let shown = config.get("handler.application_token").unwrap();
    for text in [setting.log(), client.stats(), error.to_string(), cannot_listen, shown] {
        assert!(!text.is_empty());
        for secret in &secrets {
            assert!(secret.len() >= 16 && !text.contains(secret.as_str()), "{}", text.replace(secret, "<<HERE>>"));
        }
    }
    assert!(setting.log().contains("answered with HTTP 403") && setting.log().contains("was installed"));
}
