//! Starts, observes and ends the thread that listens to the push server; `listen_loop` is what that thread runs.

use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, select};

use super::listen_loop::{ListenLoop, Resources};
use super::machine::MachineSettings;
use super::poll_observer::PollObserver;
use super::status::{CheckIntervals, ListenerStatus};
use crate::clock::{Deadline, Timeout};
use crate::config::Settings;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lock;
use crate::net::http::Http;
use crate::notify::Doorbell;
use crate::portal::Portal;
use crate::threads::{self, Thread};

/// Listens to the push server on a thread of its own; one per client.
pub struct Listener {
    resources: Arc<Resources>,
    status: Arc<ListenerStatus>,
    thread: Mutex<Option<Thread>>,
    ctx: Context,
}

impl Listener {
    /// A listener whose thread does not run yet.
    pub fn new(settings: &Settings, portal: Arc<Portal>, doorbell: Arc<Doorbell>, ctx: Context) -> Listener {
        let intervals = CheckIntervals {
            subscribed: settings.poll_interval,
            unsubscribed: settings.unsubscribed_poll_interval.min(settings.poll_interval),
        };
        let status = Arc::new(ListenerStatus::new(doorbell.clone(), intervals, ctx.clone()));
        let observer = Arc::new(PollObserver::new(doorbell.clone(), status.clone(), ctx.clock.clone()));
        let resources = Resources {
            http: Http::new(settings, ctx.cancel.clone(), Some(observer.clone())),
            portal,
            doorbell,
            observer,
            status: status.clone(),
            settings: MachineSettings {
                transport: settings.transport,
                renew_before: settings.renew_before,
                idle_timeout: settings.idle_timeout,
            },
            connect_timeout: settings.connect_timeout,
            plain_http: settings.plain_when_named(),
            ctx: ctx.clone(),
        };
        Listener { resources: Arc::new(resources), status, thread: Mutex::new(None), ctx }
    }

    /// Starts the thread if it does not run, and waits until a subscription is active.
    ///
    /// An error that somebody has to fix (tokens, rights, configuration) ends the wait and the thread. Other errors are
    /// retried, and the thread keeps trying after the timeout.
    pub fn connect(&self, timeout: Timeout) -> Result<()> {
        let deadline = timeout.deadline(self.ctx.clock.now());
        let waiter = {
            let mut thread = lock(&self.thread);
            // Checked under the lock, so that no thread starts after `join` has waited for the last one.
            self.ctx.cancel.check()?;
            self.status.add_waiter(|| self.start(&mut thread))?
        };
        let Some((waiter, subscribed)) = waiter else {
            return Ok(());
        };
        let outcome = self.await_subscription(&subscribed, deadline);
        self.status.remove_waiter(&waiter);
        outcome
    }

    fn start(&self, thread: &mut Option<Thread>) -> Result<()> {
        // The previous thread has reported its end and takes none of the locks held here again.
        thread.take().into_iter().for_each(Thread::join);
        let resources = self.resources.clone();
        *thread = Some(threads::spawn("b24-push", move || run(&resources))?);
        Ok(())
    }

    fn await_subscription(&self, subscribed: &Receiver<Result<()>>, deadline: Deadline) -> Result<()> {
        let left = deadline.left(self.ctx.clock.now());
        select! {
            recv(subscribed) -> outcome => outcome.unwrap_or_else(|_| Err(self.ctx.cancel.reason())),
            recv(self.ctx.cancel.receiver()) -> _ => Err(self.ctx.cancel.reason()),
            default(left) => Err(self.status.last_error().unwrap_or_else(|| {
                let text = "not subscribed to the push server yet; the client keeps trying; \
                            connect again to keep waiting";
                Error::Timeout(text.into())
            })),
        }
    }

    /// Whether the thread runs, even if it is not subscribed.
    pub fn is_listening(&self) -> bool {
        self.status.is_listening()
    }

    /// Whether a subscription is active.
    pub fn is_subscribed(&self) -> bool {
        self.status.is_subscribed()
    }

    /// Why no subscription is active.
    pub fn last_error(&self) -> Option<Error> {
        self.status.last_error()
    }

    /// Interrupts what the thread waits for. Call it after the cancellation.
    pub fn shutdown(&self) {
        self.resources.http.shutdown();
    }

    /// Waits until the thread has ended. Called on the thread itself (from a log callback), it returns at once.
    pub fn join(&self) {
        let thread = lock(&self.thread).take();
        thread.into_iter().for_each(Thread::join);
    }
}

/// The body of the thread.
fn run(resources: &Arc<Resources>) {
    let error = threads::catch(|| ListenLoop::new(resources.clone()).run()).unwrap_or_else(|panic| panic);
    let must_notify = resources.status.ended(&error);
    if must_notify && !resources.ctx.cancel.is_cancelled() {
        resources.doorbell.report(error);
    }
}
