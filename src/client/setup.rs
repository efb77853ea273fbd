//! Puts the parts of a client together.

use std::sync::{Arc, Mutex};

use super::diagnosis::Diagnosis;
use super::shutdown::Shutdown;
use super::{Client, Hooks};
use crate::cancel::Cancellation;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Settings};
use crate::context::Context;
use crate::delivery::Delivery;
use crate::error::Result;
use crate::handler::Handler;
use crate::handler::port::Port;
use crate::handler::receiver::Receiver;
use crate::log::Log;
use crate::notify::Doorbell;
use crate::portal::Portal;
use crate::portal::oauth::{AuthServer, Keeper, Tokens, TokensSetup, TokensSink};
use crate::push::listener::Listener;
use crate::state::storage::Storage;
use crate::state::store::{Identity, Store};
use crate::state::tokens::TokenPair;
use crate::state::tokens_file::TokensFile;
use crate::state::{PortalName, PrivateFile};
use crate::stats::Stats;

/// Name of the file in `state.dir`.
const STATE_FILE: &str = "b24events-state.json";

impl Client {
    /// Checks the configuration. Does not use the network.
    pub fn new(config: &Config, hooks: Hooks) -> Result<Client> {
        Client::with_clock(config, hooks, Arc::new(SystemClock))
    }

    /// The same with the given clock.
    pub fn with_clock(config: &Config, hooks: Hooks, clock: Arc<dyn Clock>) -> Result<Client> {
        let settings = Arc::new(config.settings()?);
        let ctx = Context {
            clock: clock.clone(),
            cancel: Cancellation::default(),
            log: Log::new(hooks.log, settings.log_level),
            stats: Arc::new(Stats::default()),
        };
        let store = Arc::new(open_store(&settings)?);
        let tokens = Tokens::new(tokens_setup(&settings, &store, hooks.tokens, &ctx)?, ctx.clone())?;
        let portal = Arc::new(Portal::new(&settings, tokens, ctx.clone()));
        let doorbell = Arc::new(Doorbell::new(settings.poll_interval, clock, ctx.cancel.clone()));
        let listener = Arc::new(Listener::new(&settings, portal.clone(), doorbell.clone(), ctx.clone()));
        let port = Arc::new(Port::default());
        let shutdown = Shutdown {
            portal: portal.clone(),
            listener: listener.clone(),
            port: port.clone(),
            doorbell: doorbell.clone(),
            ctx: ctx.clone(),
        };
        let handler = Arc::new(Handler::new(
            &settings,
            portal.clone(),
            doorbell.clone(),
            store.clone(),
            port.clone(),
            shutdown.clone().installation_callbacks(settings.source),
            ctx.clone(),
        ));
        let diagnosis = Diagnosis::new(&settings, portal.clone(), listener.clone(), port.clone(), ctx.clone());
        Ok(Client {
            receiver: Receiver::new(&settings, handler.clone(), port, doorbell.clone(), ctx.clone()),
            source: settings.source,
            shutdown,
            listener,
            handler,
            delivery: Arc::new(Delivery::new(&settings, portal.clone(), store.clone(), doorbell.clone(), ctx.clone())),
            store,
            portal,
            doorbell,
            fetch_pace: Mutex::default(),
            diagnosis,
            ctx,
        })
    }
}

fn open_store(settings: &Settings) -> Result<Store> {
    let file = settings.state_dir.as_ref().map(|folder| PrivateFile::new(folder.join(STATE_FILE))).transpose()?;
    let identity = Identity { portal: portal_name(settings), connector_id: settings.connector_id.clone() };
    Store::new(file.map(|file| Box::new(file) as Box<dyn Storage>), identity)
}

fn portal_name(settings: &Settings) -> PortalName {
    PortalName { origin: settings.portal.origin().to_owned(), member_id: settings.handler.member_id.clone() }
}

fn tokens_setup(
    settings: &Arc<Settings>,
    store: &Arc<Store>,
    host: Option<TokensSink>,
    ctx: &Context,
) -> Result<TokensSetup> {
    let file = settings.tokens_file.clone().map(PrivateFile::new).transpose()?;
    Ok(TokensSetup {
        configured: TokenPair {
            access: settings.access_token.clone(),
            refresh: settings.refresh_token.clone(),
            expires: settings.expires,
            ..TokenPair::none()
        },
        stored: store.family(),
        file: file.map(|file| TokensFile::new(Box::new(file), portal_name(settings), &settings.client_id)),
        keeper: Arc::new(Keeper::new(store.clone(), host, ctx.log.clone())),
        server: Box::new(AuthServer::new(settings)),
        renewed_by_host: settings.renewed_by_host,
    })
}
