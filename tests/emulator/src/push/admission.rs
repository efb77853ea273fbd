//! Who may listen: channels and tokens as subscribers receive them, and the check when they present them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::query::Parameters;
use super::subscription::{CloseReason, Kind, Subscription, Waiter};
use super::token::Claims;
use super::{PushServer, websocket};
use crate::time;

/// Channels that a subscriber may listen to, and until when.
struct Listed {
    channels: Vec<String>,
    end: Option<Instant>,
}

/// Why a subscription was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    NoChannel,
    WrongChannel,
    /// The server is down: the connection is closed without an answer.
    Stopped,
}

impl PushServer {
    /// Versions 1 and 2 are nginx, which has no signatures.
    pub fn signed(&self, id: &str) -> String {
        if self.settings.version < 3 { id.to_owned() } else { self.signer.signed(id) }
    }

    /// The private channel of version 4 and up carries its public id.
    pub fn signed_private(&self, id: &str, public_id: &str) -> String {
        if self.settings.version < 4 { self.signed(id) } else { self.signer.signed(&format!("{id}:{public_id}")) }
    }

    pub fn signed_public(&self, public_id: &str) -> String {
        self.signer.signed_public(public_id)
    }

    /// The token of version 5, valid for these channels until `exp` in unix seconds.
    pub fn token(&self, channels: &[&str], user: u32, exp: i64) -> String {
        self.token_signer.sign(&Claims {
            iss: self.settings.server_name.clone(),
            iat: time::unix_now(),
            exp,
            sub: user.to_string(),
            chan: channels.join(","),
        })
    }

    /// Checks the channels and starts to listen: messages published from now on are not missed.
    pub fn subscribe(self: &Arc<Self>, parameters: &Parameters, kind: Kind) -> Result<Subscription, Refusal> {
        let position = parameters.position(self.settings.version);
        let mut state = self.state();
        if !state.running {
            return Err(Refusal::Stopped);
        }
        let listed = self.listed(parameters)?;
        // A shared server finds the key of the signature by the client id, so a wrong one is a wrong signature.
        if self.settings.client_id.is_some() && self.settings.client_id != parameters.client_id {
            return Err(Refusal::WrongChannel);
        }
        if !listed.channels.iter().all(|id| state.is_open(id)) {
            return Err(Refusal::WrongChannel);
        }
        let end = listed.end.map(|end| (end, CloseReason::new(websocket::CONFIG_EXPIRED, "config expired")));
        let from = position.unwrap_or_else(|| state.end_position());
        state.last_waiter += 1;
        let key = state.last_waiter;
        let waiter = Arc::new(Waiter::new(listed.channels, kind, end));
        state.waiters.insert(key, Arc::clone(&waiter));
        drop(state);
        Ok(Subscription::new(Arc::clone(self), key, waiter, from))
    }

    /// The channels that a subscriber names, if their signatures are right.
    fn listed(&self, parameters: &Parameters) -> Result<Listed, Refusal> {
        if let (5.., Some(token)) = (self.settings.version, &parameters.token) {
            let claims = self.token_signer.verify(token).ok_or(Refusal::WrongChannel)?;
            // The second in which it ends still counts. There is no grace period: the client knows the time beforehand.
            let end =
                u64::try_from(claims.exp).map_or(Duration::ZERO, |exp| Duration::from_secs(exp.saturating_add(1)));
            let left = end.checked_sub(time::now()).ok_or(Refusal::WrongChannel)?;
            let end = time::end_of(left);
            return Ok(Listed { channels: claims.chan.split(',').map(str::to_owned).collect(), end: Some(end) });
        }
        let signed = parameters.channel_id.as_deref().ok_or(Refusal::NoChannel)?;
        let bare = |signed| if self.settings.version < 3 { Some(signed) } else { self.signer.verify(signed) };
        let channels = signed.split('/').map(|signed| bare(signed).map(str::to_owned));
        Ok(Listed { channels: channels.collect::<Option<_>>().ok_or(Refusal::WrongChannel)?, end: None })
    }
}
