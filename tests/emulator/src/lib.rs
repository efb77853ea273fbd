//! A Bitrix24 portal on loopback, for tests: REST and the push server on one port, the authorization server on another.
//!
//! [`Emulator::start`] returns when the port is open; dropping the emulator ends everything and frees the port.
//! The calls block, none of them for long, and may come from any thread that is not a thread of a tokio runtime.
//!
//! | address | what answers | in `src` |
//! |---|---|---|
//! | `/rest/{method}` | the portal, for applications | `portal/rest.rs`, `portal/methods.rs` |
//! | `/rest/{user}/{secret}/{method}` | the portal, for webhooks | the same |
//! | `/oauth/token/` | the authorization server, on a port of its own; a portal in the cloud too | `portal/oauth.rs` |
//! | `/rest/app.info` | the authorization server, on its port | the same |
//! | `/sub/` | the push server, long polling | `push/long_polling.rs` |
//! | `/subws/` | the push server, WebSocket; on-premise `/bitrix/sub/`, `/bitrix/subws/` | `push/websocket.rs` |
//! | `/control` | [`Control`] in JSON: whatever a test needs to happen | `control.rs` |

#![forbid(unsafe_code)]

mod caller;
mod control;
mod faults;
mod http;
mod journal;
mod options;
mod php;
mod portal;
mod push;
mod random;
mod server;
mod sync;
mod time;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

pub use control::Control;
pub use faults::{DelayNext, DropNext, DropWhen, FailNext};
pub use journal::{Counters, RecordedRequest};
pub use options::{AccessLog, Limits, Options, Timing};
pub use php::value::Value;
pub use portal::application::Application;
pub use portal::conditions::{AuthServer, Conditions};
pub use portal::offline::QueueRecord;
pub use portal::pull::{ConfigSpelling, ExpireAction};
pub use portal::tokens::Tokens;
pub use portal::{ADMINISTRATOR, EMPLOYEE, Plan};

use portal::{Addresses, Portal};
use push::{PushServer, Settings};
use server::{Origin, Server};
use sync::lock;

/// How long dropping waits for the threads at most. Connections are closed at once, so they end sooner.
const SHUTDOWN: Duration = Duration::from_secs(5);
/// With shorter lifetimes the portal would do nothing but create channels.
const MIN_CHANNEL_TTL: Duration = Duration::from_millis(100);

/// A running portal.
pub struct Emulator {
    address: SocketAddr,
    auth_server: SocketAddr,
    server: Arc<Server>,
    runtime: Option<Runtime>,
}

impl Emulator {
    /// Opens the ports and starts to answer.
    ///
    /// # Errors
    /// The address is in use or not a loopback address, the push version is not between 1 and 5, the lifetime of
    /// channels is below 100 ms, or the system cannot start threads.
    pub fn start(options: Options) -> io::Result<Self> {
        check(&options)?;
        let listener = TcpListener::bind(options.listen)?;
        let auth_listener = TcpListener::bind((options.listen.ip(), 0))?;
        listener.set_nonblocking(true)?;
        auth_listener.set_nonblocking(true)?;
        let (address, auth_server) = (listener.local_addr()?, auth_listener.local_addr()?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("b24-emulator")
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let auth_listener = tokio::net::TcpListener::from_std(auth_listener)?;
        let push = Arc::new(PushServer::new(Settings {
            version: options.push_version,
            client_id: (options.push_shared && !options.on_premise).then(|| "43253464643".to_owned()),
            hold: options.hold,
            websocket: options.websocket,
            ping_interval: options.ping_interval,
            gather: options.gather,
            grace: options.expire_grace,
            server_name: address.to_string(),
        }));
        let (calls, calls_to_make) = tokio::sync::mpsc::unbounded_channel();
        let addresses = Addresses { portal: address.to_string(), auth_server: auth_server.to_string() };
        let portal = Portal::new(&options, addresses, Arc::clone(&push), calls);
        let server = Arc::new(Server::new(options, portal, push));
        runtime.spawn(caller::make_calls(calls_to_make, Arc::clone(&server.tally)));
        runtime.spawn(server::accept(Arc::clone(&server), Origin::Portal, listener));
        runtime.spawn(server::accept(Arc::clone(&server), Origin::AuthServer, auth_listener));
        runtime.spawn(server::renew_channels(Arc::clone(&server)));
        drop(entered);
        Ok(Self { address, auth_server, server, runtime: Some(runtime) })
    }

    /// `http://127.0.0.1:PORT`
    pub fn portal_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `http://127.0.0.1:PORT` of the authorization server.
    pub fn auth_server_url(&self) -> String {
        format!("http://{}", self.auth_server)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The keys of the installed application.
    pub fn application(&self) -> Application {
        lock(&self.server.portal).application.clone()
    }

    /// A token pair of a user: [`ADMINISTRATOR`], or anybody else, such as [`EMPLOYEE`].
    pub fn issue_tokens(&self, user_id: u32) -> Tokens {
        lock(&self.server.portal).tokens.issue(user_id)
    }

    /// A code for `grant_type=authorization_code`, good once within 30 seconds.
    pub fn authorization_code(&self, user_id: u32) -> String {
        lock(&self.server.portal).tokens.new_code(user_id)
    }

    /// The administrator's incoming webhook, with a slash at its end.
    pub fn webhook_url(&self) -> String {
        format!("{}/rest/{ADMINISTRATOR}/{}/", self.portal_url(), lock(&self.server.portal).webhook_secret)
    }

    /// What a change in the portal does: the event enters the queues bound to it, and subscribers are notified.
    /// `by_connector` is the `auth_connector` the change was made with, or empty.
    pub fn make_event(&self, event: &str, data: impl Into<Value>, by_connector: &str) {
        self.control(Control::MakeEvent {
            event: event.to_owned(),
            data: data.into(),
            by_connector: by_connector.to_owned(),
            additional: control::by_administrator(),
        });
    }

    /// Any message into the application's shared channel.
    pub fn publish(&self, module_id: &str, command: &str, params: impl Into<Value>) {
        self.control(Control::Publish {
            module_id: module_id.to_owned(),
            command: command.to_owned(),
            params: params.into(),
        });
    }

    /// The body of the push server's next answer: half an envelope, invalid UTF-8, nothing.
    pub fn publish_raw(&self, bytes: impl Into<Vec<u8>>) {
        self.server.push.publish_raw(bytes.into());
    }

    /// All records of a connector's queue, reserved and failed ones included. The empty name is the queue without a
    /// connector id.
    pub fn queue(&self, connector: &str) -> Vec<QueueRecord> {
        self.server.queue().into_iter().filter(|record| record.connector_id == connector).collect()
    }

    pub fn counters(&self) -> Counters {
        self.server.counters()
    }

    /// The last 2000 requests, the oldest first.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        lock(&self.server.journal).requests()
    }

    /// Makes something happen.
    ///
    /// # Panics
    /// If that is not possible, such as a handler that is not on loopback.
    pub fn control(&self, control: Control) {
        if let Err(reason) = control.apply(&self.server) {
            panic!("{reason}");
        }
    }
}

fn check(options: &Options) -> io::Result<()> {
    let refuse = |text: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    if !options.listen.ip().is_loopback() {
        return refuse("the emulator listens on loopback only");
    }
    if !(1..=5).contains(&options.push_version) {
        return refuse("push_version is 1 to 5");
    }
    if options.channel_ttl < MIN_CHANNEL_TTL {
        return refuse("channel_ttl is at least 100 ms");
    }
    Ok(())
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(SHUTDOWN);
        }
    }
}
