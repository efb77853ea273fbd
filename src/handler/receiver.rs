//! Starts, reports and joins the handler's thread.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use mio::Poll;

use super::Handler;
use super::event_loop::EventLoop;
use super::port::Port;
use crate::config::Settings;
use crate::context::Context;
use crate::error::Result;
use crate::lock;
use crate::log::Level;
use crate::notify::Doorbell;
use crate::threads::{self, Thread};

/// Owns the handler's thread.
pub struct Receiver {
    inner: Arc<Inner>,
    thread: Mutex<Option<Thread>>,
}

/// What the receiver shares with its thread.
struct Inner {
    handler: Arc<Handler>,
    port: Arc<Port>,
    doorbell: Arc<Doorbell>,
    listen: Option<SocketAddr>,
    path: String,
    running: AtomicBool,
    ctx: Context,
}

impl Receiver {
    /// A receiver that does not listen yet.
    pub fn new(
        settings: &Settings,
        handler: Arc<Handler>,
        port: Arc<Port>,
        doorbell: Arc<Doorbell>,
        ctx: Context,
    ) -> Receiver {
        let inner = Inner {
            handler,
            port,
            doorbell,
            listen: settings.handler.listen,
            path: settings.handler.path.clone(),
            running: AtomicBool::new(false),
            ctx,
        };
        Receiver { inner: Arc::new(inner), thread: Mutex::default() }
    }

    /// Opens the port and starts the thread. Returns false if the thread is running already.
    pub fn start(&self) -> Result<bool> {
        let mut thread = lock(&self.thread);
        // Under the lock, so that no thread starts after `join` has taken the last one.
        self.inner.ctx.cancel.check()?;
        if self.is_running() {
            return Ok(false);
        }
        // A thread that has failed is about to end.
        thread.take().into_iter().for_each(Thread::join);
        let poll = self.inner.port.open(self.inner.listen)?;
        self.inner.running.store(true, Ordering::SeqCst);
        let inner = self.inner.clone();
        match threads::spawn("b24-handler", move || inner.run(poll)) {
            Ok(started) => *thread = Some(started),
            Err(error) => {
                self.inner.running.store(false, Ordering::SeqCst);
                self.inner.port.close();
                return Err(error);
            }
        }
        let address = self.inner.port.address();
        self.inner.ctx.log.write(Level::Info, || match address {
            Some(address) => format!("the handler listens on {address}"),
            None => "the handler opens no port; the host passes calls on".into(),
        });
        Ok(true)
    }

    /// Whether the thread is running.
    pub fn is_running(&self) -> bool {
        self.inner.running.load(Ordering::SeqCst)
    }

    /// Waits until the thread has ended. Call it after the cancellation. Called on the thread itself (from a log
    /// callback), it returns at once.
    pub fn join(&self) {
        let thread = lock(&self.thread).take();
        thread.into_iter().for_each(Thread::join);
    }
}

impl Inner {
    fn run(&self, poll: Poll) {
        let mut event_loop = EventLoop::new(poll, &self.handler, &self.port, &self.path, &self.ctx);
        let error = threads::catch(|| event_loop.run()).unwrap_or_else(|panic| panic);
        drop(event_loop);
        self.port.close();
        self.running.store(false, Ordering::SeqCst);
        if !self.ctx.cancel.is_cancelled() {
            self.doorbell.report(error);
        }
    }
}
