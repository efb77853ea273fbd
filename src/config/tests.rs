use super::*;

fn minimal() -> Config {
    let mut config = Config::new();
    config.set("portal.url", "https://my.bitrix24.ru").unwrap();
    config.set("auth.access_token", "planted").unwrap();
    config
}

fn config_error(result: Result<impl Sized>) -> String {
    match result {
        Err(Error::Config(text)) => text,
        Err(other) => panic!("not B24_CONFIG: {other:?}"),
        Ok(_) => panic!("accepted"),
    }
}

#[test]
fn every_default_is_allowed() {
    for key in keys::KEYS {
        if let Some(default) = key.default {
            check_value(key, default).unwrap();
        }
        assert!(!(key.required && key.default.is_some()), "{}", key.name);
    }
    let settings = minimal().settings().unwrap();
    assert_eq!(settings.poll_interval, Duration::from_secs(300));
    assert_eq!(settings.unsubscribed_poll_interval, Duration::from_secs(30));
    assert_eq!(settings.redeliver_pauses, [1, 5, 30, 300].map(Duration::from_secs));
    assert_eq!(settings.max_answer_bytes, 32 << 20);
    assert_eq!(settings.log_level, Some(Level::Info));
}

#[test]
fn names_in_the_code_are_in_the_table() {
    let source = include_str!("mod.rs");
    for call in ["self.text(\"", "self.number(\"", "self.millis(\"", "self.secret(\"", "self.address(\""] {
        for rest in source.split(call).skip(1) {
            let name = rest.split('"').next().unwrap();
            assert!(keys::find(name).is_some(), "{name}");
        }
    }
}

#[test]
fn the_error_for_an_unknown_key_lists_similar_keys() {
    let text = config_error(Config::new().set("push.pol_interval", "1"));
    assert!(text.contains("\"push.pol_interval\"") && text.contains("push.poll_interval_ms"), "{text}");
    assert!(config_error(Config::new().get("nonsense")).contains("CONFIGURATION.md"));
}

#[test]
fn the_error_names_an_invalid_value_and_what_is_allowed() {
    for (key, value, allowed) in [
        ("fetch.limit", "0", "from 1 to 1000"),
        ("fetch.limit", "1001", "from 1 to 1000"),
        ("fetch.limit", "-1", "from 1 to 1000"),
        ("redeliver.pauses_ms", "1000 x", "from 100 to 86400000"),
        ("redeliver.pauses_ms", "1000,5000", "from 100 to 86400000"),
        ("redeliver.pauses_ms", "99", "1 to 20 whole numbers"),
        ("fetch.reserve", "maybe", "auto, yes, no"),
        ("http.allow_plain", "1", "true or false"),
        ("portal.url", "my.bitrix24.ru", "https://"),
        ("source", "handlers", "push, handler, both"),
        ("handler.listen", "8080", "127.0.0.1:8080"),
        ("handler.listen", "localhost:8080", "127.0.0.1:8080"),
        ("handler.path", "b24", "/b24"),
        ("handler.path", "/b24 x", "/b24"),
    ] {
        let text = config_error(Config::new().set(key, value));
        assert!(text.contains(key) && text.contains(value) && text.contains(allowed), "{text}");
    }
}

#[test]
fn the_error_names_a_missing_key() {
    assert!(config_error(Config::new().settings()).contains("portal.url"));
    let mut config = Config::new();
    config.set("portal.url", "https://my.bitrix24.ru").unwrap();
    config.settings().unwrap();
    let mut config = minimal();
    config.set("auth.refresh_token", "planted").unwrap();
    assert!(config_error(config.settings()).contains("auth.client_id"));
}

#[test]
fn plain_http_has_to_be_allowed() {
    let mut config = minimal();
    config.set("portal.url", "http://my.bitrix24.ru").unwrap();
    assert!(config_error(config.settings()).contains("http.allow_plain"));
    config.set("http.allow_plain", "true").unwrap();
    config.settings().unwrap();
}

#[test]
fn a_webhook_is_refused_without_showing_its_secret() {
    let mut config = minimal();
    config.set("portal.url", "https://my.bitrix24.ru/rest/1/planted/").unwrap();
    let text = config_error(config.settings());
    assert!(text.contains("webhook") && !text.contains("planted"), "{text}");
}

#[test]
fn secrets_are_masked() {
    let config = minimal();
    assert_eq!(config.get("auth.access_token").unwrap(), "***");
    assert_eq!(config.get("auth.refresh_token").unwrap(), "");
    assert_eq!(config.get("fetch.limit").unwrap(), "50");
    let text = config_error(minimal().set("auth.access_token", "planted\n"));
    assert!(!text.contains("planted"), "{text}");
}

#[test]
fn a_proxy_is_shown_without_its_user() {
    let mut config = minimal();
    for proxy in ["http://proxy:3128", "http://user:planted@proxy:3128", "socks5://user:planted@proxy:1080"] {
        config.set("http.proxy", proxy).unwrap();
        assert!(config.get("http.proxy").unwrap().ends_with(&proxy[proxy.len() - 4..]));
        assert!(!config.get("http.proxy").unwrap().contains("planted"), "{proxy}");
        assert!(config.settings().unwrap().proxy.is_some());
    }
    for invalid in ["planted", "ftp://planted", "user:planted@proxy:1080", "http://"] {
        let text = config_error(config.set("http.proxy", invalid));
        assert!(!text.contains("planted") && text.contains("socks5://"), "{text}");
    }
}

#[test]
fn root_certificates_are_read_from_pem() {
    let mut config = minimal();
    config.set("tls.ca_file", "/no/such/file").unwrap();
    assert!(config_error(config.settings()).contains("cannot be read"));
    config.set("tls.ca_file", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    assert!(config_error(config.settings()).contains("BEGIN CERTIFICATE"));
}

#[test]
fn the_authorization_address_is_that_of_the_portal() {
    let address = |keys: &[(&str, &str)], state| {
        let mut config = Config::new();
        config.set("portal.url", "https://my.bitrix24.ru").unwrap();
        keys.iter().for_each(|(key, value)| config.set(key, value).unwrap());
        config.settings().unwrap().authorization_address(state)
    };
    let id = [("auth.client_id", "local.1&x.2")];
    assert_eq!(address(&id, "").unwrap(), "https://my.bitrix24.ru/oauth/authorize/?client_id=local.1%26x.2");
    assert!(address(&id, "а b").unwrap().ends_with("&state=%D0%B0%20b"));
    let error = address(&[], "").unwrap_err();
    assert!(error.status() == crate::error::Status::Config && error.to_string().contains("auth.client_id"), "{error}");
}
