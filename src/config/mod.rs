//! Configuration: the values that a host sets, and the checked [`Settings`] from which a client is made.

mod address;
mod key;
mod keys;
mod markdown;
pub(crate) mod object_methods;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::Proxy;
use ureq::tls::{Certificate, PemItem, parse_pem};

use crate::error::{Error, Result};
use crate::log::Level;
use crate::secret::Secret;

pub(crate) use address::is_loopback;
pub use address::{Address, PlainHttp};
use key::{Key, Kind};
pub use markdown::markdown;
use object_methods::ObjectMethod;

/// The values that the host has set. Each is checked when it is set.
#[derive(Clone, Default)]
pub struct Config {
    values: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Where addresses that the portal names may do without TLS.
    pub(crate) fn plain_when_named(&self) -> PlainHttp {
        PlainHttp::named_by(&self.portal, self.allow_plain)
    }

    /// Where an administrator authorizes the application in a browser. The portal then opens the address in the
    /// application's settings with `code` and, if it is not empty, with `state`. The vendor knows no `redirect_uri` here.
    pub fn authorization_address(&self, state: &str) -> Result<String> {
        if self.client_id.is_empty() {
            return Err(Error::Config(
                "auth.client_id is not set; set it to the client_id that the portal shows in the application's settings"
                    .into(),
            ));
        }
        let escape = |text| utf8_percent_encode(text, QUERY_VALUE);
        let mut address = format!("{}/oauth/authorize/?client_id={}", self.portal.origin(), escape(&self.client_id));
        if !state.is_empty() {
            address.push_str(&format!("&state={}", escape(state)));
        }
        Ok(address)
    }
}

/// The characters to encode in a value of a query.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Config {
    /// A configuration in which all keys have their defaults.
    pub fn new() -> Config {
        Config::default()
    }

    /// Sets a key. Checks the value alone; [`Config::settings`] checks what depends on other keys.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let key = find_key(name)?;
        check_value(key, value)?;
        self.values.insert(key.name, value.to_owned());
        Ok(())
    }

    /// The value of a key in a form that may be shown: `***` for a secret, addresses without their path, `""` for a key
    /// without a value.
    pub fn get(&self, name: &str) -> Result<String> {
        let key = find_key(name)?;
        let value = self.value(key);
        Ok(match key.kind {
            Kind::Secret if !value.is_empty() => "***".into(),
            // In a webhook's address the path is secret; in a proxy's, what is before the host.
            Kind::Address | Kind::Proxy => address::without_secrets(value),
            _ => value.to_owned(),
        })
    }

    fn value(&self, key: &Key) -> &str {
        self.values.get(key.name).map(String::as_str).or(key.default).unwrap_or("")
    }

    /// The checked settings.
    pub fn settings(&self) -> Result<Settings> {
        for key in keys::KEYS.iter().filter(|key| key.required) {
            if self.value(key).is_empty() {
                return Err(Error::Config(format!("{} is not set; set it to {}", key.name, key.kind.allowed())));
            }
        }
        let allow_plain = self.text("http.allow_plain") == "true";
        let portal = self.address("portal.url", allow_plain)?;
        refuse_webhook(&portal)?;
        let refresh_token = self.secret("auth.refresh_token");
        if !refresh_token.is_empty() {
            for name in ["auth.client_id", "auth.client_secret"] {
                if self.text(name).is_empty() {
                    return Err(Error::Config(format!(
                        "{name} is not set, but auth.refresh_token needs it; set both or neither"
                    )));
                }
            }
        }
        Ok(Settings {
            portal,
            access_token: self.secret("auth.access_token"),
            refresh_token,
            expires: self.number("auth.expires"),
            client_id: self.text("auth.client_id").to_owned(),
            client_secret: self.secret("auth.client_secret"),
            auth_server: self.address("auth.server", allow_plain)?,
            renewed_by_host: self.text("auth.renew") == "host",
            tokens_file: self.path("auth.tokens_file"),
            rate_burst: self.number("rate.burst") as f64,
            rate_per_second: self.number("rate.per_second") as f64,
            connector_id: self.text("connector.id").to_owned(),
            fetch_limit: self.number("fetch.limit") as u32,
            reserve: match self.text("fetch.reserve") {
                "yes" => Reserve::Yes,
                "no" => Reserve::No,
                _ => Reserve::Auto,
            },
            orphans: self.orphan_ages(),
            redeliver_pauses: key::parse_pauses(self.text("redeliver.pauses_ms")).unwrap_or_default(),
            object_methods: object_methods::parse(self.text("objects.methods")).unwrap_or_default(),
            state_dir: self.path("state.dir"),
            source: match self.text("source") {
                "handler" => Source::Handler,
                "both" => Source::Both,
                _ => Source::Push,
            },
            handler: HandlerSettings {
                listen: self.text("handler.listen").parse().ok(),
                path: self.text("handler.path").to_owned(),
                application_token: self.secret("handler.application_token"),
                member_id: self.text("handler.member_id").to_owned(),
            },
            poll_interval: self.millis("push.poll_interval_ms"),
            unsubscribed_poll_interval: self.millis("push.unsubscribed_poll_interval_ms"),
            idle_timeout: self.millis("push.idle_timeout_ms"),
            transport: match self.text("push.transport") {
                "websocket" => Transport::WebSocket,
                "long_polling" => Transport::LongPolling,
                _ => Transport::Auto,
            },
            renew_before: Duration::from_secs(self.number("push.renew_before_s")),
            call_timeout: self.millis("http.timeout_ms"),
            connect_timeout: self.millis("http.connect_timeout_ms"),
            proxy: Some(self.text("http.proxy")).filter(|url| !url.is_empty()).and_then(|url| Proxy::new(url).ok()),
            root_certificates: self.path("tls.ca_file").map(|path| read_certificates(&path)).transpose()?,
            max_answer_bytes: self.number("http.max_answer_bytes"),
            allow_plain,
            log_level: match self.text("log.level") {
                "off" => None,
                "error" => Some(Level::Error),
                "warning" => Some(Level::Warning),
                "debug" => Some(Level::Debug),
                _ => Some(Level::Info),
            },
        })
    }

    fn orphan_ages(&self) -> Option<OrphanAges> {
        let in_company = Duration::from_secs(self.number("recover.orphan_age_s"));
        let alone = match self.text("recover.orphans") {
            "no" => return None,
            "exclusive" => return Some(OrphanAges { alone: Duration::ZERO, in_company: Duration::ZERO }),
            "aged" => in_company,
            _ => in_company.min(self.millis("http.timeout_ms") * 2),
        };
        Some(OrphanAges { alone, in_company })
    }

    fn text(&self, name: &str) -> &str {
        keys::find(name).map_or("", |key| self.value(key))
    }

    fn secret(&self, name: &str) -> Secret {
        Secret::new(self.text(name))
    }

    // Values and defaults have been checked, so they are numbers.
    fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_default()
    }

    fn millis(&self, name: &str) -> Duration {
        Duration::from_millis(self.number(name))
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name)).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    fn address(&self, name: &str, allow_plain: bool) -> Result<Address> {
        Address::parse(self.text(name), PlainHttp::configured(allow_plain))
            .map_err(|text| Error::Config(format!("{name}: {text}")))
    }
}

/// What a client is made from: checked and complete.
#[derive(Clone)]
pub struct Settings {
    pub(crate) portal: Address,
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Secret,
    pub(crate) expires: u64,
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    pub(crate) auth_server: Address,
    pub(crate) renewed_by_host: bool,
    pub(crate) tokens_file: Option<PathBuf>,
    pub(crate) rate_burst: f64,
    pub(crate) rate_per_second: f64,
    pub(crate) connector_id: String,
    pub(crate) fetch_limit: u32,
    pub(crate) reserve: Reserve,
    /// How long an unknown reservation is left alone; `None`: always.
    pub(crate) orphans: Option<OrphanAges>,
    /// After how long a batch that was freed without acknowledgement comes again, by attempt; the last one repeats.
    pub(crate) redeliver_pauses: Vec<Duration>,
    pub(crate) object_methods: Vec<ObjectMethod>,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) source: Source,
    pub(crate) handler: HandlerSettings,
    pub(crate) poll_interval: Duration,
    pub(crate) unsubscribed_poll_interval: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) transport: Transport,
    pub(crate) renew_before: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) proxy: Option<Proxy>,
    /// The certificates of `tls.ca_file`; `None`: those of the operating system.
    pub(crate) root_certificates: Option<Arc<Vec<Certificate<'static>>>>,
    pub(crate) max_answer_bytes: u64,
    pub(crate) allow_plain: bool,
    pub(crate) log_level: Option<Level>,
}

/// How long an unknown reservation is left alone (`recover.*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrphanAges {
    /// While no other consumer was seen at work.
    pub alone: Duration,
    /// Otherwise.
    pub in_company: Duration,
}

/// How the client learns that the queue has grown (`source`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The client listens to the push server.
    Push,
    /// The portal calls the client.
    Handler,
    /// Both.
    Both,
}

/// The keys `handler.*`.
#[derive(Clone)]
pub struct HandlerSettings {
    /// `None`: the host has its own web server.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) path: String,
    /// Empty: not configured.
    pub(crate) application_token: Secret,
    /// Empty: not configured.
    pub(crate) member_id: String,
}

/// Whether records stay reserved until they are acknowledged (`fetch.reserve`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// If the plan allows it.
    Auto,
    /// Always; it is an error if the plan does not allow it.
    Yes,
    /// Never: the portal deletes the records that it hands out.
    No,
}

/// How to listen to the push server (`push.transport`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// By WebSocket, and by long polling while WebSocket fails.
    Auto,
    /// By WebSocket only.
    WebSocket,
    /// By long polling only.
    LongPolling,
}

fn find_key(name: &str) -> Result<&'static Key> {
    keys::find(name).ok_or_else(|| {
        let siblings = keys::KEYS.iter().filter(|key| name.split('.').next() == key.name.split('.').next());
        let siblings: Vec<_> = siblings.map(|key| key.name).collect();
        let hint = if siblings.is_empty() {
            "CONFIGURATION.md lists all keys".into()
        } else {
            format!("did you mean one of: {}?", siblings.join(", "))
        };
        Error::Config(format!("{} is not a configuration key; {hint}", printable(name)))
    })
}

fn check_value(key: &Key, value: &str) -> Result<()> {
    let valid = !value.contains('\0')
        && match key.kind {
            Kind::Text => true,
            // A line break in a token is a copying mistake. The portal's answer to it would be misleading.
            Kind::Secret => !value.chars().any(char::is_control),
            Kind::Address => Address::parse(value, PlainHttp::Always).is_ok(),
            Kind::Proxy => value.is_empty() || (value.contains("://") && Proxy::new(value).is_ok()),
            Kind::Integer(min, max) => value.parse::<u64>().is_ok_and(|number| (min..=max).contains(&number)),
            Kind::Listen => value.is_empty() || value.parse::<SocketAddr>().is_ok(),
            Kind::Path => {
                let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
                value.starts_with('/') && value.bytes().all(plain)
            }
            Kind::ObjectMethods => object_methods::parse(value).is_ok(),
            Kind::Pauses => key::parse_pauses(value).is_some(),
            Kind::Boolean => matches!(value, "true" | "false"),
            Kind::Choice(words) => words.contains(&value),
        };
    if valid {
        return Ok(());
    }
    let shown = match key.kind {
        Kind::Secret | Kind::Proxy => "***".into(),
        _ => printable(&address::without_secrets(value)),
    };
    Err(Error::Config(format!("{} cannot be set to {shown}; allowed: {}", key.name, key.kind.allowed())))
}

/// A value from outside as it may appear in a text: quoted, without control characters, not too long.
fn printable(value: &str) -> String {
    const MAX_CHARS: usize = 80;
    let short: String = value.chars().take(MAX_CHARS).collect();
    let ellipsis = if short.len() < value.len() { "…" } else { "" };
    format!("{short:?}{ellipsis}")
}

fn read_certificates(path: &Path) -> Result<Arc<Vec<Certificate<'static>>>> {
    let invalid = |why: String| Error::Config(format!("tls.ca_file {} {why}", path.display()));
    let bytes = std::fs::read(path)
        .map_err(|error| invalid(format!("cannot be read: {error}; check the path and the permissions")))?;
    let certificates: Vec<_> = parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(invalid("contains no certificate; it must be a PEM file: -----BEGIN CERTIFICATE-----".into()));
    }
    Ok(Arc::new(certificates))
}

fn refuse_webhook(portal: &Address) -> Result<()> {
    if portal.path().trim_matches('/').is_empty() {
        return Ok(());
    }
    Err(Error::Config(
        "portal.url must be the portal's address without a path, such as https://my.bitrix24.com; if it is the address \
         of a webhook, use an application's token instead (auth.access_token), which offline events need"
            .into(),
    ))
}

#[cfg(test)]
mod tests;
