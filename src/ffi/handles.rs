//! Handles: numbers in the shape of pointers. They are never dereferenced, only looked up, so a wrong one is harmless.
//!
//! Each process has handles of its own. A child made by `fork` does not even read its parent's table: what is in there
//! shares sockets, files and locks with the parent, and is left as it is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Error, Result};
use crate::process::PerProcess;

/// One counter for all types, so that a number never names two objects. The step makes handles look like aligned
/// pointers.
static NEXT: AtomicUsize = AtomicUsize::new(STEP);
const STEP: usize = 16;

/// The first handle that this process can have made.
static FIRST: PerProcess<FirstHandle> = PerProcess::new();

struct FirstHandle(usize);

impl Default for FirstHandle {
    fn default() -> FirstHandle {
        FirstHandle(NEXT.load(Ordering::Relaxed))
    }
}

/// The handles of the C type `T`, each for a value of the Rust type `V`.
pub(super) struct Registry<T, V> {
    name: &'static str,
    tables: PerProcess<Table<V>>,
    handle: std::marker::PhantomData<fn(*mut T)>,
}

struct Table<V> {
    /// Handles below are the parent's.
    first: usize,
    values: RwLock<HashMap<usize, Arc<V>>>,
}

impl<V> Default for Table<V> {
    fn default() -> Table<V> {
        Table { first: FIRST.get().0, values: RwLock::default() }
    }
}

impl<T, V> Registry<T, V> {
    /// A registry for the C type of this name.
    pub(super) const fn new(name: &'static str) -> Registry<T, V> {
        Registry { name, tables: PerProcess::new(), handle: std::marker::PhantomData }
    }

    /// A new handle for a value.
    pub(super) fn insert(&self, value: V) -> *mut T {
        let value = Arc::new(value);
        let mut values = self.tables.get().values.write().unwrap_or_else(PoisonError::into_inner);
        loop {
            let number = NEXT.fetch_add(STEP, Ordering::Relaxed);
            // Where pointers have 32 bits, the counter wraps around after 2^28 handles.
            if number != 0 && !values.contains_key(&number) {
                values.insert(number, value);
                return std::ptr::without_provenance_mut(number);
            }
        }
    }

    /// The value of a handle. It stays alive as long as the caller holds it, even if the handle is freed meanwhile.
    pub(super) fn get(&self, handle: *const T) -> Result<Arc<V>> {
        let table = self.tables.get();
        let values = table.values.read().unwrap_or_else(PoisonError::into_inner);
        values.get(&handle.addr()).cloned().ok_or_else(|| {
            let number = handle.addr();
            let is_of_parent = number != 0 && number % STEP == 0 && number < table.first;
            if is_of_parent { made_before_fork(self.name) } else { Error::InvalidHandle(self.name) }
        })
    }

    /// Removes a handle. `None` when it is not valid.
    pub(super) fn remove(&self, handle: *mut T) -> Option<Arc<V>> {
        self.tables.get().values.write().unwrap_or_else(PoisonError::into_inner).remove(&handle.addr())
    }
}

fn made_before_fork(name: &str) -> Error {
    Error::State(format!(
        "the {name} was made before fork(), and only the process that made it can use it; create the configuration \
         and the client after fork(), in the child"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Apple;
    struct Pear;
    static APPLES: Registry<Apple, u8> = Registry::new("apple");
    static PEARS: Registry<Pear, u8> = Registry::new("pear");

    #[test]
    fn only_a_handle_that_was_returned_and_not_freed_is_valid() {
        let apple = APPLES.insert(7);
        assert_eq!(*APPLES.get(apple).unwrap(), 7);
        assert!(PEARS.get(apple.cast()).is_err());
        assert!(APPLES.get(std::ptr::null()).is_err());
        assert!(APPLES.get(std::ptr::without_provenance(12345)).is_err());
        let value = APPLES.get(apple).unwrap();
        assert!(APPLES.remove(apple).is_some());
        assert!(APPLES.remove(apple).is_none());
        assert_eq!(APPLES.get(apple).unwrap_err(), Error::InvalidHandle("apple"));
        assert_eq!(*value, 7);
        assert_ne!(APPLES.insert(8), apple);
    }
}
