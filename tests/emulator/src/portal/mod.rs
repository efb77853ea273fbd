//! The portal: its CRM, its queue of events, its rules. One lock protects all of it.

pub mod application;
pub mod batch;
pub mod bindings;
pub mod call;
pub mod crm;
pub mod error;
pub mod filter;
pub mod handler;
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
use crate::options::{Limits, Options};
use crate::push::PushServer;
use crate::push::message::event_offline_params;
use crate::{random, time};
use application::Application;
use bindings::{Binding, OFFLINE_EVENT};
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

pub struct Portal {
    /// `host:port`
    pub address: String,
    pub application: Application,
    pub webhook_secret: String,
    pub scope: String,
    pub plan: Plan,
    pub tokens: TokenStore,
    pub bindings: Vec<Binding>,
    pub queue: OfflineQueue,
    pub crm: Crm,
    pub channels: Channels,
    pub spelling: ConfigSpelling,
    pub operating: Operating,
    bucket: Option<Bucket>,
    push: Arc<PushServer>,
    /// Events queued in the current hit, per connector.
    queued_events: BTreeMap<String, u64>,
    /// The user who caused the last of them; 0 for no user.
    cause: u32,
    pub calling: Calling,
    pub renewals: u64,
    pub events_made: u64,
    pub limit_refusals: u64,
    pub operating_refusals: u64,
    pub calls: BTreeMap<String, u64>,
}

impl Portal {
    pub fn new(options: &Options, address: String, push: Arc<PushServer>, calls: UnboundedSender<Call>) -> Self {
        let mut portal = Self {
            address,
            application: Application::new(),
            webhook_secret: random::hex(16),
            scope: options.scope.clone(),
            plan: Plan { offline_extended: options.offline_extended, auth_connector: options.auth_connector_allowed },
            tokens: TokenStore::new(options.token_ttl),
            bindings: Vec::new(),
            queue: OfflineQueue::default(),
            crm: Crm::default(),
            channels: Channels::new(Arc::clone(&push), options.channel_ttl),
            spelling: ConfigSpelling::default(),
            operating: Operating::default(),
            bucket: None,
            push,
            queued_events: BTreeMap::new(),
            cause: 0,
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

    pub fn has_scope(&self, scope: &str) -> bool {
        self.scope.split(',').any(|granted| granted.trim() == scope)
    }

    /// Something happened. Every offline binding of the event queues it, except that of the connector that caused it.
    pub fn raise(&mut self, event: &str, data: &Value, additional: &Value, by_connector: &str) {
        self.events_made += 1;
        let now = time::unix_now();
        for binding in self.bindings.iter().filter(|binding| binding.is_offline() && binding.event == event) {
            if !by_connector.is_empty() && binding.connector == by_connector {
                continue;
            }
            self.queue.add(now, event, data, additional, &binding.connector);
            *self.queued_events.entry(binding.connector.clone()).or_default() += 1;
            self.cause = additional["user_id"].as_str().and_then(|user| user.parse().ok()).unwrap_or(0);
        }
    }

    /// The end of a hit: one message announces all queues that grew, and the handlers are called.
    pub fn end_hit(&mut self) {
        if self.queued_events.is_empty() {
            return;
        }
        self.channels.renew_expired();
        let params = event_offline_params(std::mem::take(&mut self.queued_events));
        self.push.publish(&self.channels.shared.id, "rest", "event_offline", &params);
        let cause = std::mem::take(&mut self.cause);
        self.call_handlers(OFFLINE_EVENT, cause);
    }
}
