//! Batches that are fetched and not acknowledged yet. Pure: no disk, no portal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::strangers::{Found, Moment, Reservation, ReservationList, StoredStrangers, Strangers};
use crate::config::OrphanAges;

/// Records that were fetched together.
#[derive(Clone, Debug)]
pub enum PendingBatch {
    /// The portal holds them under this `process_id`.
    Reserved(String),
    /// Likewise, for records that had been marked as failed: they are redelivered to fetches of failed records only.
    ReservedFailed(String),
    /// The portal has deleted them: `MESSAGE_ID` and JSON of each. This is the only copy.
    Removed(Vec<(String, Box<RawValue>)>),
}

impl PendingBatch {
    fn process_id(&self) -> Option<&str> {
        match self {
            PendingBatch::Reserved(process_id) | PendingBatch::ReservedFailed(process_id) => Some(process_id),
            PendingBatch::Removed(_) => None,
        }
    }
}

/// Names a pending batch.
pub type Key = u64;

/// Where a pending batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The host has it.
    InFlight,
    /// The host has freed it without acknowledging it: it is redelivered from this moment on.
    Abandoned(Instant),
    /// It is handed out before anything new.
    Redeliver,
}

impl Stage {
    fn is_for_redelivery(self, now: Instant) -> bool {
        match self {
            Stage::InFlight => false,
            Stage::Abandoned(at) => at <= now,
            Stage::Redeliver => true,
        }
    }
}

type Batches = BTreeMap<Key, (PendingBatch, Stage)>;

fn holds(batches: &Batches, process_id: &str) -> bool {
    batches.values().any(|(batch, _)| batch.process_id() == Some(process_id))
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct PendingBatches {
    next_key: Key,
    batches: Batches,
    strangers: Strangers,
    /// Our reservations that were completed since a search has begun: what the portal tells may be older, and they are no
    /// strangers. `None`: there is no search.
    completed: Option<BTreeSet<String>>,
}

impl PendingBatches {
    pub(super) fn begin_search(&mut self) {
        self.completed.get_or_insert_default();
    }

    pub(super) fn insert(&mut self, batch: PendingBatch, stage: Stage) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        if let Some(process_id) = batch.process_id() {
            self.strangers.forget(process_id);
        }
        self.batches.insert(key, (batch, stage));
        key
    }

    /// Takes over a batch from another state, to be redelivered. What is here already is not taken again.
    pub(super) fn restore(&mut self, batch: PendingBatch) {
        let new = match batch {
            PendingBatch::Removed(records) => {
                let new: Vec<_> = records.into_iter().filter(|record| !self.holds_record(record)).collect();
                (!new.is_empty()).then_some(PendingBatch::Removed(new))
            }
            PendingBatch::Reserved(ref id) | PendingBatch::ReservedFailed(ref id) => {
                (!holds(&self.batches, id)).then_some(batch)
            }
        };
        if let Some(batch) = new {
            self.insert(batch, Stage::Redeliver);
        }
    }

    /// Takes over what another state tells of reservations that nobody here knows.
    pub(super) fn restore_strangers(&mut self, stored: StoredStrangers) {
        let batches = &self.batches;
        self.strangers.restore(stored, |process_id| holds(batches, process_id));
    }

    pub(super) fn strangers(&self) -> StoredStrangers {
        self.strangers.stored()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PendingBatch> {
        self.batches.values().map(|(batch, _)| batch)
    }

    /// The next batch after `after` to hand out before anything new, of `failed` records or of others. It counts as in
    /// flight from now on.
    pub(super) fn next_for_redelivery(
        &mut self,
        after: Option<Key>,
        failed: bool,
        now: Instant,
    ) -> Option<(Key, PendingBatch)> {
        let from = after.map_or(0, |key| key + 1);
        let (key, (batch, stage)) = self.batches.range_mut(from..).find(|(_, (batch, stage))| {
            stage.is_for_redelivery(now) && failed == matches!(batch, PendingBatch::ReservedFailed(_))
        })?;
        *stage = Stage::InFlight;
        Some((*key, batch.clone()))
    }

    pub(super) fn set_stage(&mut self, key: Key, to: Stage) {
        if let Some((_, stage)) = self.batches.get_mut(&key) {
            *stage = to;
        }
    }

    /// The host has freed its batch, which comes again from `at` on. Failed records, which it asked for, are there for it
    /// to ask again.
    pub(super) fn abandon(&mut self, key: Key, at: Instant) {
        if let Some((batch, stage)) = self.batches.get_mut(&key) {
            let is_failed = matches!(batch, PendingBatch::ReservedFailed(_));
            *stage = if is_failed { Stage::Redeliver } else { Stage::Abandoned(at) };
        }
    }

    /// Abandoned batches are redelivered. Returns how many.
    pub(super) fn redeliver_abandoned(&mut self) -> usize {
        let abandoned = self.batches.values_mut().filter(|(_, stage)| matches!(stage, Stage::Abandoned(_)));
        abandoned.map(|(_, stage)| *stage = Stage::Redeliver).count()
    }

    /// When the first of the abandoned batches comes again.
    pub(super) fn next_redelivery(&self) -> Option<Instant> {
        let times = self.batches.values().filter_map(|(_, stage)| match stage {
            Stage::Abandoned(at) => Some(*at),
            Stage::InFlight | Stage::Redeliver => None,
        });
        times.min()
    }

    /// Compares the reservations that the portal knows with ours. Those that nobody here knows are taken over when they are
    /// old enough. Returns how many were, and when the next one is.
    pub(super) fn adopt_orphans(
        &mut self,
        list: ReservationList,
        ages: OrphanAges,
        moment: Moment,
        random: impl FnMut() -> u64,
    ) -> (usize, Option<Duration>) {
        let completed = self.completed.take().unwrap_or_default();
        let batches = &self.batches;
        let is_ours = |process_id: &str| holds(batches, process_id) || completed.contains(process_id);
        let Found { orphans, next } = self.strangers.look(list, is_ours, ages, moment, random);
        let adopted = orphans.len();
        for Reservation { process_id, failed, .. } in orphans {
            let reserved = if failed { PendingBatch::ReservedFailed } else { PendingBatch::Reserved };
            self.insert(reserved(process_id), Stage::Redeliver);
        }
        (adopted, next)
    }

    /// The records with these `MESSAGE_ID`s are done with. `all`: nothing of the batch is left. Returns whether anything
    /// has changed that has to be stored.
    pub(super) fn complete(&mut self, key: Key, message_ids: &[&str], all: bool) -> bool {
        match self.batches.get_mut(&key) {
            Some((batch, _)) if all => {
                if let (Some(completed), Some(process_id)) = (&mut self.completed, batch.process_id()) {
                    completed.insert(process_id.to_owned());
                }
                self.batches.remove(&key).is_some()
            }
            Some((PendingBatch::Removed(records), _)) => {
                records.retain(|(id, _)| !message_ids.contains(&id.as_str()));
                true
            }
            _ => false,
        }
    }

    fn holds_record(&self, record: &(String, Box<RawValue>)) -> bool {
        let same = |(id, json): &(String, Box<RawValue>)| match id.as_str() {
            "" => json.get() == record.1.get(),
            id => id == record.0,
        };
        self.iter().any(|batch| matches!(batch, PendingBatch::Removed(records) if records.iter().any(same)))
    }
}

/// A removed record with its `MESSAGE_ID`, which is empty when it has none.
pub(super) fn with_message_id(json: Box<RawValue>) -> (String, Box<RawValue>) {
    #[derive(Deserialize)]
    struct Record {
        #[serde(rename = "MESSAGE_ID", default)]
        message_id: String,
    }
    let message_id = serde_json::from_str::<Record>(json.get()).map(|record| record.message_id);
    (message_id.unwrap_or_default(), json)
}
