//! Binds the handler's address (`event.bind`, docs/protocol.md §4).

use serde::Deserialize;
use serde_json::json;

use crate::error::{Error, Result};
use crate::portal::offline_events::is_already_bound;
use crate::portal::{Portal, Repeat, php};

const EVENT: &str = "ONOFFLINEEVENT";

/// Has the portal call `url` and no other address of this application. Blocks for a few REST calls.
pub fn bind(portal: &Portal, url: &str, min_timeout_s: u32) -> Result<()> {
    check_address(url)?;
    let bound = bound_addresses(portal)?;
    if !bound.iter().any(|other| other == url) {
        let params = json!({
            "event": EVENT,
            "handler": url,
            // Otherwise calls carry the tokens of whoever made the change, or none.
            "auth_type": current_user_id(portal)?,
            "options": {"minTimeout": min_timeout_s},
        });
        match portal.call("event.bind", &params, Repeat::Yes) {
            Err(Error::Refused(refusal)) if is_already_bound(&refusal.code, &refusal.text) => {}
            other => drop(other?),
        }
    }
    // Last, so that the portal always has an address to call.
    bound.iter().filter(|other| *other != url).try_for_each(|old| unbind_address(portal, old))
}

/// Stops the portal's calls to `url`, or to every address of this application. An address that is not bound is no
/// error.
pub fn unbind(portal: &Portal, url: Option<&str>) -> Result<()> {
    match url {
        Some(url) => {
            check_address(url)?;
            unbind_address(portal, url)
        }
        None => bound_addresses(portal)?.iter().try_for_each(|url| unbind_address(portal, url)),
    }
}

fn unbind_address(portal: &Portal, url: &str) -> Result<()> {
    portal.call("event.unbind", &json!({"event": EVENT, "handler": url}), Repeat::Yes).map(drop)
}

fn bound_addresses(portal: &Portal) -> Result<Vec<String>> {
    let bindings = portal.bindings()?.into_iter();
    let ours = bindings.filter(|binding| binding.event.eq_ignore_ascii_case(EVENT) && binding.offline == 0);
    Ok(ours.map(|binding| binding.handler).filter(|url| !url.is_empty()).collect())
}

fn current_user_id(portal: &Portal) -> Result<u64> {
    #[derive(Deserialize)]
    struct Profile {
        #[serde(rename = "ID", default, deserialize_with = "php::number")]
        id: u64,
    }
    let answer = portal.call("profile", &json!({}), Repeat::Yes)?;
    serde_json::from_str::<Profile>(answer.result()).map(|profile| profile.id).map_err(|_| {
        Error::protocol(
            "the answer to profile names no user; check portal.url, and whether a proxy answers in the portal's place",
        )
    })
}

fn check_address(url: &str) -> Result<()> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':']));
    if has_host && url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::InvalidArgument(
        "the handler's address is not valid; pass the address at which the portal reaches it, such as \
         https://my-server.example/b24"
            .into(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_http_url_with_a_host() {
        for good in ["https://my.example/b24", "http://127.0.0.1:8080/b24?a=b", "https://xn--d1acufc.xn--p1ai/"] {
            check_address(good).unwrap();
        }
        for bad in
            ["", "my.example/b24", "ftp://my.example", "https://", "https:///b24", "https://a b", "https://я.рф/"]
        {
            assert!(matches!(check_address(bad), Err(Error::InvalidArgument(_))), "{bad}");
        }
    }
}
