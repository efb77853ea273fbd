//! Log lines on their way to the host.

use std::sync::Arc;

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

/// Passes on what the host wants to hear.
#[derive(Clone, Default)]
pub struct Log {
    sink: Option<LogSink>,
    level: Option<Level>,
}

impl Log {
    /// A log that passes lines up to `level` to `sink`.
    pub fn new(sink: Option<LogSink>, level: Option<Level>) -> Log {
        Log { sink, level }
    }

    /// Writes a line. The text is only made when somebody listens.
    pub fn write(&self, level: Level, text: impl FnOnce() -> String) {
        if let Some(sink) = self.sink.as_ref().filter(|_| self.level.is_some_and(|max| level <= max)) {
            sink(level, &text());
        }
    }
}
