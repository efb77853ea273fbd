//! What a configuration key is.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Which values a key accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that is never printed.
    Secret,
    /// An `https://` address (or `http://`, see `http.allow_plain`).
    Address,
    /// A proxy, possibly with user and password.
    Proxy,
    /// A whole number between these two, inclusive.
    Integer(u64, u64),
    /// `true` or `false`.
    Boolean,
    /// An IP address of this computer and a port, or an empty text.
    Listen,
    /// The path of an address.
    Path,
    /// Entries that [`super::object_methods`] reads.
    ObjectMethods,
    /// Whole numbers of milliseconds, separated by spaces.
    Pauses,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// The allowed values, in words.
    pub fn allowed(&self) -> String {
        match self {
            Kind::Text | Kind::Secret => "any text without NUL characters".into(),
            Kind::Address => "an address such as https://my.bitrix24.com".into(),
            Kind::Proxy => "an address such as http://proxy:3128 or socks5://user:password@proxy:1080".into(),
            Kind::Integer(min, max) if *max == u64::MAX => format!("a whole number, {min} or more"),
            Kind::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Listen => "an IP address and a port such as 127.0.0.1:8080, or an empty text".into(),
            Kind::Path => "a path such as /b24".into(),
            Kind::ObjectMethods => "entries such as ONMYEVENT=my.method.get?id={FIELDS.ID}, separated by spaces".into(),
            Kind::Pauses => format!(
                "1 to {MAX_PAUSES} whole numbers from {} to {}, separated by spaces",
                PAUSE_MS.start(),
                PAUSE_MS.end()
            ),
            Kind::Boolean => "true or false".into(),
            Kind::Choice(words) => words.join(", "),
        }
    }
}

/// How many pauses a [`Kind::Pauses`] may list.
const MAX_PAUSES: usize = 20;
/// The pauses that it may list, in milliseconds.
const PAUSE_MS: RangeInclusive<u64> = 100..=86_400_000;

/// Reads the value of a [`Kind::Pauses`]; `None` if it is not one.
pub(super) fn parse_pauses(value: &str) -> Option<Vec<Duration>> {
    let millis = value.split_ascii_whitespace().map(|number| number.parse().ok().filter(|ms| PAUSE_MS.contains(ms)));
    let pauses: Vec<Duration> = millis.map(|ms| ms.map(Duration::from_millis)).collect::<Option<_>>()?;
    (1..=MAX_PAUSES).contains(&pauses.len()).then_some(pauses)
}

/// One configuration key.
#[derive(Debug)]
pub struct Key {
    /// The name by which a host sets the key.
    pub name: &'static str,
    /// Which values are allowed.
    pub kind: Kind,
    /// The value if none is set; `None`: there is no default.
    pub default: Option<&'static str>,
    /// Whether a client needs it.
    pub required: bool,
    /// What it does, in English.
    pub text: &'static str,
    /// What it does, in Russian.
    pub russian: &'static str,
}

pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    text: &'static str,
    russian: &'static str,
) -> Key {
    Key { name, kind, default, required: false, text, russian }
}

pub(super) const fn required(name: &'static str, kind: Kind, text: &'static str, russian: &'static str) -> Key {
    Key { name, kind, default: None, required: true, text, russian }
}
