//! Finds out why events do not come: looks at everything between this computer and the queue, and changes nothing.
//!
//! [`Examination`] looks, on a thread of its own, because name resolution and the renewal of tokens cannot be interrupted
//! and the caller is promised an answer in time. What it has found by then is in the report.

mod application;
mod examination;
mod report;

use std::sync::{Arc, Mutex};

use crossbeam_channel::{select, unbounded};

use crate::clock::Timeout;
use crate::config::Settings;
use crate::context::Context;
use crate::error::Result;
use crate::handler::port::Port;
use crate::lock;
use crate::portal::Portal;
use crate::push::listener::Listener;
use crate::threads::{self, Thread};
use examination::Examination;
use report::Report;

/// Diagnoses one client.
pub(super) struct Diagnosis {
    examination: Arc<Examination>,
    /// Those that run, or have run since the last diagnosis.
    threads: Mutex<Vec<Thread>>,
    ctx: Context,
}

impl Diagnosis {
    pub(super) fn new(
        settings: &Arc<Settings>,
        portal: Arc<Portal>,
        listener: Arc<Listener>,
        port: Arc<Port>,
        ctx: Context,
    ) -> Diagnosis {
        let examination = Examination { settings: settings.clone(), portal, listener, port, ctx: ctx.clone() };
        Diagnosis { examination: Arc::new(examination), threads: Mutex::default(), ctx }
    }

    /// What the client was made from.
    pub(super) fn settings(&self) -> &Settings {
        &self.examination.settings
    }

    /// The report as JSON. What could not be checked in time is in it as skipped.
    pub(super) fn run(&self, timeout: Timeout) -> Result<String> {
        let deadline = timeout.deadline(self.ctx.clock.now());
        let (sender, found) = unbounded();
        let examination = self.examination.clone();
        let clock = self.ctx.clock.clone();
        let run = move || {
            // Nobody receives what comes too late.
            let panic = threads::catch(|| {
                examination.run(deadline, &|check| {
                    // What ends after the deadline may have failed because of it.
                    if !deadline.has_passed(clock.now()) {
                        let _ = sender.send(Ok(check));
                    }
                });
            });
            if let Err(error) = panic {
                let _ = sender.send(Err(error));
            }
        };
        self.start(run)?;
        let mut report = Report::new(self.examination.settings.portal.origin());
        loop {
            let left = deadline.left(self.ctx.clock.now());
            select! {
                recv(found) -> check => match check {
                    Ok(check) => report.add(check?),
                    // The thread has ended.
                    Err(_) => break,
                },
                recv(self.ctx.cancel.receiver()) -> _ => return Err(self.ctx.cancel.reason()),
                default(left) => break,
            }
        }
        self.ctx.cancel.check()?;
        Ok(report.to_json())
    }

    fn start(&self, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let mut threads = lock(&self.threads);
        // Checked under the lock, so that no thread starts after `join` has waited for the last one.
        self.ctx.cancel.check()?;
        let (ended, running): (Vec<_>, Vec<_>) = threads.drain(..).partition(Thread::is_finished);
        *threads = running;
        ended.into_iter().for_each(Thread::join);
        threads.push(threads::spawn("b24-diagnose", run)?);
        Ok(())
    }

    /// Waits until the threads have ended. Call it after the cancellation.
    pub(super) fn join(&self) {
        let threads = std::mem::take(&mut *lock(&self.threads));
        threads.into_iter().for_each(Thread::join);
    }
}
