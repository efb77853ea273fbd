//! The token families of a process.

use std::sync::{Arc, Mutex, Weak};

use super::family::SharedFamily;
use crate::lock;
use crate::state::family::TokenFamily;

/// See the module. Clients whose tokens are of one family share it; that they are may turn out later, so before anybody
/// buys a pair, those that are related are brought together.
#[derive(Default)]
pub(super) struct Registry(Mutex<Vec<Weak<SharedFamily>>>);

impl Registry {
    /// A family of its own, until it turns out to be related to another one.
    pub(super) fn open(&self, family: TokenFamily) -> Arc<SharedFamily> {
        let shared = SharedFamily::new(family);
        let mut families = lock(&self.0);
        families.retain(|family| family.strong_count() > 0);
        families.push(Arc::downgrade(&shared));
        shared
    }

    /// Another one that is a branch of the same family.
    pub(super) fn related(&self, family: &Arc<SharedFamily>) -> Option<Arc<SharedFamily>> {
        let others: Vec<_> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        let tokens = family.family();
        others.into_iter().find(|other| !Arc::ptr_eq(other, family) && other.is_related(&tokens))
    }
}
