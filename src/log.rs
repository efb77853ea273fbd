//! Log lines on their way to the host.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::lock;

/// How important a log line is.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Someone must intervene.
    Error = 1,
    /// Something failed; the library tries again.
    Warning = 2,
    /// Normal operation: connected, renewed, closed.
    Info = 3,
    /// Every step.
    Debug = 4,
}

/// Receives log lines: level and text. Called on any thread; must return soon.
pub type LogSink = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// Passes on what the host wants to hear. Clones write to the same sink.
#[derive(Clone, Default)]
pub struct Log {
    gate: Option<Arc<Gate>>,
    level: Option<Level>,
}

/// Lets lines through to the sink until the client ends.
struct Gate {
    state: Mutex<GateState>,
    /// Notified when a thread has left.
    left: Condvar,
}

struct GateState {
    /// `None` once the log has ended.
    sink: Option<LogSink>,
    /// The threads that are in the sink.
    inside: Vec<ThreadId>,
}

impl Log {
    /// A log that passes lines up to `level` to `sink`.
    pub fn new(sink: Option<LogSink>, level: Option<Level>) -> Log {
        let open =
            |sink| Gate { state: Mutex::new(GateState { sink: Some(sink), inside: Vec::new() }), left: Condvar::new() };
        Log { gate: sink.map(|sink| Arc::new(open(sink))), level }
    }

    /// Writes a line. The text is only made when somebody listens.
    pub fn write(&self, level: Level, text: impl FnOnce() -> String) {
        let gate = self.gate.as_ref().filter(|_| self.level.is_some_and(|max| level <= max));
        if let Some((sink, _visit)) = gate.and_then(|gate| Visit::begin(gate)) {
            sink(level, &text());
        }
    }

    /// Writes nothing from now on, and waits until other threads have left the sink, for at most `max`: a sink that
    /// waits for the calling thread would never end.
    pub fn end(&self, max: Duration) {
        let Some(gate) = &self.gate else { return };
        let this = thread::current().id();
        let mut state = lock(&gate.state);
        let sink = state.sink.take();
        let others = |state: &mut GateState| state.inside.iter().any(|id| *id != this);
        drop(gate.left.wait_timeout_while(state, max, others).unwrap_or_else(PoisonError::into_inner));
        // Not under the lock: it is the host's code that is dropped.
        drop(sink);
    }
}

/// A thread's visit to the sink.
struct Visit<'a>(&'a Gate);

impl Visit<'_> {
    fn begin(gate: &Gate) -> Option<(LogSink, Visit<'_>)> {
        let mut state = lock(&gate.state);
        let sink = state.sink.clone()?;
        state.inside.push(thread::current().id());
        Some((sink, Visit(gate)))
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let this = thread::current().id();
        let mut state = lock(&self.0.state);
        if let Some(index) = state.inside.iter().position(|id| *id == this) {
            state.inside.swap_remove(index);
        }
        self.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn write(log: &Log) {
        log.write(Level::Error, || "line".into());
    }

    #[test]
    fn the_end_waits_for_lines_on_other_threads_and_lets_none_through_afterwards() {
        let (entered, is_inside) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel();
        let may_leave = Mutex::new(may_leave);
        let lines = Arc::new(AtomicU32::new(0));
        let counter = lines.clone();
        let sink: LogSink = Arc::new(move |_, _| {
            entered.send(()).unwrap();
            lock(&may_leave).recv().unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let log = Log::new(Some(sink), Some(Level::Debug));
        thread::scope(|scope| {
            scope.spawn(|| write(&log));
            is_inside.recv().unwrap();
            let end = scope.spawn(|| {
                log.end(LONG);
                lines.load(Ordering::SeqCst)
            });
            // Nothing shows from outside that the end waits; it must not return early if it gets time to.
            thread::sleep(Duration::from_millis(50));
            assert!(!end.is_finished());
            leave.send(()).unwrap();
            assert_eq!(end.join().unwrap(), 1);
        });
        write(&log);
        write(&log.clone());
        assert_eq!(lines.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_end_within_a_line_does_not_wait_for_itself() {
        let shared: Arc<Mutex<Log>> = Arc::default();
        let ended = shared.clone();
        let sink: LogSink = Arc::new(move |_, _| {
            let log = lock(&ended).clone();
            log.end(LONG);
        });
        let log = Log::new(Some(sink), Some(Level::Debug));
        *lock(&shared) = log.clone();
        let start = Instant::now();
        write(&log);
        assert!(start.elapsed() < LONG / 2);
    }

    #[test]
    fn the_end_gives_up_on_a_line_that_never_ends() {
        let (leave, may_leave) = mpsc::channel::<()>();
        let may_leave = Mutex::new(may_leave);
        let (entered, is_inside) = mpsc::channel();
        let sink: LogSink = Arc::new(move |_, _| {
            entered.send(()).unwrap();
            let _ = lock(&may_leave).recv();
        });
        let log = Log::new(Some(sink), Some(Level::Debug));
        thread::scope(|scope| {
            scope.spawn(|| write(&log));
            is_inside.recv().unwrap();
            log.end(Duration::from_millis(10));
            drop(leave);
        });
    }
}
