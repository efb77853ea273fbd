//! The open batches: those that 1C got and has not finished, by the id that it knows them by.

use std::sync::Arc;

use super::error::AddinError;
use crate::delivery::Batch;

/// How many batches may be open at the same time: a program that opens more forgets to acknowledge.
const MAX_OPEN: usize = 100;

#[derive(Default)]
pub(super) struct Batches {
    open: Vec<(String, Arc<Batch>)>,
    /// The number of the last batch without a reservation.
    last_number: u64,
}

impl Batches {
    /// Whether another batch may be opened. Checked before records are fetched: no open batch is given up for a new
    /// one.
    pub(super) fn check_limit(&self) -> Result<(), AddinError> {
        if self.open.len() < MAX_OPEN { Ok(()) } else { Err(AddinError::TooManyBatches(MAX_OPEN)) }
    }

    /// Adds a batch and returns its id: that of the reservation, which outlives this object, or else a number. A
    /// reservation that is redelivered replaces its former batch.
    pub(super) fn add(&mut self, batch: Arc<Batch>) -> String {
        let id = match batch.process_id() {
            "" => {
                self.last_number += 1;
                format!("unreserved-{}", self.last_number)
            }
            process_id => process_id.to_owned(),
        };
        self.remove(&id);
        self.open.push((id.clone(), batch));
        id
    }

    pub(super) fn find(&self, id: &str) -> Result<Arc<Batch>, AddinError> {
        let found = self.open.iter().find(|(open, _)| open == id);
        found.map(|(_, batch)| batch.clone()).ok_or_else(|| AddinError::NoBatch(id.to_owned()))
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Arc<Batch>> {
        let index = self.open.iter().position(|(open, _)| open == id)?;
        Some(self.open.swap_remove(index).1)
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}
