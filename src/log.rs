//! Log lines on their way to the host.

use std::sync::Arc;

use crate::config::Level;

/// Receives log lines: level and text. Called from any thread, must not block for long.
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

    /// Logs a line. The text is only made when somebody listens.
    pub fn line(&self, level: Level, text: impl FnOnce() -> String) {
        if let Some(sink) = self.sink.as_ref().filter(|_| self.level.is_some_and(|most| level <= most)) {
            sink(level, &text());
        }
    }
}
