//! What is bound: the handler's address and offline events (docs/protocol.md §2.1, §4). An update of the application may
//! end all bindings, so they are remembered and bound anew: what this client has bound, and what the portal has told it
//! of, which an earlier process or another one has bound. The state does not hold them: what was unbound since would
//! come back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::lock;
use crate::log::Level;
use crate::notify::Doorbell;
use crate::portal::binding_changes::BindingChange;
use crate::portal::offline_events::Binding;
use crate::portal::{Portal, Repeat, php};
use crate::retry::{Backoff, Schedule};

/// Announces that the queue has grown.
pub const QUEUE_EVENT: &str = "ONOFFLINEEVENT";
/// What else the handler is called for.
const APPLICATION_EVENTS: [&str; 2] = ["ONAPPUPDATE", "ONAPPUNINSTALL"];
/// `options[minTimeout]` of a binding that this client has not made.
const DEFAULT_MIN_TIMEOUT_S: u32 = 1;
/// Pauses between attempts to bind everything anew.
const PAUSES: Schedule = Schedule::Doubling { first: Duration::from_secs(5), max: Duration::from_secs(300) };

/// See the module.
pub struct Bindings {
    portal: Arc<Portal>,
    doorbell: Arc<Doorbell>,
    known: Mutex<Known>,
    ctx: Context,
}

#[derive(Default)]
struct Known {
    handler: Option<HandlerBinding>,
    /// Addresses that others have bound.
    others: BTreeSet<String>,
    /// Offline events that this client has bound, in capitals.
    events: BTreeSet<String>,
    /// Those that were bound when the portal was last asked.
    seen_events: BTreeSet<String>,
    /// When to bind everything anew, and how often that has failed.
    rebinding: Option<(Instant, Backoff)>,
}

#[derive(Clone, PartialEq, Eq)]
struct HandlerBinding {
    url: String,
    min_timeout_s: u32,
}

impl Bindings {
    /// Sends no request.
    pub fn new(portal: Arc<Portal>, doorbell: Arc<Doorbell>, ctx: Context) -> Bindings {
        Bindings { portal, doorbell, known: Mutex::default(), ctx }
    }

    /// The `minTimeout` that the portal was asked to keep between two calls.
    pub fn min_timeout_s(&self) -> u32 {
        lock(&self.known).handler.as_ref().map_or(DEFAULT_MIN_TIMEOUT_S, |handler| handler.min_timeout_s)
    }

    /// Has the portal call `url` and no other address of this application. Blocks for a few REST calls.
    ///
    /// The portal does not change the options of an address that is bound, nor does it tell them. So the address is
    /// bound anew unless this client knows the options from having bound it.
    pub fn bind_handler(&self, url: &str, min_timeout_s: u32) -> Result<()> {
        check_address(url)?;
        let bound = self.portal.bindings()?;
        self.seen(&bound);
        let wanted = HandlerBinding { url: url.to_owned(), min_timeout_s };
        let is_bound = |event: &str| bound.iter().any(|binding| is_online(binding, event) && binding.handler == url);
        let is_known = lock(&self.known).handler.as_ref() == Some(&wanted);
        let mut binds: Vec<&str> = APPLICATION_EVENTS.into_iter().filter(|event| !is_bound(event)).collect();
        if !is_known || !is_bound(QUEUE_EVENT) {
            binds.push(QUEUE_EVENT);
        }
        if !binds.is_empty() {
            let is_replaced = binds.contains(&QUEUE_EVENT) && is_bound(QUEUE_EVENT);
            let unbind = is_replaced.then(|| unbind_online(QUEUE_EVENT, url));
            let user = self.current_user_id()?;
            let binds = binds.into_iter().map(|event| wanted.bind(event, user));
            let changes: Vec<BindingChange> = unbind.into_iter().chain(binds).collect();
            lock(&self.known).handler = None;
            let changed = self.change(&changes);
            if is_replaced {
                // A call may have been missed.
                self.doorbell.ring_unsignalled();
            }
            changed?;
        }
        {
            let mut known = lock(&self.known);
            known.handler = Some(wanted);
            known.others.clear();
        }
        // Last, so that the portal always has an address to call.
        let others = addresses(&bound).into_iter().filter(|other| *other != url);
        self.unbind_addresses(others.collect())
    }

    /// Stops the portal's calls to `url`, or to every address of this application. An address that is not bound is no
    /// error.
    pub fn unbind_handler(&self, url: Option<&str>) -> Result<()> {
        let bound;
        let addresses = match url {
            Some(url) => {
                check_address(url)?;
                BTreeSet::from([url])
            }
            None => {
                bound = self.portal.bindings()?;
                addresses(&bound)
            }
        };
        {
            let mut known = lock(&self.known);
            known.handler.take_if(|handler| url.is_none_or(|url| url == handler.url));
            known.others.retain(|other| url.is_some_and(|url| url != other));
        }
        self.unbind_addresses(addresses)
    }

    /// Binds an offline event. Blocks for a REST call.
    pub fn bind_event(&self, event: &str) -> Result<()> {
        self.portal.bind_offline(event)?;
        lock(&self.known).events.insert(event.to_ascii_uppercase());
        Ok(())
    }

    /// Unbinds an offline event. Blocks for a REST call.
    pub fn unbind_event(&self, event: &str) -> Result<()> {
        self.portal.unbind_offline(event)?;
        let mut known = lock(&self.known);
        let event = event.to_ascii_uppercase();
        known.events.remove(&event);
        known.seen_events.remove(&event);
        Ok(())
    }

    /// The application was updated: nothing is bound any more. Has [`Bindings::rebind`] called.
    pub fn application_updated(&self) {
        lock(&self.known).rebinding = Some((self.ctx.clock.now(), Backoff::new(PAUSES)));
        self.log(Level::Warning, || "the application was updated, which ends its bindings; they are bound anew".into());
    }

    /// When to call [`Bindings::rebind`].
    pub fn next_rebinding(&self) -> Option<Instant> {
        lock(&self.known).rebinding.as_ref().map(|(at, _)| *at)
    }

    /// Binds everything anew that this client has bound, if it is time to. Blocks for a few REST calls.
    pub fn rebind(&self) {
        let now = self.ctx.clock.now();
        let (handlers, events, mut backoff) = {
            let mut known = lock(&self.known);
            let Some((_, backoff)) = known.rebinding.take_if(|(at, _)| *at <= now) else { return };
            (known.handlers(), &known.events | &known.seen_events, backoff)
        };
        let bound = self.bind_all(&handlers, &events);
        if self.ctx.cancel.is_cancelled() {
            return;
        }
        if let Some(error) = bound.as_ref().err().filter(|error| error.is_transient()) {
            let pause = backoff.failed();
            // Another update may have been announced meanwhile.
            lock(&self.known).rebinding.get_or_insert((self.ctx.clock.now() + pause, backoff));
            return self.log(Level::Warning, || {
                format!("binding anew failed, the next attempt follows in {} s: {error}", pause.as_secs())
            });
        }
        match bound {
            Ok(()) => self.log(Level::Info, || {
                let handler = if handlers.is_empty() { "" } else { "the handler and " };
                format!("{handler}{} events were bound anew after the update of the application", events.len())
            }),
            Err(error) => self.log(Level::Error, || {
                format!("after the update of the application not everything could be bound; bind it again: {error}")
            }),
        }
        // Calls were missed in between.
        self.doorbell.ring_unsignalled();
    }

    fn bind_all(&self, handlers: &[HandlerBinding], events: &BTreeSet<String>) -> Result<()> {
        let mut changes = Vec::new();
        if !handlers.is_empty() {
            let user = self.current_user_id()?;
            for handler in handlers {
                let events = APPLICATION_EVENTS.into_iter().chain([QUEUE_EVENT]);
                changes.extend(events.map(|event| handler.bind(event, user)));
            }
        }
        changes
            .extend(events.iter().map(|event| BindingChange::bind(json!({"event": event, "event_type": "offline"}))));
        if changes.is_empty() {
            return Err(Error::State("this client does not know of any".into()));
        }
        self.change(&changes)
    }

    fn unbind_addresses(&self, addresses: BTreeSet<&str>) -> Result<()> {
        let unbind =
            |url| APPLICATION_EVENTS.into_iter().chain([QUEUE_EVENT]).map(move |event| unbind_online(event, url));
        let changes: Vec<BindingChange> = addresses.into_iter().flat_map(unbind).collect();
        self.change(&changes)
    }

    /// Makes all changes that can be made. A failure that passes comes before one that does not.
    fn change(&self, changes: &[BindingChange]) -> Result<()> {
        let failures = self.portal.change_bindings(changes)?;
        let returned = failures.iter().position(|(_, error)| error.is_transient()).unwrap_or(0);
        let mut outcome = Ok(());
        for (index, (change, error)) in failures.into_iter().enumerate() {
            if index == returned {
                outcome = Err(error);
            } else {
                self.log(Level::Error, || format!("the binding of {} could not be changed: {error}", change.event()));
            }
        }
        outcome
    }

    /// Remembers what the portal tells of: the offline events of our queue, and the addresses of the application.
    pub fn seen(&self, bound: &[Binding]) {
        let ours = bound.iter().filter(|binding| {
            binding.offline != 0 && !binding.event.is_empty() && binding.connector_id == self.portal.connector_id()
        });
        let mut known = lock(&self.known);
        known.seen_events = ours.map(|binding| binding.event.to_ascii_uppercase()).collect();
        known.others = addresses(bound).into_iter().map(str::to_owned).collect();
    }

    fn current_user_id(&self) -> Result<u64> {
        #[derive(Deserialize)]
        struct Profile {
            #[serde(rename = "ID", default, deserialize_with = "php::number")]
            id: u64,
        }
        let answer = self.portal.call("profile", &json!({}), Repeat::Yes)?;
        serde_json::from_str::<Profile>(answer.result()).map(|profile| profile.id).map_err(|_| {
            Error::protocol(
                "the answer to profile names no user; check portal.url, and whether a proxy answers in the portal's \
                 place",
            )
        })
    }

    fn log(&self, level: Level, text: impl FnOnce() -> String) {
        self.ctx.log.write(level, text);
    }
}

impl Known {
    /// Everything to be called. The portal does not tell the options of what others have bound, and a client that has
    /// bound an address has unbound theirs.
    fn handlers(&self) -> Vec<HandlerBinding> {
        if let Some(own) = &self.handler {
            return vec![own.clone()];
        }
        let other = |url: &String| HandlerBinding { url: url.clone(), min_timeout_s: DEFAULT_MIN_TIMEOUT_S };
        self.others.iter().map(other).collect()
    }
}

impl HandlerBinding {
    fn bind(&self, event: &str, user: u64) -> BindingChange {
        // Without `auth_type` calls carry the tokens of whoever made the change, or none.
        let mut params = json!({"event": event, "handler": self.url, "auth_type": user});
        if let (QUEUE_EVENT, Some(params)) = (event, params.as_object_mut()) {
            params.insert("options".into(), json!({"minTimeout": self.min_timeout_s}));
        }
        BindingChange::bind(params)
    }
}

fn unbind_online(event: &str, url: &str) -> BindingChange {
    BindingChange::unbind(json!({"event": event, "handler": url}))
}

fn is_online(binding: &Binding, event: &str) -> bool {
    binding.offline == 0 && binding.event.eq_ignore_ascii_case(event)
}

/// The addresses that the portal calls when the queue has grown.
fn addresses(bound: &[Binding]) -> BTreeSet<&str> {
    let ours = bound.iter().filter(|binding| is_online(binding, QUEUE_EVENT));
    ours.map(|binding| binding.handler.as_str()).filter(|url| !url.is_empty()).collect()
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
