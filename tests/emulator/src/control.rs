//! Everything that a test can make happen, as values and as the JSON of `POST /control`.

use std::time::Duration;

use crate::php::value::{Value, json};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use crate::caller::Handler;
use crate::faults::{DelayNext, DropNext, FailNext};
use crate::options::Limits;
use crate::portal::conditions::Conditions;
use crate::portal::pull::{ConfigSpelling, ExpireAction};
use crate::portal::{ADMINISTRATOR, Plan};
use crate::push::subscription::{CloseReason, Order};
use crate::server::Server;
use crate::sync::lock;
use crate::time;

/// One thing that is to happen. In JSON: `"drop_connections"`, `{"fail_next": {"method": "profile", "status": 502}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Control {
    FailNext(FailNext),
    DropNext(DropNext),
    DelayNext(DelayNext),
    /// Removes the faults that still wait for a request.
    ClearFaults,
    /// From now on every REST answer waits this long.
    SetDelay {
        ms: u64,
    },
    /// Ends every held poll without an answer and every WebSocket without a close frame.
    DropConnections,
    /// The push server goes down: connections are closed (WebSockets with 1001), messages are lost.
    StopPush,
    StartPush,
    /// The push server loses its messages and closes every connection, WebSockets with 1001.
    RestartPush,
    /// Closes every WebSocket. 1005 sends a close frame without a code, 1006 and 1015 send none.
    CloseWebsockets {
        code: u16,
        #[serde(default)]
        reason: String,
    },
    /// Ends every WebSocket without a close frame; polls stay.
    DropWebsockets,
    /// The open WebSockets are no longer read or written, as when the network has failed. New ones work.
    MuteWebsockets,
    /// A text frame to every WebSocket.
    SendText {
        text: String,
    },
    /// A binary frame to every WebSocket.
    SendBinary {
        bytes: Vec<u8>,
    },
    /// Requests for WebSockets are answered with this status until `accept_upgrades`; 503 stands in for an invalid
    /// one.
    RefuseUpgrades {
        #[serde(default = "unavailable")]
        status: u16,
    },
    AcceptUpgrades,
    /// The message of that name, in the shared channel.
    ConfigExpire,
    /// The message of that name, in the shared channel, and nothing else: see `restart_push`.
    ServerRestart,
    /// A new shared channel replaces the old one, which is refused. With `command` the old one announces it first, and
    /// its WebSockets are closed (3001) only after `Options::expire_grace`.
    ExpireChannel {
        #[serde(default)]
        command: bool,
        #[serde(default = "get_config")]
        action: ExpireAction,
    },
    /// Access tokens expire, refresh tokens stay valid.
    ExpireTokens,
    /// Access and refresh tokens become invalid.
    RevokeTokens,
    Limits(Limits),
    NoLimits,
    /// Blocks a method at once, or, if `announced`, after its next success, which tells when the block ends.
    OperatingLimit {
        method: String,
        seconds: u32,
        #[serde(default)]
        announced: bool,
    },
    NoOperatingLimit,
    ConfigSpelling(ConfigSpelling),
    /// What the portal has paid for. On-premise there are no plans; the emulator changes it there too, so that tests of
    /// plans run against both kinds of portals.
    Plan(Plan),
    /// Rare states of the portal; those that are left out become usual again.
    Conditions(Conditions),
    /// Records are deleted this long after their last change.
    RecordTtl {
        seconds: u64,
    },
    /// How long `event.offline.get` lets others in before it reserves what it has selected.
    ReservationRace {
        ms: u64,
    },
    /// How long `event.bind` holds its lock.
    BindingTime {
        ms: u64,
    },
    /// Scopes of the application, separated by commas.
    Scope {
        scope: String,
    },
    ClearQueue,
    /// Whether handlers are called with an access token from now on.
    HandlerTokens(bool),
    /// Whether they get a refresh token too. They do not by default.
    HandlerRefreshToken(bool),
    /// What handlers are told as the portal's `domain`: the host of the request that made the change, which is any name
    /// that people use, in any spelling, or empty if the portal itself made it. Its address again without one.
    HandlerDomain {
        #[serde(default)]
        domain: Option<String>,
    },
    /// A user installs the application: its handler, an `http://` address on loopback, receives the first tokens.
    Install {
        handler: String,
        #[serde(default = "administrator")]
        user: u32,
    },
    /// The application is one of the Marketplace, with this code.
    Marketplace {
        code: String,
    },
    /// The application is removed with its tokens, bindings and queues, and its handler is called.
    Uninstall {
        handler: String,
    },
    /// What a change in the portal does. Without a `user_id` in `additional` handlers get no token, as with a change
    /// that no user made. With `by_connector` the application itself makes it, in a call with that key.
    MakeEvent {
        event: String,
        data: Value,
        #[serde(default)]
        by_connector: String,
        #[serde(default = "by_administrator")]
        additional: Value,
    },
    /// A message into the application's shared channel.
    Publish {
        module_id: String,
        command: String,
        #[serde(default)]
        params: Value,
    },
    /// The body of the push server's next answer, or its next text frame, for the first subscriber.
    PublishRaw {
        text: String,
    },
}

fn unavailable() -> u16 {
    503
}

fn administrator() -> u32 {
    ADMINISTRATOR
}

fn get_config() -> ExpireAction {
    ExpireAction::GetConfig
}

pub(crate) fn by_administrator() -> Value {
    json!({"user_id": "1"})
}

impl Control {
    /// Makes it happen, or says why that is not possible.
    pub(crate) fn apply(self, server: &Server) -> Result<(), String> {
        let portal = || lock(&server.portal);
        let faults = || lock(&server.faults);
        match self {
            Self::FailNext(fail) => faults().fail_next(fail),
            Self::DropNext(drop) => faults().drop_next(&drop),
            Self::DelayNext(delay) => faults().delay_next(&delay),
            Self::ClearFaults => faults().clear(),
            Self::SetDelay { ms } => *lock(&server.delay) = Duration::from_millis(ms),
            Self::DropConnections => server.push.drop_connections(),
            Self::StopPush => server.push.stop(),
            Self::StartPush => server.push.start(),
            Self::RestartPush => server.push.restart(),
            Self::CloseWebsockets { code, reason } => {
                server.push.order_websockets(&Order::Close(CloseReason { code, reason }));
            }
            Self::DropWebsockets => server.push.order_websockets(&Order::Drop),
            Self::MuteWebsockets => server.push.order_websockets(&Order::Mute),
            Self::SendText { text } => server.push.order_websockets(&Order::SendText(text.into_bytes())),
            Self::SendBinary { bytes } => server.push.order_websockets(&Order::SendBinary(bytes)),
            Self::RefuseUpgrades { status } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                server.push.refuse_upgrades(Some(status));
            }
            Self::AcceptUpgrades => server.push.refuse_upgrades(None),
            Self::ConfigExpire => publish(server, "pull", "config_expire", &json!([])),
            Self::ServerRestart => publish(server, "pull", "server_restart", &json!([])),
            Self::ExpireChannel { command, action } => portal().channels.renew_shared(command.then_some(action)),
            Self::ExpireTokens => portal().tokens.expire(),
            Self::RevokeTokens => portal().tokens.revoke(),
            Self::Limits(limits) => portal().set_limits(Some(limits)),
            Self::NoLimits => portal().set_limits(None),
            Self::OperatingLimit { method, seconds, announced } => {
                let until = time::unix_now() + i64::from(seconds);
                let operating = &mut portal().operating;
                if announced { operating.exhaust(&method, until) } else { operating.block(&method, until) }
            }
            Self::NoOperatingLimit => portal().operating.unblock_all(),
            Self::ConfigSpelling(spelling) => portal().spelling = spelling,
            Self::Plan(plan) => portal().plan = plan,
            Self::Conditions(conditions) => portal().conditions = conditions,
            Self::RecordTtl { seconds } => portal().timing.record_ttl = Duration::from_secs(seconds),
            Self::ReservationRace { ms } => portal().timing.reservation_race = Duration::from_millis(ms),
            Self::BindingTime { ms } => portal().timing.binding = Duration::from_millis(ms),
            Self::Scope { scope } => portal().scope = scope,
            Self::Marketplace { code } => portal().application.code = code,
            Self::ClearQueue => portal().queue.clear(),
            Self::HandlerTokens(tokens) => portal().calling.tokens = tokens,
            Self::HandlerRefreshToken(refresh_token) => portal().calling.refresh_token = refresh_token,
            Self::HandlerDomain { domain } => portal().calling.domain = domain,
            Self::Install { handler, user } => portal().install(Handler::parse(&handler)?, user),
            Self::Uninstall { handler } => portal().uninstall(Handler::parse(&handler)?),
            Self::MakeEvent { event, data, by_connector, additional } => {
                let mut portal = portal();
                let own_connector = (!by_connector.is_empty()).then_some(by_connector.as_str());
                portal.raise(&event.to_uppercase(), &data, &additional, own_connector);
                portal.end_hit();
            }
            Self::Publish { module_id, command, params } => publish(server, &module_id, &command, &params),
            Self::PublishRaw { text } => server.push.publish_raw(text.into_bytes()),
        }
        Ok(())
    }
}

/// A message into the application's shared channel.
fn publish(server: &Server, module_id: &str, command: &str, params: &Value) {
    let portal = lock(&server.portal);
    server.push.publish(&portal.channels.shared.id, module_id, command, params);
}

/// Reads the body of `POST /control`: one item or an array of them.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Control>, serde_json::Error> {
    // Not by way of a `serde_json::Value`, which would forget the order of keys.
    let is_list = body.trim_ascii_start().starts_with(b"[");
    if is_list { serde_json::from_slice(body) } else { Ok(vec![serde_json::from_slice(body)?]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling() {
        let items = [
            r#""drop_connections""#,
            r#"{"fail_next": {"method": "sub", "times": 2, "status": 302, "headers": {"Location": "http://x/"}}}"#,
            r#"{"drop_next": {"when": {"mid_answer": {"after_bytes": 10}}}}"#,
            r#"{"drop_next": {"method": "oauth", "when": "after_handling"}}"#,
            r#"{"limits": {"burst": 3, "per_second": 2}}"#,
            r#"{"config_spelling": "document"}"#,
            r#"{"expire_channel": {"command": true, "action": "get_config"}}"#,
            r#"{"close_websockets": {"code": 3000}}"#,
            r#""mute_websockets""#,
            r#"{"send_text": {"text": "x"}}"#,
            r#"{"send_binary": {"bytes": [1, 255]}}"#,
            r#"{"refuse_upgrades": {}}"#,
            r#""config_expire""#,
            r#"{"conditions": {"installed": false, "auth_server": "unreachable"}}"#,
            r#"{"reservation_race": {"ms": 5}}"#,
            r#"{"handler_tokens": false}"#,
            r#"{"handler_domain": {"domain": "CRM.Example:443"}}"#,
            r#"{"handler_domain": {}}"#,
            r#"{"install": {"handler": "http://127.0.0.1:1/"}}"#,
            r#"{"make_event": {"event": "ONCRMDEALADD", "data": false, "additional": []}}"#,
        ];
        for item in items {
            assert_eq!(parse(item.as_bytes()).map(|items| items.len()).unwrap_or_default(), 1, "{item}");
        }
        assert_eq!(parse(format!("[{}]", items.join(",")).as_bytes()).unwrap().len(), items.len());
        assert!(parse(br#"{"fail_next": {"status": 500, "methid": "profile"}}"#).is_err());
    }
}
