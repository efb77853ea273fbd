//! Addresses of the portal, the authorization server and the push server.

use std::fmt;
use std::net::IpAddr;

use percent_encoding::{CONTROLS, utf8_percent_encode};
use ureq::http::Uri;

/// A checked `http` or `https` address: scheme, host, port and path, without user or query.
/// `Debug` and `Display` omit the path, which may contain the secret of a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    origin: String,
    path: String,
    secure: bool,
}

/// Where plain `http` is allowed, which everyone on the way can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    /// Nowhere.
    Never,
    /// On this computer.
    Loopback,
    /// Everywhere (`http.allow_plain`).
    Always,
}

impl PlainHttp {
    /// For addresses that somebody has configured.
    pub fn configured(allow_plain: bool) -> PlainHttp {
        if allow_plain { PlainHttp::Always } else { PlainHttp::Loopback }
    }

    /// For addresses that the portal names. Only a portal on this computer may name others on this computer: else
    /// somebody outside could direct requests with tokens to whatever listens here.
    pub fn named_by(portal: &Address, allow_plain: bool) -> PlainHttp {
        match (allow_plain, portal.is_loopback()) {
            (true, _) => PlainHttp::Always,
            (false, true) => PlainHttp::Loopback,
            (false, false) => PlainHttp::Never,
        }
    }
}

impl Address {
    /// Checks an address.
    pub fn parse(text: &str, plain: PlainHttp) -> Result<Address, String> {
        let invalid = |why: &str| {
            Err(format!("{} {why}; allowed: an address such as https://my.bitrix24.com", without_secrets(text)))
        };
        let Ok(uri) = text.parse::<Uri>() else {
            return invalid("is not an address");
        };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return invalid("is not an address");
        };
        if authority.as_str().contains('@') || uri.query().is_some() {
            return invalid("must contain neither a user name nor a query");
        }
        let is_allowed = match plain {
            PlainHttp::Never => false,
            PlainHttp::Loopback => is_loopback(authority.host()),
            PlainHttp::Always => true,
        };
        let secure = match scheme {
            "https" => true,
            "http" if is_allowed => false,
            "http" => {
                return invalid(
                    "is plain http, which lets others read the tokens; use https, or set http.allow_plain=true",
                );
            }
            _ => return invalid("is neither https nor http"),
        };
        // A path in another language arrives as it was written; the line of a request is ASCII.
        let path = utf8_percent_encode(uri.path(), CONTROLS).to_string();
        Ok(Address { origin: format!("{scheme}://{authority}"), path, secure })
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The path, at least `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it leads to this computer.
    pub fn is_loopback(&self) -> bool {
        self.origin.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(is_loopback))
    }

    /// Whether it is `https`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.origin)
    }
}

/// An address as it may appear in a text: without user, path and query, which may contain secrets.
pub(super) fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.split(['?', '@']).next().unwrap_or_default().to_owned();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let more = if rest.len() > authority.len() + 1 { "/…" } else { "" };
    format!("{scheme}://{host}{more}")
}

/// Whether this host of an address is this computer.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_accepted_for_loopback_only() {
        let address = Address::parse("https://my.bitrix24.ru:8443/rest/", PlainHttp::Loopback).unwrap();
        assert_eq!(
            (address.origin(), address.path(), address.is_secure()),
            ("https://my.bitrix24.ru:8443", "/rest/", true)
        );
        for loopback in ["http://127.0.0.1:1234", "http://localhost", "http://[::1]:80/"] {
            assert!(!Address::parse(loopback, PlainHttp::Loopback).unwrap().is_secure(), "{loopback}");
        }
        assert!(Address::parse("http://my.bitrix24.ru", PlainHttp::Loopback).unwrap_err().contains("http.allow_plain"));
        assert!(Address::parse("http://127.0.0.1.evil.example", PlainHttp::Loopback).is_err());
        assert!(Address::parse("http://my.bitrix24.ru", PlainHttp::Always).is_ok());
    }

    #[test]
    fn a_path_consists_of_what_a_request_may_contain() {
        let path = |text| Address::parse(text, PlainHttp::Never).unwrap().path().to_owned();
        assert_eq!(path("https://rt.example/\u{43f}\u{443}\u{448}/sub/"), "/%D0%BF%D1%83%D1%88/sub/");
        assert_eq!(path("https://rt.example/a%20b/"), "/a%20b/", "what is encoded stays as it is");
        assert_eq!(path("https://rt.example"), "/");
    }

    #[test]
    fn a_portal_elsewhere_does_not_name_plain_addresses_of_this_computer() {
        let portal = |text| Address::parse(text, PlainHttp::Always).unwrap();
        let outside = portal("https://my.bitrix24.ru");
        let rule = PlainHttp::named_by(&outside, false);
        assert!(Address::parse("http://127.0.0.1:1234", rule).is_err());
        assert!(Address::parse("http://localhost", rule).is_err());
        assert!(Address::parse("https://localhost", rule).is_ok());
        for inside in ["http://127.0.0.1:8080", "http://[::1]:8080", "https://LOCALHOST"] {
            assert_eq!(PlainHttp::named_by(&portal(inside), false), PlainHttp::Loopback, "{inside}");
        }
        assert_eq!(PlainHttp::named_by(&outside, true), PlainHttp::Always);
    }

    #[test]
    fn invalid_addresses_are_refused_without_showing_secrets() {
        for text in
            ["", "my.bitrix24.ru", "ftp://x", "https://", "https://user:planted@host", "https://host/rest?auth=planted"]
        {
            let error = Address::parse(text, PlainHttp::Always).unwrap_err();
            assert!(!error.contains("planted"), "{error}");
        }
        let webhook = Address::parse("https://host/rest/1/planted/", PlainHttp::Loopback).unwrap();
        assert!(!format!("{webhook} {webhook:?}").contains("planted"));
    }
}
