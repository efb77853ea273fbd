//! The batches that 1C has and has not finished, by the id that it knows them by.

use std::sync::Arc;

use super::fault::Fault;
use crate::delivery::Batch;

/// Batches that may be open at the same time: whoever opens more has forgotten to acknowledge.
const MOST: usize = 100;

#[derive(Default)]
pub(super) struct Batches {
    open: Vec<(String, Arc<Batch>)>,
    numbered: u64,
}

impl Batches {
    /// Whether another batch may be opened. Asked before records are taken; an open batch is never given up for a new one.
    pub(super) fn check_room(&self) -> Result<(), Fault> {
        if self.open.len() < MOST { Ok(()) } else { Err(Fault::TooManyBatches(MOST)) }
    }

    /// Keeps a batch; returns its id: the reservation's, which outlives this object, or else a number. A reservation
    /// that is handed out again takes the place of its former batch.
    pub(super) fn open(&mut self, batch: Arc<Batch>) -> String {
        let id = match batch.process_id() {
            "" => {
                self.numbered += 1;
                format!("unreserved-{}", self.numbered)
            }
            process_id => process_id.to_owned(),
        };
        self.close(&id);
        self.open.push((id.clone(), batch));
        id
    }

    pub(super) fn find(&self, id: &str) -> Result<Arc<Batch>, Fault> {
        let found = self.open.iter().find(|(known, _)| known == id);
        found.map(|(_, batch)| batch.clone()).ok_or_else(|| Fault::NoBatch(id.to_owned()))
    }

    /// Takes a batch out.
    pub(super) fn take(&mut self, id: &str) -> Option<Arc<Batch>> {
        let place = self.open.iter().position(|(known, _)| known == id)?;
        Some(self.open.swap_remove(place).1)
    }

    pub(super) fn close(&mut self, id: &str) {
        self.open.retain(|(known, _)| known != id);
    }

    pub(super) fn close_all(&mut self) {
        self.open.clear();
    }
}
