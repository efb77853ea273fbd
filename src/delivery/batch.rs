//! A batch: the records of one fetch, and what the host says of them.

use std::sync::{Arc, Mutex};

use super::Delivery;
use super::ledger::Key;
use crate::error::{Error, Result};
use crate::lock;
use crate::portal::offline_events::Taken;

/// Records taken together. Dropping it without acknowledging leaves them reserved, see [`Delivery::recover`].
pub struct Batch {
    taken: Taken,
    nature: Nature,
    marks: Mutex<Vec<Mark>>,
    /// Where it stands in the ledger; an empty batch is not in it.
    key: Option<Key>,
    delivery: Arc<Delivery>,
}

/// What kind of batch it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nature {
    /// The queue probably holds more.
    pub(super) full: bool,
    /// Its records were marked as failed before.
    pub(super) failed: bool,
    /// Its reservation may hold more records than were read.
    pub(super) partial: bool,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Open,
    Acknowledged,
    Failed,
}

impl Batch {
    pub(super) fn new(taken: Taken, nature: Nature, key: Option<Key>, delivery: Arc<Delivery>) -> Batch {
        let marks = Mutex::new(vec![Mark::Open; taken.message_ids.len()]);
        Batch { taken, nature, marks, key, delivery }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.taken.message_ids.len()
    }

    /// Whether there was nothing to take.
    pub fn is_empty(&self) -> bool {
        self.taken.message_ids.is_empty()
    }

    /// Whether it holds as many records as were asked for, so that the queue probably holds more.
    pub fn is_full(&self) -> bool {
        self.nature.full
    }

    /// `{"process_id":…,"events":[…]}` as the portal sent it; [`read_records`] reads it. Moves the text out: it may be
    /// large, and the batch itself does not need it. A second call gives nothing.
    ///
    /// [`read_records`]: crate::portal::offline_events::read_records
    pub fn take_json(&mut self) -> String {
        std::mem::take(&mut self.taken.json)
    }

    /// The reservation, or `""` when the records were removed from the queue when they were handed out.
    pub fn process_id(&self) -> &str {
        self.taken.process_id.as_deref().unwrap_or("")
    }

    /// Acknowledges every record that is not marked yet. Doing it again does nothing.
    pub fn acknowledge(&self) -> Result<()> {
        let mut marks = lock(&self.marks);
        let open = self.with_mark(&marks, Mark::Open);
        if open.is_empty() {
            return Ok(());
        }
        if let Some(process_id) = self.reservation() {
            // All of a reservation at once, unless something has to stay in it.
            match open.len() == marks.len() && !self.nature.partial {
                true => self.delivery.confirm(process_id, self.nature.full && !self.nature.failed)?,
                false => self.delivery.portal.clear(process_id, Some(&open))?,
            }
        }
        self.delivery.around.stats.acknowledged.add(open.len() as u64);
        for mark in marks.iter_mut().filter(|mark| **mark == Mark::Open) {
            *mark = Mark::Acknowledged;
        }
        self.settle(&marks, &[])
    }

    /// Acknowledges these records. Those acknowledged before are passed over.
    pub fn acknowledge_records(&self, message_ids: &[&str]) -> Result<()> {
        let mut marks = lock(&self.marks);
        let chosen = self.choose(message_ids, &marks, Mark::Acknowledged)?;
        if let Some(process_id) = self.reservation().filter(|_| !chosen.is_empty()) {
            self.delivery.portal.clear(process_id, Some(&self.ids(&chosen)))?;
        }
        self.delivery.around.stats.acknowledged.add(chosen.len() as u64);
        self.set(&mut marks, &chosen, Mark::Acknowledged);
        self.settle(&marks, &self.ids(&chosen))
    }

    /// Marks these records as failed: the portal keeps them, and hands them out only to who asks for failed ones.
    pub fn fail_records(&self, message_ids: &[&str]) -> Result<()> {
        let mut marks = lock(&self.marks);
        let chosen = self.choose(message_ids, &marks, Mark::Failed)?;
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
        if !self.nature.failed {
            self.delivery.portal.mark_failed(process_id, &self.ids(&chosen))?;
        }
        self.delivery.around.stats.failed.add(chosen.len() as u64);
        self.set(&mut marks, &chosen, Mark::Failed);
        self.settle(&marks, &[])
    }

    /// The host has not got it: its open records are to be handed out again before anything new.
    pub fn give_back(self) {
        if let Some(key) = self.key {
            let delivery = self.delivery.clone();
            drop(self);
            delivery.ledger.still_due(key);
        }
    }

    /// Whether every record is acknowledged or marked as failed.
    pub fn is_settled(&self) -> bool {
        lock(&self.marks).iter().all(|mark| *mark != Mark::Open)
    }

    fn reservation(&self) -> Option<&str> {
        self.taken.process_id.as_deref()
    }

    /// Tells the ledger which records are done with.
    fn settle(&self, marks: &[Mark], message_ids: &[&str]) -> Result<()> {
        let Some(key) = self.key else { return Ok(()) };
        let stays = |mark: &Mark| *mark == Mark::Open || (self.nature.failed && *mark == Mark::Failed);
        self.delivery.ledger.settle(key, message_ids, !self.nature.partial && !marks.iter().any(stays))
    }

    fn with_mark(&self, marks: &[Mark], wanted: Mark) -> Vec<&str> {
        let pairs = self.taken.message_ids.iter().zip(marks);
        pairs.filter(|(_, mark)| **mark == wanted).map(|(id, _)| id.as_str()).collect()
    }

    /// Places of the named records which do not have the mark yet. An acknowledged record cannot become another thing.
    fn choose(&self, message_ids: &[&str], marks: &[Mark], wanted: Mark) -> Result<Vec<usize>> {
        let mut chosen = Vec::with_capacity(message_ids.len());
        for id in message_ids {
            let place = self.taken.message_ids.iter().position(|known| known == id);
            let Some((place, mark)) = place.and_then(|place| marks.get(place).map(|mark| (place, *mark))) else {
                let text = "a message_id is not one of this batch; pass MESSAGE_ID of its records (32 characters each)";
                return Err(Error::InvalidArgument(text.into()));
            };
            match mark {
                Mark::Acknowledged if wanted == Mark::Failed => {
                    let text = "a record was acknowledged already and cannot be marked as failed";
                    return Err(Error::InvalidArgument(text.into()));
                }
                mark if mark == wanted || chosen.contains(&place) => {}
                _ => chosen.push(place),
            }
        }
        Ok(chosen)
    }

    fn ids(&self, places: &[usize]) -> Vec<&str> {
        places.iter().filter_map(|place| self.taken.message_ids.get(*place)).map(String::as_str).collect()
    }

    fn set(&self, marks: &mut [Mark], places: &[usize], value: Mark) {
        for place in places {
            if let Some(mark) = marks.get_mut(*place) {
                *mark = value;
            }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        // Of a reservation that was read in part the rest is to come next.
        match self.nature.partial && self.is_settled() {
            true => self.delivery.ledger.still_due(key),
            false => self.delivery.ledger.dropped(key),
        }
    }
}
