//! The seam between the state and the disk: tests put a disk in its place that fills up and stops at any moment.

use std::any::Any;

use crate::error::Result;

/// Held while nobody else may write a [`Storage`], in another process neither. Dropping it lets go.
pub type Guard = Box<dyn Any + Send>;

/// A place that holds one text.
pub trait Storage: Send + Sync {
    /// Where it is, for error texts.
    fn name(&self) -> String;

    /// The same for every spelling of the place.
    fn key(&self) -> String;

    /// Locks it; `None` when another holds the lock.
    fn try_lock(&self) -> Result<Option<Guard>>;

    /// The text; `None` when there is none yet.
    fn read(&self) -> Result<Option<String>>;

    /// Makes sure that so many bytes can be written.
    fn reserve_space(&self, bytes: u64) -> Result<()>;

    /// Replaces the text, wholly or not at all. It is durable when this returns.
    fn write(&self, content: &[u8]) -> Result<()>;
}
