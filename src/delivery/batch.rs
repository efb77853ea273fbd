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
    /// 1 when this client hands the records out for the first time.
    pub(super) attempt: u32,
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

    /// How many times this client has handed its records out, this time included; 0 when it is empty.
    pub fn attempt(&self) -> u32 {
        self.kind.attempt
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
        let open = self.with_status(&statuses, RecordStatus::Open);
        if open.is_empty() {
            return Ok(());
        }
        if let Some(process_id) = self.reservation() {
            // All of a reservation at once, unless something has to stay in it.
            match open.len() == statuses.len() && !self.kind.partial {
                true => self.delivery.confirm(process_id, self.kind.full && !self.kind.failed)?,
                false => self.delivery.portal.clear(process_id, Some(&open))?,
            }
        }
        self.delivery.ctx.stats.acknowledged.add(open.len() as u64);
        for status in statuses.iter_mut().filter(|status| **status == RecordStatus::Open) {
            *status = RecordStatus::Acknowledged;
        }
        self.complete(&statuses, &[])
    }

    /// Acknowledges these records. Those acknowledged before are passed over.
    pub fn acknowledge_records(&self, message_ids: &[&str]) -> Result<()> {
        let mut statuses = lock(&self.statuses);
        let chosen = self.choose(message_ids, &statuses, RecordStatus::Acknowledged)?;
        if let Some(process_id) = self.reservation().filter(|_| !chosen.is_empty()) {
            self.delivery.portal.clear(process_id, Some(&self.ids(&chosen)))?;
        }
        self.delivery.ctx.stats.acknowledged.add(chosen.len() as u64);
        self.set(&mut statuses, &chosen, RecordStatus::Acknowledged);
        self.complete(&statuses, &self.ids(&chosen))
    }

    /// Marks these records as failed: the portal keeps them, and hands them out only to who asks for failed ones.
    pub fn fail_records(&self, message_ids: &[&str]) -> Result<()> {
        let mut statuses = lock(&self.statuses);
        let chosen = self.choose(message_ids, &statuses, RecordStatus::Failed)?;
        if chosen.is_empty() {
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
            self.delivery.portal.mark_failed(process_id, &self.ids(&chosen))?;
        }
        self.delivery.ctx.stats.failed.add(chosen.len() as u64);
        self.set(&mut statuses, &chosen, RecordStatus::Failed);
        self.complete(&statuses, &[])
    }

    /// The host has not got it: its open records are to be handed out again before anything new.
    pub fn give_back(self) {
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

    /// Tells the ledger which records are done with.
    fn complete(&self, statuses: &[RecordStatus], message_ids: &[&str]) -> Result<()> {
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

    fn with_status(&self, statuses: &[RecordStatus], wanted: RecordStatus) -> Vec<&str> {
        let pairs = self.fetched.message_ids.iter().zip(statuses);
        pairs.filter(|(_, status)| **status == wanted).map(|(id, _)| id.as_str()).collect()
    }

    /// Places of the named records which do not have the mark yet. An acknowledged record cannot become another thing.
    fn choose(&self, message_ids: &[&str], statuses: &[RecordStatus], wanted: RecordStatus) -> Result<Vec<usize>> {
        let mut chosen = Vec::with_capacity(message_ids.len());
        for id in message_ids {
            let place = self.fetched.message_ids.iter().position(|known| known == id);
            let Some((place, status)) = place.and_then(|place| statuses.get(place).map(|status| (place, *status)))
            else {
                let text = "a message_id is not one of this batch; pass MESSAGE_ID of its records (32 characters each)";
                return Err(Error::InvalidArgument(text.into()));
            };
            match status {
                RecordStatus::Acknowledged if wanted == RecordStatus::Failed => {
                    let text = "a record was acknowledged already and cannot be marked as failed";
                    return Err(Error::InvalidArgument(text.into()));
                }
                status if status == wanted || chosen.contains(&place) => {}
                _ => chosen.push(place),
            }
        }
        Ok(chosen)
    }

    fn ids(&self, places: &[usize]) -> Vec<&str> {
        places.iter().filter_map(|place| self.fetched.message_ids.get(*place)).map(String::as_str).collect()
    }

    fn set(&self, statuses: &mut [RecordStatus], places: &[usize], value: RecordStatus) {
        for place in places {
            if let Some(status) = statuses.get_mut(*place) {
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
            true => {
                // The rest of the reservation was not handed out this time.
                self.delivery.set_attempts(key, self.kind.attempt.saturating_sub(1));
                self.delivery.store.redeliver(key);
            }
            false => self.delivery.store.abandon(key),
        }
    }
}
