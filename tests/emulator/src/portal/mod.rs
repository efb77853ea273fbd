//! The portal: its CRM, its queue of events, its rules. One lock protects all of it.

pub mod application;
pub mod batch;
pub mod bindings;
pub mod call;
pub mod conditions;
pub mod crm;
pub mod error;
pub mod filter;
pub mod handler;
pub mod hit;
pub mod limits;
pub mod methods;
pub mod oauth;
pub mod offline;
pub mod offline_methods;
pub mod pull;
pub mod rest;
pub mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::php::value::Value;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

use crate::caller::Call;
use crate::options::{Limits, Options, Timing};
use crate::push::PushServer;
use crate::push::message::event_offline_params;
use crate::{random, time};
use application::Application;
use bindings::{Bindings, OFFLINE_EVENT};
use conditions::Conditions;
use crm::Crm;
use handler::Calling;
use limits::{Bucket, Operating};
use offline::OfflineQueue;
use pull::{Channels, ConfigSpelling};
use tokens::TokenStore;

/// Records on a page of a list.
pub const PAGE: usize = 50;
/// The only user with all rights.
pub const ADMINISTRATOR: u32 = 1;
/// A user without them.
pub const EMPLOYEE: u32 = 7;

/// What the portal has paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// `clear=0`.
    pub offline_extended: bool,
    pub auth_connector: bool,
}

impl Plan {
    /// On-premise everything is allowed.
    fn of(options: &Options) -> Self {
        Self {
            offline_extended: options.offline_extended || options.on_premise,
            auth_connector: options.auth_connector_allowed || options.on_premise,
        }
    }
}

pub struct Portal {
    /// `host:port`
    pub address: String,
    /// `host:port` of the authorization server.
    pub auth_address: String,
    /// Whether the portal is an installation of its own and not part of the cloud.
    pub on_premise: bool,
    pub conditions: Conditions,
    pub timing: Timing,
    pub obey_min_timeout: bool,
    pub application: Application,
    pub webhook_secret: String,
    pub scope: String,
    pub plan: Plan,
    pub tokens: TokenStore,
    pub bindings: Bindings,
    pub queue: OfflineQueue,
    pub crm: Crm,
    pub channels: Channels,
    pub spelling: ConfigSpelling,
    pub operating: Operating,
    bucket: Option<Bucket>,
    push: Arc<PushServer>,
    unannounced: Unannounced,
    pub calling: Calling,
    pub renewals: u64,
    pub events_made: u64,
    pub limit_refusals: u64,
    pub operating_refusals: u64,
    pub calls: BTreeMap<String, u64>,
}

/// Events that the current hit has queued.
#[derive(Default)]
struct Unannounced {
    /// How many, per connector.
    events: BTreeMap<String, u64>,
    /// The user who caused the last of them; 0 for no user.
    cause: u32,
}

/// Where the portal and its authorization server are: `host:port`.
pub struct Addresses {
    pub portal: String,
    pub auth_server: String,
}

impl Portal {
    pub fn new(options: &Options, addresses: Addresses, push: Arc<PushServer>, calls: UnboundedSender<Call>) -> Self {
        let application = Application::new();
        let client_id = application.client_id.clone();
        let mut portal = Self {
            address: addresses.portal,
            auth_address: addresses.auth_server,
            on_premise: options.on_premise,
            conditions: options.conditions,
            timing: options.timing,
            obey_min_timeout: options.obey_min_timeout,
            application,
            webhook_secret: random::hex(16),
            scope: options.scope.clone(),
            plan: Plan::of(options),
            tokens: TokenStore::new(options.token_ttl),
            bindings: Bindings::default(),
            queue: OfflineQueue::default(),
            crm: Crm::default(),
            channels: Channels::new(Arc::clone(&push), options.channel_ttl, client_id),
            spelling: ConfigSpelling::default(),
            operating: Operating::default(),
            bucket: None,
            push,
            unannounced: Unannounced::default(),
            calling: Calling::new(calls, options.handler_tokens),
            renewals: 0,
            events_made: 0,
            limit_refusals: 0,
            operating_refusals: 0,
            calls: BTreeMap::new(),
        };
        portal.set_limits(options.limits);
        portal
    }

    pub fn set_limits(&mut self, limits: Option<Limits>) {
        self.bucket = limits.map(|limits| Bucket::new(limits, Instant::now()));
    }

    /// Whether the bucket takes one more request.
    pub fn admit(&mut self) -> bool {
        let admitted = self.bucket.as_mut().is_none_or(|bucket| bucket.admit(Instant::now()));
        self.limit_refusals += u64::from(!admitted);
        admitted
    }

    /// Whether the application has a scope; everybody has the empty one.
    pub fn grants(&self, scope: &str) -> bool {
        scope.is_empty() || self.scope.split(',').any(|granted| granted.trim() == scope)
    }

    /// The REST address of the portal, as the authorization server tells it.
    pub fn client_endpoint(&self) -> String {
        format!("http://{}/rest/", self.address)
    }

    /// The REST address of the authorization server.
    pub fn server_endpoint(&self) -> String {
        format!("http://{}/rest/", self.auth_address)
    }

    /// Deletes old records, as an agent of the portal does.
    pub fn clean_queue(&mut self) {
        self.queue.expire(time::unix_now().saturating_sub(time::seconds(self.timing.record_ttl)));
    }

    /// Something happened. Every offline binding of the event queues it, except that of `own_connector`: a call of the
    /// application itself with this key has made the change.
    pub fn raise(&mut self, event: &str, data: &Value, additional: &Value, own_connector: Option<&str>) {
        self.events_made += 1;
        if !self.conditions.events_are_sent() {
            return;
        }
        let now = time::unix_now();
        for binding in self.bindings.of(event).filter(|binding| binding.is_offline()) {
            if own_connector == Some(binding.connector.as_str()) {
                continue;
            }
            self.queue.add(now, event, data, additional, &binding.connector);
            *self.unannounced.events.entry(binding.connector.clone()).or_default() += 1;
            self.unannounced.cause = additional["user_id"].as_str().and_then(|user| user.parse().ok()).unwrap_or(0);
        }
    }

    /// The end of a hit: one message announces all queues that grew, and the handlers are called.
    pub fn end_hit(&mut self) {
        let Unannounced { events, cause } = self.take_unannounced();
        if events.is_empty() {
            return;
        }
        self.publish("rest", "event_offline", &event_offline_params(events));
        self.call_handlers(OFFLINE_EVENT, cause);
    }

    /// A message into the application's shared channel.
    pub fn publish(&mut self, module_id: &str, command: &str, params: &Value) {
        if self.conditions.push_server {
            self.channels.renew_expired();
            self.push.publish(&self.channels.shared.id, module_id, command, params);
        }
    }

    fn take_unannounced(&mut self) -> Unannounced {
        std::mem::take(&mut self.unannounced)
    }

    fn restore_unannounced(&mut self, unannounced: Unannounced) {
        self.unannounced = unannounced;
    }
}
