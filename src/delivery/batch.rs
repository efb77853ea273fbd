//! A batch: the records of one fetch, and what the host did with each.

use std::sync::{Arc, Mutex};

use super::Delivery;
use crate::error::{Error, Result};
use crate::lock;
use crate::portal::offline_events::Fetched;
use crate::state::store::Key;

/// The records of one fetch. Dropping it without acknowledging abandons them: they come
/// again after a pause, see [`Delivery::fetch`].
pub struct Batch {
    fetched: Fetched,
    kind: BatchKind,
    statuses: Mutex<Vec<RecordStatus>>,
    /// Its key in the store; an empty batch is not there.
    key: Option<Key>,
    delivery: Arc<Delivery>,
}

/// How the records of a batch were fetched.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BatchKind {
    /// The queue probably holds more.
    pub(super) full: bool,
    /// Its records were marked as failed before.
    pub(super) failed: bool,
    /// Its reservation may hold more records than the batch.
    pub(super) partial: bool,
    /// 1 when this client hands the records out for the first time.
    pub(super) attempt: u32,
}

/// What the host did with a record.
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

    /// Whether there were no records to fetch.
    pub fn is_empty(&self) -> bool {
        self.fetched.message_ids.is_empty()
    }

    /// How many times this client has handed its records out, this time included; 0 when it is empty.
    pub fn attempt(&self) -> u32 {
        self.kind.attempt
    }

    /// Whether it holds as many records as were requested, so that the queue probably holds more.
    pub fn is_full(&self) -> bool {
        self.kind.full
    }

    /// `{"process_id":…,"events":[…]}` as the portal sent it; [`read_records`] parses it.
    ///
    /// [`read_records`]: crate::portal::offline_events::read_records
    pub fn json(&self) -> &str {
        &self.fetched.json
    }

    /// Moves the text of [`Batch::json`] out, because it may be large and the batch does not need it. A second call
    /// returns an empty text.
    pub fn detach_json(&mut self) -> String {
        std::mem::take(&mut self.fetched.json)
    }

    /// The reservation, or `""` if the portal deleted the records when they were fetched.
    pub fn process_id(&self) -> &str {
        self.fetched.process_id.as_deref().unwrap_or("")
    }

    /// The objects that the batch's records are about, see [`Portal::changed_objects`]. `records` is the text of
    /// [`Batch::json`].
    ///
    /// [`Portal::changed_objects`]: crate::portal::Portal::changed_objects
    pub fn objects(&self, records: &str) -> Result<String> {
        self.delivery.portal.changed_objects(records)
    }

    /// Acknowledges every record that is neither acknowledged nor marked as failed. Calling it again does nothing.
    pub fn acknowledge(&self) -> Result<()> {
        let mut statuses = lock(&self.statuses);
        let open = self.ids_with_status(&statuses, RecordStatus::Open);
        if open.is_empty() {
            return Ok(());
        }
        if let Some(process_id) = self.reservation() {
            // The whole reservation at once, unless some of its records have to stay.
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

    /// Acknowledges these records. Skips those that are acknowledged already.
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

    /// Marks these records as failed. The portal keeps them, and returns them only to [`Delivery::fetch_failed`].
    pub fn fail_records(&self, message_ids: &[&str]) -> Result<()> {
        let mut statuses = lock(&self.statuses);
        let selected = self.select(message_ids, &statuses, RecordStatus::Failed)?;
        if selected.is_empty() {
            return Ok(());
        }
        let Some(process_id) = self.reservation() else {
            return Err(Error::State(
                "these records cannot be marked as failed: the portal deleted them when they were fetched; \
                 store them yourself, or use a plan that allows to reserve records (fetch.reserve)"
                    .into(),
            ));
        };
        // The portal marks a record only once. Records that were failed before just stay reserved.
        if !self.kind.failed {
            self.delivery.portal.mark_failed(process_id, &self.ids(&selected))?;
        }
        self.delivery.ctx.stats.failed.add(selected.len() as u64);
        self.set_status(&mut statuses, &selected, RecordStatus::Failed);
        self.update_store(&statuses, &[])
    }

    /// Makes the open records due for redelivery, because the host did not get the batch.
    pub fn redeliver(self) {
        if let Some(key) = self.key {
            let (delivery, attempt) = (self.delivery.clone(), self.kind.attempt);
            drop(self);
            delivery.set_attempts(key, attempt.saturating_sub(1));
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

    /// Tells the store which records are completed.
    fn update_store(&self, statuses: &[RecordStatus], message_ids: &[&str]) -> Result<()> {
        let Some(key) = self.key else { return Ok(()) };
        let stays = |status: &RecordStatus| {
            *status == RecordStatus::Open || (self.kind.failed && *status == RecordStatus::Failed)
        };
        let all = !self.kind.partial && !statuses.iter().any(stays);
        if all {
            self.delivery.set_attempts(key, 0);
        }
        self.delivery.store.complete(key, message_ids, all)
    }

    fn ids_with_status(&self, statuses: &[RecordStatus], wanted: RecordStatus) -> Vec<&str> {
        let pairs = self.fetched.message_ids.iter().zip(statuses);
        pairs.filter(|(_, status)| **status == wanted).map(|(id, _)| id.as_str()).collect()
    }

    /// Indexes of the named records that do not have the status yet. Acknowledged records cannot be marked as failed.
    fn select(&self, message_ids: &[&str], statuses: &[RecordStatus], wanted: RecordStatus) -> Result<Vec<usize>> {
        let mut selected = Vec::with_capacity(message_ids.len());
        for id in message_ids {
            let index = self.fetched.message_ids.iter().position(|known| known == id);
            let Some((index, status)) = index.and_then(|index| statuses.get(index).map(|status| (index, *status)))
            else {
                let text =
                    "a message_id is unknown to this batch; pass the MESSAGE_ID of its records (32 characters each)";
                return Err(Error::InvalidArgument(text.into()));
            };
            match status {
                RecordStatus::Acknowledged if wanted == RecordStatus::Failed => {
                    let text = "a record is acknowledged already and can no longer be marked as failed";
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
        // The rest of a reservation that was read in part comes next.
        match self.kind.partial && self.is_complete() {
            true => {
                // The rest of the reservation was not handed out this time.
                self.delivery.set_attempts(key, self.kind.attempt.saturating_sub(1));
                self.delivery.store.redeliver(key);
            }
            false => self.delivery.abandon(key, self.kind.attempt),
        }
    }
}
