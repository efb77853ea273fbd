//! Rare states of a portal, each of which ends some of what usually works.

use serde::{Deserialize, Serialize};

/// In JSON a field that is left out has its usual value: `{"conditions": {"closed": true}}`, `{"conditions": {}}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conditions {
    /// The public part is closed: every call is refused with `PORTAL_DELETED`.
    pub closed: bool,
    /// Whether the installation of the application was finished. Before that nothing is queued, and no handler called.
    pub installed: bool,
    /// The application is not paid for: nothing is queued, and no handler called.
    pub payment_expired: bool,
    /// The portal is not paid for: every caller is refused with `ACCESS_DENIED`.
    pub license_expired: bool,
    /// The token's user was dismissed: `authorization_error`.
    pub user_dismissed: bool,
    /// Whether the portal has a push server.
    pub push_server: bool,
    /// Whether the *portal* reaches the authorization server.
    pub auth_server: AuthServer,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            closed: false,
            installed: true,
            payment_expired: false,
            license_expired: false,
            user_dismissed: false,
            push_server: true,
            auth_server: AuthServer::Reachable,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthServer {
    #[default]
    Reachable,
    /// Tokens that the portal has seen before are good, as it remembers them for an hour; all others are refused with
    /// `CONNECTION_ERROR`. Handlers are not called: the authorization server would make the calls.
    Unreachable,
    /// The same, and the portal remembers no token.
    UnreachableAndForgotten,
}

impl Conditions {
    /// Whether events reach the application: its queues and its handlers.
    pub fn events_are_sent(&self) -> bool {
        self.installed && !self.payment_expired
    }
}
