//! A hit: PHP's word for one request. It has the portal for itself, except where it lets others in.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::Portal;
use crate::sync::lock;

pub struct Hit<'a> {
    portal: &'a Mutex<Portal>,
    guard: Option<MutexGuard<'a, Portal>>,
}

const LOCKED: &str = "only `let_others_in` releases the portal, and it takes it again";

impl<'a> Hit<'a> {
    pub fn begin(portal: &'a Mutex<Portal>) -> Self {
        Self { portal, guard: Some(lock(portal)) }
    }

    /// Other hits may come in between, for as long as this one pauses.
    pub fn let_others_in(&mut self, pause: Duration) {
        let unannounced = self.take_unannounced();
        self.guard = None;
        if pause.is_zero() {
            std::thread::yield_now();
        } else {
            tokio::task::block_in_place(|| std::thread::sleep(pause));
        }
        self.guard = Some(lock(self.portal));
        self.restore_unannounced(unannounced);
    }
}

impl Deref for Hit<'_> {
    type Target = Portal;

    fn deref(&self) -> &Portal {
        self.guard.as_ref().expect(LOCKED)
    }
}

impl DerefMut for Hit<'_> {
    fn deref_mut(&mut self) -> &mut Portal {
        self.guard.as_mut().expect(LOCKED)
    }
}
