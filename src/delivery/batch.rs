//! A batch: the records of one fetch, and what the host says of them.

use std::sync::{Arc, Mutex};

use super::Delivery;
use crate::error::{Error, Result};
use crate::lock;
use crate::portal::offline_events::Fetched;
use crate::state::store::Key;

/// Records taken together. Dropping it without acknowledging leaves them reserved, see [`Delivery::recover`].
pub struct Batch {
    fetched: Fetched,
    kind: BatchKind,
    statuses: Mutex<Vec<RecordStatus>>,
    /// Where it stands in the ledger; an empty batch is not in it.
    key: Option<Key>,
    delivery: Arc<Delivery>,
}

/// What kind of batch it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BatchKind {
    /// The queue probably holds more.
    pub(super) full: bool,
    /// Its records were marked as failed before.
    pub(super) failed: bool,
    /// Its reservation may hold more records than were read.
    pub(super) partial: bool,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordStatus {
    Open,
    Acknowledged,
    Failed,
}

impl Batch {
    pub(super) fn new(fetched: Fetched, kind: BatchKind, key: Option<Key>, delivery: Arc<Delivery>) -> Batch {
        let statuses = Mutex::new(vec![RecordStatus::Open; fetched.message_ids.len()]);
        Batch { fetched, kind, statuses, key, delivery }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.fetched.message_ids.len()
    }

    /// Whether there was nothing to take.
    pub fn is_empty(&self) -> bool {
        self.fetched.message_ids.is_empty()
    }

    /// Whether it holds as many records as were asked for, so that the queue probably holds more.
    pub fn is_full(&self) -> bool {
        self.kind.full
    }

    /// `{"process_id":…,"events":[…]}` as the portal sent it; [`read_records`] reads it. Moves the text out: it may be
    /// large, and the batch itself does not need it. A second call gives nothing.
    ///
    /// [`read_records`]: crate::portal::offline_events::read_records
    pub fn detach_json(&mut self) -> String {
        std::mem::take(&mut self.fetched.json)
    }

    /// The reservation, or `""` when the records were removed from the queue when they were handed out.
    pub fn process_id(&self) -> &str {
        self.fetched.process_id.as_deref().unwrap_or("")
    }

    /// Acknowledges every record that is not marked yet. Doing it again does nothing.
    pub fn acknowledge(&self) -> Result<()> {
        let mut statuses = lock(&self.statuses);
        let open = self.ids_with_status(&statuses, RecordStatus::Open);
        if open.is_empty() {
            return Ok(());
        }
        if let Some(process_id) = self.reservation() {
            // All of a reservation at once, unless something has to stay in it.
            match open.len() == statuses.len() && !self.kind.partial {
                true => self.delivery.acknowledge_reservation(process_id, self.kind.full && !self.kind.failed)?,
                false => self.delivery.portal.clear(process_id, Some(&open))?,
            }
        }
        self.delivery.ctx.stats.acknowledged.add(open.len() as u64);
        for status in statuses.iter_mut().filter(|status| **status == RecordStatus::Open) {
            *status = RecordStatus::Acknowledged;
        }
        self.update_store(&statuses, &[])
    }

    /// Acknowledges these records. Those acknowledged before are passed over.
    pub fn acknowledge_records(&self, message_ids: &[&str]) -> Result<()> {
        let mut statuses = lock(&self.statuses);
        let selected = self.select(message_ids, &statuses, RecordStatus::Acknowledged)?;
        if let Some(process_id) = self.reservation().filter(|_| !selected.is_empty()) {
            self.delivery.portal.clear(process_id, Some(&self.ids(&selected)))?;
        }
        self.delivery.ctx.stats.acknowledged.add(selected.len() as u64);
        self.set_status(&mut statuses, &selected, RecordStatus::Acknowledged);
        self.update_store(&statuses, &self.ids(&selected))
    }

    /// Marks these records as failed: the portal keeps them, and hands them out only to who asks for failed ones.
    pub fn fail_records(&self, message_ids: &[&str]) -> Result<()> {
        let mut statuses = lock(&self.statuses);
        let selected = self.select(message_ids, &statuses, RecordStatus::Failed)?;
        if selected.is_empty() {
            return Ok(());
        }
        let Some(process_id) = self.reservation() else {
            return Err(Error::State(
                "these records were removed from the portal's queue when they were handed out, so they cannot be marked as failed there; \
                 keep them yourself, or use a plan that allows to reserve records (fetch.reserve)"
                    .into(),
            ));
        };
        // The portal takes the mark once. Records that have it already stay reserved, and due for who asks again.
        if !self.kind.failed {
            self.delivery.portal.mark_failed(process_id, &self.ids(&selected))?;
        }
        self.delivery.ctx.stats.failed.add(selected.len() as u64);
        self.set_status(&mut statuses, &selected, RecordStatus::Failed);
        self.update_store(&statuses, &[])
    }

    /// The host has not got it: its open records are to be handed out again before anything new.
    pub fn redeliver(self) {
        if let Some(key) = self.key {
            let delivery = self.delivery.clone();
            drop(self);
            delivery.store.redeliver(key);
        }
    }

    /// Whether every record is acknowledged or marked as failed.
    pub fn is_complete(&self) -> bool {
        lock(&self.statuses).iter().all(|status| *status != RecordStatus::Open)
    }

    fn reservation(&self) -> Option<&str> {
        self.fetched.process_id.as_deref()
    }

    /// Tells the store which records are done with.
    fn update_store(&self, statuses: &[RecordStatus], message_ids: &[&str]) -> Result<()> {
        let Some(key) = self.key else { return Ok(()) };
        let stays = |status: &RecordStatus| {
            *status == RecordStatus::Open || (self.kind.failed && *status == RecordStatus::Failed)
        };
        self.delivery.store.complete(key, message_ids, !self.kind.partial && !statuses.iter().any(stays))
    }

    fn ids_with_status(&self, statuses: &[RecordStatus], wanted: RecordStatus) -> Vec<&str> {
        let pairs = self.fetched.message_ids.iter().zip(statuses);
        pairs.filter(|(_, status)| **status == wanted).map(|(id, _)| id.as_str()).collect()
    }

    /// Places of the named records which do not have the mark yet. An acknowledged record cannot become another thing.
    fn select(&self, message_ids: &[&str], statuses: &[RecordStatus], wanted: RecordStatus) -> Result<Vec<usize>> {
        let mut selected = Vec::with_capacity(message_ids.len());
        for id in message_ids {
            let index = self.fetched.message_ids.iter().position(|known| known == id);
            let Some((index, status)) = index.and_then(|index| statuses.get(index).map(|status| (index, *status)))
            else {
                let text = "a message_id is not one of this batch; pass MESSAGE_ID of its records (32 characters each)";
                return Err(Error::InvalidArgument(text.into()));
            };
            match status {
                RecordStatus::Acknowledged if wanted == RecordStatus::Failed => {
                    let text = "a record was acknowledged already and cannot be marked as failed";
                    return Err(Error::InvalidArgument(text.into()));
                }
                status if status == wanted || selected.contains(&index) => {}
                _ => selected.push(index),
            }
        }
        Ok(selected)
    }

    fn ids(&self, indexes: &[usize]) -> Vec<&str> {
        indexes.iter().filter_map(|index| self.fetched.message_ids.get(*index)).map(String::as_str).collect()
    }

    fn set_status(&self, statuses: &mut [RecordStatus], indexes: &[usize], value: RecordStatus) {
        for index in indexes {
            if let Some(status) = statuses.get_mut(*index) {
                *status = value;
            }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        // Of a reservation that was read in part the rest is to come next.
        match self.kind.partial && self.is_complete() {
            true => self.delivery.store.redeliver(key),
            false => self.delivery.store.abandon(key),
        }
    }
}
