//! Starts, watches and ends the thread that listens to the push server; what it does is in `listening`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::machine::Limits;
use crate::clock::{Deadline, Timeout};
use crate::config::Settings;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lock;
use crate::net::http::Http;
use crate::net::observed::WaitObserver;
use crate::notify::Doorbell;
use crate::portal::Portal;
use crate::threads::{self, Thread};

/// Between the moment a subscription is sent and the look for what was missed before it: time for the server to
/// take the subscription, so that nothing falls between the look and the subscription.
pub(super) const SETTLING: Duration = Duration::from_millis(100);

/// Starts, watches and ends the listening thread of one client.
pub struct Listener {
    shared: Arc<Shared>,
    thread: Mutex<Option<Thread>>,
}

pub(super) struct Shared {
    pub(super) portal: Arc<Portal>,
    pub(super) http: Http,
    pub(super) doorbell: Arc<Doorbell>,
    pub(super) poll: Arc<Poll>,
    pub(super) link: Mutex<Link>,
    pub(super) limits: Limits,
    pub(super) connect_timeout: Duration,
    pub(super) allow_plain: bool,
    pub(super) ctx: Context,
}

/// Wakes one call of `connect`.
type Waiter = Sender<Result<()>>;

/// How it stands with the subscription.
#[derive(Default)]
pub(super) struct Link {
    pub(super) listening: bool,
    pub(super) subscribed: bool,
    /// Whether it has ever stood: then somebody may wait for notifications.
    pub(super) was_subscribed: bool,
    pub(super) last_error: Option<Error>,
    pub(super) waiting: Vec<Waiter>,
}

/// The poll under way, as the watch of the transport layer sees it.
pub(super) struct Poll {
    pub(super) state: Mutex<PollState>,
    doorbell: Arc<Doorbell>,
    ctx: Context,
}

#[derive(Default)]
pub(super) struct PollState {
    pub(super) gap: bool,
    pub(super) sent: Option<Instant>,
    pub(super) on_sent: Option<Box<dyn FnOnce() + Send>>,
}

impl WaitObserver for Poll {
    fn on_wait(&self) -> Option<Duration> {
        let on_sent = {
            let mut state = lock(&self.state);
            state.sent.get_or_insert_with(|| self.ctx.clock.now());
            let on_sent = state.on_sent.take();
            if on_sent.is_some() && state.gap {
                self.doorbell.check_within(SETTLING);
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
    pub fn new(settings: &Settings, portal: Arc<Portal>, doorbell: Arc<Doorbell>, ctx: Context) -> Listener {
        let poll = Arc::new(Poll { state: Mutex::default(), doorbell: doorbell.clone(), ctx: ctx.clone() });
        let shared = Shared {
            http: Http::new(settings, ctx.cancel.clone(), Some(poll.clone())),
            portal,
            doorbell,
            poll,
            link: Mutex::default(),
            limits: Limits {
                transport: settings.transport,
                renew_before: settings.renew_before,
                idle: settings.idle_timeout,
            },
            connect_timeout: settings.connect_timeout,
            allow_plain: settings.allow_plain,
            ctx,
        };
        Listener { shared: Arc::new(shared), thread: Mutex::new(None) }
    }

    /// Starts listening if need be and waits until the subscription stands.
    ///
    /// What a person has to mend (tokens, rights, configuration) ends it with that error. Trouble of the network is
    /// retried until the time is over; listening then goes on in the background.
    pub fn connect(&self, timeout: Timeout) -> Result<()> {
        let deadline = timeout.deadline(self.shared.ctx.clock.now());
        let Some((waiter, subscribed)) = self.start()? else {
            return Ok(());
        };
        let outcome = self.await_subscription(&subscribed, deadline);
        // Whoever stops waiting is not waited for any more.
        lock(&self.shared.link).waiting.retain(|known| !known.same_channel(&waiter));
        outcome
    }

    fn await_subscription(&self, subscribed: &Receiver<Result<()>>, deadline: Deadline) -> Result<()> {
        let left = deadline.left(self.shared.ctx.clock.now());
        select! {
            recv(subscribed) -> outcome => outcome.unwrap_or_else(|_| Err(self.shared.ctx.cancel.reason())),
            recv(self.shared.ctx.cancel.receiver()) -> _ => Err(self.shared.ctx.cancel.reason()),
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
        thread.into_iter().for_each(Thread::join);
    }

    /// A receiver for the moment the subscription stands, with its sender; `None` when it does already.
    fn start(&self) -> Result<Option<(Waiter, Receiver<Result<()>>)>> {
        let mut thread = lock(&self.thread);
        let mut link = lock(&self.shared.link);
        // Under the lock of the link, so that no thread starts after closing has joined the last one.
        self.shared.ctx.cancel.check()?;
        if link.subscribed {
            return Ok(None);
        }
        let (sender, receiver) = bounded(1);
        link.waiting.push(sender.clone());
        if !link.listening {
            // It has said its last word and ends without taking a lock again.
            thread.take().into_iter().for_each(Thread::join);
            let shared = self.shared.clone();
            match threads::spawn("b24-push", move || shared.run()) {
                Ok(started) => *thread = Some(started),
                Err(error) => {
                    link.waiting.clear();
                    return Err(error);
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
        let end = threads::catch(|| self.listen()).unwrap_or_else(|panic| panic);
        let (waiting, was_subscribed) = {
            let mut link = lock(&self.link);
            link.listening = false;
            link.subscribed = false;
            link.last_error = Some(end.clone());
            (std::mem::take(&mut link.waiting), link.was_subscribed)
        };
        // Whoever waited in `connect` may have left in the meantime; whoever waits for notifications is to wake too.
        let told = waiting.iter().filter(|waiter| waiter.send(Err(end.clone())).is_ok()).count();
        if (told == 0 || was_subscribed) && !self.ctx.cancel.is_cancelled() {
            self.doorbell.report(end);
        }
    }
}
