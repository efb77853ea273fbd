//! Handles: numbers in the shape of pointers. They are never dereferenced, only looked up, so a wrong one is harmless.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use once_cell::sync::Lazy;

use crate::error::{Error, Result};

/// One counter for all types, so that a number never names two objects. The step makes handles look like aligned
/// pointers.
static NEXT: AtomicUsize = AtomicUsize::new(STEP);
const STEP: usize = 16;

/// The handles of the C type `T`, each for a value of the Rust type `V`.
pub(super) struct Registry<T, V> {
    name: &'static str,
    values: Lazy<RwLock<HashMap<usize, Arc<V>>>>,
    handle: std::marker::PhantomData<fn(*mut T)>,
}

impl<T, V> Registry<T, V> {
    /// A registry for the C type of this name.
    pub(super) const fn new(name: &'static str) -> Registry<T, V> {
        Registry { name, values: Lazy::new(RwLock::default), handle: std::marker::PhantomData }
    }

    /// A new handle for a value.
    pub(super) fn insert(&self, value: V) -> *mut T {
        let value = Arc::new(value);
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
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
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        values.get(&handle.addr()).cloned().ok_or(Error::InvalidHandle(self.name))
    }

    /// Removes a handle. `None` when it is not valid.
    pub(super) fn remove(&self, handle: *mut T) -> Option<Arc<V>> {
        self.values.write().unwrap_or_else(PoisonError::into_inner).remove(&handle.addr())
    }
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
