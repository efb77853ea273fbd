//! The thread that listens to the push server: carries out what [`super::connection`] says and rings the doorbell.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::channel::PushConfig;
use super::connection::{Connection, Step};
use super::doorbell::Doorbell;
use super::long_polling::{self, Polled};
use crate::clock::Timeout;
use crate::config::{Level, Settings};
use crate::error::{Error, Result};
use crate::lock;
use crate::portal::http::Http;
use crate::portal::watched::Watch;
use crate::portal::{Portal, Surroundings};
use crate::secret::Secret;

/// Between the moment a subscription is sent and the look for what was missed before it: time for the server to
/// take the subscription, so that nothing falls between the look and the subscription.
const SETTLING: Duration = Duration::from_millis(100);

/// Starts, watches and ends the listening thread of one client.
pub struct Listener {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    portal: Arc<Portal>,
    http: Http,
    doorbell: Arc<Doorbell>,
    poll: Arc<Poll>,
    link: Mutex<Link>,
    idle_timeout: Duration,
    allow_plain: bool,
    around: Surroundings,
}

/// Wakes one call of `connect`.
type Waiter = Sender<Result<()>>;

/// How it stands with the subscription.
#[derive(Default)]
struct Link {
    listening: bool,
    subscribed: bool,
    /// Whether it has ever stood: then somebody may wait for notifications.
    was_subscribed: bool,
    last_error: Option<Error>,
    waiting: Vec<Waiter>,
}

/// The poll under way, as the watch of the transport layer sees it.
struct Poll {
    state: Mutex<PollState>,
    doorbell: Arc<Doorbell>,
    around: Surroundings,
}

#[derive(Default)]
struct PollState {
    gap: bool,
    sent: Option<Instant>,
    on_sent: Option<Box<dyn FnOnce() + Send>>,
}

impl Watch for Poll {
    fn waiting(&self) -> Option<Duration> {
        let on_sent = {
            let mut state = lock(&self.state);
            state.sent.get_or_insert_with(|| self.around.clock.now());
            let on_sent = state.on_sent.take();
            if on_sent.is_some() && state.gap {
                self.doorbell.look_within(SETTLING);
            }
            on_sent
        };
        if let Some(on_sent) = on_sent {
            on_sent();
        }
        Some(self.doorbell.tick())
    }
}

impl Listener {
    /// A listener that does not listen yet.
    pub fn new(settings: &Settings, portal: Arc<Portal>, doorbell: Arc<Doorbell>, around: Surroundings) -> Listener {
        let poll = Arc::new(Poll { state: Mutex::default(), doorbell: doorbell.clone(), around: around.clone() });
        let shared = Shared {
            http: Http::new(settings, around.closing.clone(), Some(poll.clone())),
            portal,
            doorbell,
            poll,
            link: Mutex::default(),
            idle_timeout: settings.idle_timeout,
            allow_plain: settings.allow_plain,
            around,
        };
        Listener { shared: Arc::new(shared), thread: Mutex::new(None) }
    }

    /// Starts listening if need be and waits until the subscription stands.
    ///
    /// What a person has to mend (tokens, rights, configuration) ends it with that error. Trouble of the network is
    /// retried until the time is over; listening then goes on in the background.
    pub fn connect(&self, timeout: Timeout) -> Result<()> {
        let deadline = timeout.deadline(self.shared.around.clock.now());
        let Some((waiter, subscribed)) = self.start()? else {
            return Ok(());
        };
        let outcome = self.await_subscription(&subscribed, deadline);
        // Whoever stops waiting is not waited for any more.
        lock(&self.shared.link).waiting.retain(|known| !known.same_channel(&waiter));
        outcome
    }

    fn await_subscription(&self, subscribed: &Receiver<Result<()>>, deadline: Option<Instant>) -> Result<()> {
        let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(self.shared.around.clock.now()));
        select! {
            recv(subscribed) -> outcome => outcome.unwrap_or_else(|_| Err(self.shared.around.closing.end())),
            recv(self.shared.around.closing.receiver()) -> _ => Err(self.shared.around.closing.end()),
            default(left) => Err(lock(&self.shared.link).last_error.clone().unwrap_or_else(|| {
                Error::Timeout("the subscription does not stand yet; it is tried further; connect again to wait on".into())
            })),
        }
    }

    /// Whether somebody listens, be it with trouble.
    pub fn is_listening(&self) -> bool {
        lock(&self.shared.link).listening
    }

    /// Whether the subscription stands.
    pub fn is_subscribed(&self) -> bool {
        lock(&self.shared.link).subscribed
    }

    /// What the last trouble was, if the subscription does not stand.
    pub fn last_error(&self) -> Option<Error> {
        lock(&self.shared.link).last_error.clone()
    }

    /// Interrupts what the thread waits for. Call after closing.
    pub fn shutdown(&self) {
        self.shared.http.shutdown();
    }

    /// Waits for the end of the thread. From the thread itself (a log callback) this does nothing.
    pub fn join(&self) {
        let thread = lock(&self.thread).take();
        join_other(thread);
    }

    /// A receiver for the moment the subscription stands, with its sender; `None` when it does already.
    fn start(&self) -> Result<Option<(Waiter, Receiver<Result<()>>)>> {
        let mut thread = lock(&self.thread);
        let mut link = lock(&self.shared.link);
        // Under the lock of the link, so that no thread starts after closing has joined the last one.
        self.shared.around.closing.check()?;
        if link.subscribed {
            return Ok(None);
        }
        let (sender, receiver) = bounded(1);
        link.waiting.push(sender.clone());
        if !link.listening {
            // It has said its last word and ends without taking a lock again.
            join_other(thread.take());
            let shared = self.shared.clone();
            let started = std::thread::Builder::new().name("b24-push".into()).spawn(move || shared.run());
            match started {
                Ok(handle) => *thread = Some(handle),
                Err(error) => {
                    link.waiting.clear();
                    return Err(Error::State(format!(
                        "no thread can be started: {error}; the system's limit of threads is reached"
                    )));
                }
            }
            link.listening = true;
            link.last_error = None;
        }
        Ok(Some((sender, receiver)))
    }
}

impl Shared {
    fn run(self: Arc<Shared>) {
        let end = match catch_unwind(AssertUnwindSafe(|| self.listen())) {
            Ok(end) => end,
            Err(panic) => Error::Panic(panic_text(panic.as_ref())),
        };
        let (waiting, was_subscribed) = {
            let mut link = lock(&self.link);
            link.listening = false;
            link.subscribed = false;
            link.last_error = Some(end.clone());
            (std::mem::take(&mut link.waiting), link.was_subscribed)
        };
        // Whoever waited in `connect` may have left in the meantime; whoever waits for notifications is to wake too.
        let told = waiting.iter().filter(|waiter| waiter.send(Err(end.clone())).is_ok()).count();
        if (told == 0 || was_subscribed) && !self.around.closing.is_closed() {
            self.doorbell.report(end);
        }
    }

    /// Listens until the client is closed, or until something has to be mended before the first subscription.
    fn listen(self: &Arc<Shared>) -> Error {
        let mut connection = Connection::default();
        loop {
            if self.around.closing.is_closed() {
                return Error::Closed;
            }
            let now = self.around.clock.now();
            match connection.next(now) {
                Step::Pause(until) => {
                    let pause = until.saturating_duration_since(now).min(self.doorbell.tick());
                    if self.around.closing.pause(pause).is_err() {
                        return Error::Closed;
                    }
                }
                Step::Configure { reopen } => {
                    if let Err(error) = self.configure(&mut connection, reopen) {
                        return error;
                    }
                }
                Step::Poll { url, gap } => self.poll(&mut connection, &url, gap),
            }
        }
    }

    fn configure(&self, connection: &mut Connection, reopen: bool) -> Result<()> {
        self.around.stats.configurations.add(1);
        match PushConfig::get(&self.portal, reopen, self.allow_plain) {
            Ok(config) => {
                self.log(Level::Debug, || format!("push server {}, version {}", config.host(), config.version()));
                connection.configured(config, self.around.clock.now());
                Ok(())
            }
            Err(Error::Closed) => Err(Error::Closed),
            Err(error) if error.is_transient() => {
                let pause = connection.not_configured(self.around.clock.now());
                self.trouble(&error, pause);
                Ok(())
            }
            // Somebody waits in `connect` and can be told.
            Err(error) if !lock(&self.link).waiting.is_empty() => Err(error),
            // Once it ran, it is tried further: an administrator may mend it. The waiting host is told.
            Err(error) => {
                let pause = connection.not_configured(self.around.clock.now());
                self.trouble(&error, pause);
                self.doorbell.report(error);
                Ok(())
            }
        }
    }

    fn poll(self: &Arc<Shared>, connection: &mut Connection, url: &Secret, gap: bool) {
        {
            let shared = self.clone();
            let mut state = lock(&self.poll.state);
            let on_sent: Box<dyn FnOnce() + Send> = Box::new(move || shared.subscribed());
            *state = PollState { gap, sent: None, on_sent: Some(on_sent) };
        }
        let answer = self.http.get(url.expose(), self.idle_timeout);
        let sent = {
            let mut state = lock(&self.poll.state);
            state.on_sent = None;
            state.sent
        };
        let now = self.around.clock.now();
        match answer {
            Ok(answer) => {
                self.around.stats.polls.add(1);
                let polled = long_polling::read(&answer, self.portal.connector_id());
                self.log(Level::Debug, || {
                    format!("poll answered: HTTP {}, {} bytes", answer.status, answer.body.len())
                });
                self.polled(connection, polled, sent.unwrap_or(now), now);
            }
            // The loop sees it.
            Err(Error::Closed) => {}
            Err(error) => {
                let pause = connection.broken(sent, now);
                self.trouble(&error, pause);
            }
        }
    }

    fn polled(&self, connection: &mut Connection, polled: Polled, sent: Instant, now: Instant) {
        let trouble = match &polled {
            Polled::ChannelRefused => {
                Some("the push server does not accept the channel; a new configuration is read".to_owned())
            }
            Polled::Unusable { text, .. } => Some(format!("the push server answered {text}")),
            _ => None,
        };
        let signals = connection.polled(polled, sent, now, self.around.clock.random());
        let stats = &self.around.stats;
        stats.messages.add(signals.messages);
        stats.signals.add(signals.signals);
        stats.malformed.add(signals.malformed);
        if let Some(text) = trouble {
            let pause = match connection.next(now) {
                Step::Pause(until) => until.saturating_duration_since(now),
                _ => Duration::ZERO,
            };
            self.trouble(&Error::protocol(text), pause);
        }
        if signals.signals > 0 {
            self.doorbell.ring(signals.records);
        }
    }

    /// The request is on its way: from here on the server tells us.
    fn subscribed(&self) {
        let (news, waiting) = {
            let mut link = lock(&self.link);
            let news = !std::mem::replace(&mut link.subscribed, true);
            link.was_subscribed = true;
            link.last_error = None;
            (news, std::mem::take(&mut link.waiting))
        };
        // Not under the lock: the host may ask for the client's state while it is told.
        if news {
            self.log(Level::Info, || "subscribed to the push server".into());
        }
        for waiter in waiting {
            let _ = waiter.send(Ok(()));
        }
    }

    fn trouble(&self, error: &Error, pause: Duration) {
        self.around.stats.failures.add(1);
        let mut link = lock(&self.link);
        link.subscribed = false;
        link.last_error = Some(error.clone());
        drop(link);
        self.log(Level::Warning, || format!("no subscription, next attempt in {} ms: {error}", pause.as_millis()));
    }

    fn log(&self, level: Level, text: impl FnOnce() -> String) {
        self.around.log.line(level, text);
    }
}

/// Waits for the end of a thread, unless it is the one that asks.
fn join_other(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
        // A panic inside was reported where it was caught.
        let _ = thread.join();
    }
}

/// The text of a panic, as far as it has one.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").to_owned()
}
