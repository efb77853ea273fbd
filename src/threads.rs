//! Starts threads under a name, joins them from anywhere, and turns their panics into errors.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::error::{Error, Result};

/// A running thread of the library.
pub struct Thread {
    handle: JoinHandle<()>,
    /// Disconnected when the thread has run.
    ended: Receiver<Infallible>,
}

/// Starts a thread. `run` has to catch its own panics with [`catch`], because only it knows where to report them.
pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<Thread> {
    let (running, ended) = bounded(0);
    let run = move || {
        let _running = running;
        run();
    };
    Builder::new()
        .name(name.into())
        .spawn(run)
        .map(|handle| Thread { handle, ended })
        .map_err(|error| Error::State(format!("cannot start a thread: {error}; check the system's limit on threads")))
}

impl Thread {
    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits until the thread has ended. Called on the thread itself (from a callback of the host), it returns at once.
    pub fn join(self) {
        if self.handle.thread().id() != std::thread::current().id() {
            // An error means that the thread panicked, which `catch` has reported.
            let _ = self.handle.join();
        }
    }

    /// The same for a thread that may hang in code of the host. After `max` it is left to itself.
    pub fn join_within(self, max: Duration) {
        let is_own = self.handle.thread().id() == std::thread::current().id();
        if !is_own && self.ended.recv_timeout(max) == Err(RecvTimeoutError::Disconnected) {
            self.join();
        }
    }
}

/// Runs `body`; a panic becomes [`Error::Panic`].
///
/// Continuing after a panic is sound: no code of this crate can panic while a value behind a lock is half changed, and
/// locks are not poisoned (see `crate::lock`).
pub fn catch<T>(body: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| Error::Panic(panic_text(panic.as_ref())))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_text() {
        assert_eq!(catch(|| 7), Ok(7));
        assert_eq!(catch(|| panic!("boom")), Err::<(), _>(Error::Panic("boom".into())));
        assert_eq!(catch(|| panic!("{}", 1)), Err::<(), _>(Error::Panic("1".into())));
        assert_eq!(catch(|| std::panic::panic_any(1)), Err::<(), _>(Error::Panic("no text".into())));
    }

    #[test]
    fn a_thread_that_joins_itself_does_not_wait() {
        let (thread_sender, thread_receiver) = channel::<Thread>();
        let (done_sender, done_receiver) = channel();
        let thread = spawn("b24-test", move || {
            thread_receiver.recv().unwrap().join();
            done_sender.send(()).unwrap();
        });
        thread_sender.send(thread.unwrap()).unwrap();
        done_receiver.recv().unwrap();
    }

    #[test]
    fn joining_within_a_time_leaves_a_thread_that_hangs() {
        let (leave, may_leave) = channel::<()>();
        let (ended, has_ended) = channel();
        let hang = move || {
            let _ = may_leave.recv();
            ended.send(()).unwrap();
        };
        spawn("b24-test", hang).unwrap().join_within(Duration::from_millis(10));
        assert!(has_ended.try_recv().is_err());
        drop(leave);
        has_ended.recv().unwrap();
        // A thread that ends is joined at once.
        let start = std::time::Instant::now();
        spawn("b24-test", || ()).unwrap().join_within(Duration::from_secs(60));
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn joining_waits_for_the_end() {
        let (sender, receiver) = channel();
        let thread = spawn("b24-test", move || sender.send(std::thread::current().name().map(str::to_owned)).unwrap());
        thread.unwrap().join();
        assert_eq!(receiver.try_recv().unwrap().as_deref(), Some("b24-test"));
    }
}
