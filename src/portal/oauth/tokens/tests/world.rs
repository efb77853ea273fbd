//! The model: clients, processes, hosts.

use super::authorizations::{Authorizations, ModelServer};
use super::computer::{Computer, Killed, ModelFile};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::clock::Clock;
use crate::state::storage::Guard;

/// How a world is set up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Setup {
    pub(super) clients: usize,
    /// So many of the first clients live in one process; the others have one each.
    pub(super) together: usize,
    /// The clients that have `auth.tokens_file`, the same one, as bits.
    pub(super) files: u32,
    /// `state.dir`, one for each client.
    pub(super) folders: bool,
    /// Whether the host stores each new pair as its configuration.
    pub(super) host_stores: bool,
    /// Clients start without tokens.
    pub(super) without_tokens: bool,
    /// Nothing says when a pair expires.
    pub(super) without_expiry: bool,
    /// Threads wait for each other.
    pub(super) real_time: bool,
}

impl Setup {
    pub(super) fn has_file(&self, client: usize) -> bool {
        self.files & (1 << client) != 0
    }

    fn is_one_process(&self, client: usize, other: usize) -> bool {
        client == other || client.max(other) < self.together
    }
}

/// A clock that jumps at each look, so that nothing is waited for in vain for long.
pub(super) struct ModelClock {
    start: std::time::Instant,
    looks: AtomicU32,
}

impl Default for ModelClock {
    fn default() -> ModelClock {
        ModelClock { start: std::time::Instant::now(), looks: AtomicU32::new(0) }
    }
}

impl Clock for ModelClock {
    fn now(&self) -> std::time::Instant {
        self.start + Duration::from_secs(90) * self.looks.fetch_add(1, Ordering::Relaxed)
    }

    fn unix(&self) -> u64 {
        SystemClock.unix()
    }

    fn random(&self) -> u64 {
        SystemClock.random()
    }
}

struct Client {
    store: Arc<Store>,
    tokens: Arc<Tokens>,
    ctx: Context,
}

pub(super) struct World {
    setup: Setup,
    computer: Computer,
    server: Arc<Mutex<Authorizations>>,
    configured: Arc<Mutex<TokenPair>>,
    clients: Vec<Option<Client>>,
    backups: Vec<String>,
    /// Of the process in which each client lives.
    registries: Vec<Arc<Registry>>,
    /// The lock of the tokens file, when another process has it.
    foreign_lock: Option<Guard>,
    pub(super) kills: u64,
}

impl World {
    pub(super) fn new(setup: Setup) -> World {
        let server: Arc<Mutex<Authorizations>> = Arc::default();
        lock(&server).without_expiry = setup.without_expiry;
        let configured = lock(&server).authorize();
        let mut world = World {
            setup,
            computer: Computer::default(),
            server,
            configured: Arc::new(Mutex::new(configured)),
            clients: (0..setup.clients).map(|_| None).collect(),
            backups: Vec::new(),
            registries: Vec::new(),
            foreign_lock: None,
            kills: 0,
        };
        world.registries = (0..setup.clients).map(|_| Arc::default()).collect();
        (0..setup.clients).for_each(|client| world.end(client));
        world
    }

    fn file(&self, name: String) -> Box<dyn Storage> {
        Box::new(ModelFile { computer: self.computer.clone(), name })
    }

    fn store(&self, client: usize, origin: &str) -> Result<Store> {
        let portal = PortalName { origin: origin.into(), member_id: String::new() };
        let storage = self.setup.folders.then(|| self.file(format!("folder {client}")));
        Store::new(storage, Identity { portal, connector_id: String::new() })
    }

    fn tokens_file(&self, client: usize, origin: &str) -> Option<TokensFile> {
        let portal = PortalName { origin: origin.into(), member_id: String::new() };
        let file = || TokensFile::new(self.file("shared".into()), portal, "app");
        self.setup.has_file(client).then(file)
    }

    fn host(&self) -> TokensSink {
        let (computer, configured, stores) = (self.computer.clone(), self.configured.clone(), self.setup.host_stores);
        Arc::new(move |pair| {
            computer.moment();
            if std::mem::take(&mut computer.disk().kill_in_callback) {
                resume_unwind(Box::new(Killed));
            }
            if stores {
                *lock(&configured) = pair.clone();
            }
        })
    }

    /// Starts a client with the configured tokens, and those that live with it; false when it was killed or could not
    /// start.
    pub(super) fn start(&mut self, client: usize) -> bool {
        let process = self.process_of(client);
        for other in &process {
            if !self.is_running(*other) {
                self.start_alone(*other);
            }
        }
        if process.iter().any(|other| !self.is_running(*other)) {
            // A host that cannot start one of them starts none: their folders do not know each other.
            self.end(client);
        }
        self.is_running(client)
    }

    /// The clients that live in the process of this one.
    fn process_of(&self, client: usize) -> Vec<usize> {
        (0..self.setup.clients).filter(|other| self.setup.is_one_process(client, *other)).collect()
    }

    pub(super) fn start_alone(&mut self, client: usize) {
        let started = self.unless_killed(|world| {
            let store = Arc::new(world.store(client, "https://portal")?);
            let ctx = Context {
                clock: if world.setup.real_time { Arc::new(SystemClock) } else { Arc::new(ModelClock::default()) },
                cancel: Cancellation::default(),
                log: Log::default(),
                stats: Arc::default(),
            };
            let setup = TokensSetup {
                configured: if world.setup.without_tokens { TokenPair::none() } else { world.configured() },
                stored: store.family(),
                file: world.tokens_file(client, "https://portal"),
                keeper: Arc::new(Keeper::new(store.clone(), Some(world.host()), Log::default())),
                server: Box::new(ModelServer {
                    authorizations: world.server.clone(),
                    computer: world.computer.clone(),
                }),
                renewed_by_host: false,
            };
            let tokens = Arc::new(Tokens::in_registry(world.registries[client].clone(), setup, ctx.clone())?);
            Ok(Client { store, tokens, ctx })
        });
        let started = started.and_then(|started: Result<Client>| match started {
            Ok(started) => Some(started),
            Err(error) => {
                assert!(self.computer.disk().full, "cannot start: {error}");
                None
            }
        });
        if started.is_none() {
            self.end(client);
        }
        self.clients[client] = started;
    }

    /// The process of a client is gone.
    fn end(&mut self, client: usize) {
        let registry: Arc<Registry> = Arc::default();
        for other in self.process_of(client) {
            self.clients[other] = None;
            self.registries[other] = registry.clone();
        }
    }

    pub(super) fn is_running(&self, client: usize) -> bool {
        self.clients[client].is_some()
    }

    /// Ends the process of a client.
    pub(super) fn stop(&mut self, client: usize) {
        for (number, running) in self.clients.iter().enumerate() {
            if let Some(running) = running.as_ref().filter(|_| self.setup.is_one_process(client, number)) {
                running.ctx.cancel.cancel();
                running.tokens.end();
                running.store.release();
            }
        }
        self.end(client);
    }

    /// Runs something during which the process may be killed.
    fn unless_killed<T>(&mut self, run: impl FnOnce(&mut World) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| run(self))) {
            Ok(outcome) => Some(outcome),
            Err(panic) if panic.is::<Killed>() => {
                self.kills += 1;
                None
            }
            Err(panic) => resume_unwind(panic),
        }
    }

    fn in_client<T>(&mut self, client: usize, run: impl FnOnce(&Client) -> T) -> Option<T> {
        let running = self.clients[client].take().expect("the client runs");
        let outcome = self.unless_killed(|_| run(&running));
        match outcome {
            Some(_) => self.clients[client] = Some(running),
            None => self.end(client),
        }
        outcome
    }

    /// Renews the tokens of a client; `None` when it was killed. An outcome that nobody can help is asserted to be one.
    pub(super) fn renew(&mut self, client: usize) -> Outcome {
        let misused = lock(&self.server).misused.len();
        let outcome = self.in_client(client, |client| {
            client
                .tokens
                .renew(&client.tokens.access(), Deadline::after(Duration::from_secs(5), client.ctx.clock.now()))
        });
        let outcome = Outcome(outcome.map(|renewed| renewed.map(drop)));
        let good = lock(&self.server).misused.get(misused).cloned();
        if let Some(good) = good {
            // A pair was used that had been used before. Its successor must be nowhere.
            let error = outcome.0.as_ref().and_then(|outcome| outcome.as_ref().err());
            let text = error.map(Error::to_string).unwrap_or_default();
            if let Some(good) = good {
                assert!(!self.is_stored_anywhere(&good), "dead tokens, though the next pair is known: {text}");
                // A process that is killed before it tells will be told again.
                assert!(outcome.0.is_none() || text.contains("never arrived"), "{text}");
            }
        }
        outcome
    }

    /// Whether a refresh token is stored anywhere.
    pub(super) fn is_stored_anywhere(&self, refresh: &str) -> bool {
        let stored = self.computer.disk().files.values().any(|text| text.contains(refresh));
        let running = |client: &Client| client.tokens.pair().refresh.expose() == refresh;
        stored || lock(&self.configured).refresh.expose() == refresh || self.clients.iter().flatten().any(running)
    }

    pub(super) fn access(&self, client: usize) -> String {
        self.clients[client].as_ref().expect("the client runs").tokens.access().expose().to_owned()
    }

    pub(super) fn tokens(&self, client: usize) -> Arc<Tokens> {
        self.clients[client].as_ref().expect("the client runs").tokens.clone()
    }

    pub(super) fn misused(&self) -> usize {
        lock(&self.server).misused.len()
    }

    pub(super) fn back_up(&mut self, client: usize) {
        let client = self.clients[client].as_ref().expect("the client runs");
        self.backups.push(client.store.to_json(&client.tokens.to_carry()));
    }

    pub(super) fn backups(&self) -> usize {
        self.backups.len()
    }

    /// Restores a backup as [`crate::client::Client::restore`] does.
    pub(super) fn restore(&mut self, client: usize, backup: usize) {
        let json = self.backups[backup].clone();
        let restored = self.in_client(client, |client| {
            let family = client.store.restore(&json)?;
            client.tokens.restore(family)
        });
        if let Some(Err(error)) = restored {
            let is_busy = matches!(error, Error::Busy(_)) && self.foreign_lock.is_some();
            assert!(is_busy || self.computer.disk().full, "cannot restore: {error}");
        }
    }

    /// The administrator authorizes anew while the client runs. Whether the pair is used, and what storing it came to.
    pub(super) fn set_new_tokens(&mut self, client: usize) -> (bool, Result<()>) {
        let pair = lock(&self.server).authorize();
        if self.setup.host_stores {
            *lock(&self.configured) = pair.clone();
        }
        let stored = self.in_client(client, |client| client.tokens.present(pair.clone(), true));
        (self.is_running(client) && self.access(client) == pair.access.expose(), stored.unwrap_or(Ok(())))
    }

    /// The administrator authorizes anew and configures the tokens for the next start.
    pub(super) fn configure_new_tokens(&mut self) {
        let pair = lock(&self.server).authorize();
        *lock(&self.configured) = pair;
    }

    pub(super) fn configure_nothing(&mut self) {
        *lock(&self.configured) = TokenPair::none();
    }

    /// The host sets what it has configured.
    pub(super) fn set_configured(&mut self, client: usize) -> Result<()> {
        let pair = self.configured();
        self.in_client(client, |client| client.tokens.present(pair.clone(), true)).unwrap_or(Ok(()))
    }

    /// The tokens file is replaced by one that knows nothing of ours.
    pub(super) fn replace_tokens_file(&mut self, origin: &str) -> TokenPair {
        let pair = lock(&self.server).authorize();
        let kill_in = self.computer.disk().kill_in.take();
        let full = std::mem::take(&mut self.computer.disk().full);
        let file = self.tokens_file(0, origin).unwrap();
        let guard = file.try_lock().unwrap();
        file.write(&TokenFamily::new(pair.clone())).unwrap();
        drop(guard);
        self.set_full(full);
        self.kill_in(kill_in);
        pair
    }

    pub(super) fn configured(&self) -> TokenPair {
        lock(&self.configured).clone()
    }

    pub(super) fn configure(&mut self, pair: TokenPair) {
        *lock(&self.configured) = pair;
    }

    pub(super) fn forget_folder(&mut self, client: usize) {
        self.computer.disk().files.remove(&format!("folder {client}"));
    }

    pub(super) fn uninstall(&mut self, client: usize) {
        self.in_client(client, |client| client.tokens.retire());
    }

    pub(super) fn use_up_elsewhere(&mut self, client: usize) {
        let pair = self.clients[client].as_ref().expect("the client runs").tokens.pair();
        lock(&self.server).good.remove(pair.refresh.expose());
    }

    /// Another process holds the lock of the tokens file, or lets go of it.
    pub(super) fn hold_file(&mut self, locked: bool) {
        self.foreign_lock = None;
        if locked {
            self.foreign_lock = self.file("shared".into()).try_lock().unwrap();
        }
    }

    pub(super) fn refuse_next_with(&mut self, code: Option<&'static str>) {
        lock(&self.server).refuse_next_with = code;
    }

    /// Ends one client, while others of its process go on.
    pub(super) fn stop_alone(&mut self, client: usize) {
        let running = self.clients[client].take().expect("the client runs");
        running.ctx.cancel.cancel();
        running.tokens.end();
        running.store.release();
    }

    pub(super) fn set_full(&mut self, full: bool) {
        self.computer.disk().full = full;
    }

    pub(super) fn kill_in(&mut self, moments: Option<u32>) {
        self.computer.disk().kill_in = moments;
    }

    pub(super) fn die_in_callback(&mut self) {
        self.computer.disk().kill_in_callback = true;
    }

    pub(super) fn lose_next_answer(&mut self, lose: bool) {
        lock(&self.server).lose_next_answer = lose;
    }

    pub(super) fn fill_disk_at_next_answer(&mut self) {
        lock(&self.server).fill_disk_at_next_answer = true;
    }

    pub(super) fn renewals(&self) -> u64 {
        lock(&self.server).renewals
    }

    /// Another portal's client meets the folder: it must say so and leave it.
    pub(super) fn switch_portal(&mut self, client: usize) {
        let before = self.computer.disk().files.clone();
        let kill_in = self.computer.disk().kill_in.take();
        let refused = self.store(client, "https://another");
        let has_tokens = before.get(&format!("folder {client}")).is_some_and(|text| text.contains("<access"));
        if has_tokens {
            let text = refused.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(text.contains("https://portal") && text.contains("https://another"), "{text}");
        }
        let mut disk = self.computer.disk();
        assert_eq!(disk.files, before);
        disk.kill_in = kill_in;
    }

    /// Closes a client while one of its threads renews. Whether the renewal was completed and waited for, and whether
    /// its pair was stored before the state was released.
    pub(super) fn close_during_renewal(&mut self, client: usize) -> (bool, bool) {
        let slow = Arc::new(Mutex::new(()));
        lock(&self.server).slow = Some(slow.clone());
        let answering = lock(&slow);
        let tokens = self.clients[client].as_ref().expect("the client runs").tokens.clone();
        let renewal = std::thread::spawn(move || {
            tokens.renew(&tokens.access(), Deadline::after(Duration::from_secs(60), std::time::Instant::now()))
        });
        while lock(&self.server).renewals == 0 {
            std::thread::yield_now();
        }
        let running = self.clients[client].take().expect("the client runs");
        running.ctx.cancel.cancel();
        let (ended, end_came) = std::sync::mpsc::channel();
        let end = std::thread::spawn(move || {
            running.tokens.end();
            let _ = ended.send(());
            let newest = running.tokens.access();
            running.store.release();
            newest
        });
        let waited = end_came.recv_timeout(Duration::from_millis(100)).is_err();
        drop(answering);
        let renewed = renewal.join().unwrap() == Ok(true);
        let newest = end.join().unwrap();
        lock(&self.server).slow = None;
        let stored = self.computer.disk().files.values().any(|text| text.contains(newest.expose()));
        (renewed && waited, stored && newest.expose() == "<access 2>")
    }
}

/// What a renewal came to; `None` when the client was killed meanwhile.
pub(super) struct Outcome(Option<Result<()>>);

impl Outcome {
    pub(super) fn unwrap(self) {
        self.0.expect("not killed").unwrap();
    }

    pub(super) fn unwrap_err(self) -> Error {
        self.0.expect("not killed").unwrap_err()
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn into_inner(self) -> Option<Result<()>> {
        self.0
    }
}
