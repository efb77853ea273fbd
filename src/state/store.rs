//! What has been taken and is not acknowledged yet, and the tokens: everything that must survive the process.
//!
//! The ledger is kept in `state.dir` when that is set; else the host carries it (`b24_client_state`, 1C: `State`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::lock;
use crate::secret::Secret;
use crate::state::private_file::{FileLock, PrivateFile};
use crate::state::stored_tokens::StoredTokens;
use crate::state::tokens::TokenPair;

/// Records taken together, as the ledger knows them.
#[derive(Clone, Debug)]
pub enum PendingBatch {
    /// They hang in the portal under this `process_id`.
    Reserved(String),
    /// The same for records that were marked as failed before: only who asks for failed ones gets them.
    ReservedFailed(String),
    /// The portal has deleted them: `MESSAGE_ID` and JSON of each, this is the only copy.
    Removed(Vec<(String, Box<RawValue>)>),
}

/// A reservation that `event.offline.list` shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reservation {
    /// Its name.
    pub process_id: String,
    /// Whether its records were marked as failed before they were reserved.
    pub failed: bool,
}

/// Names a taking in the ledger.
pub type Key = u64;

/// Where a taking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The host has it as a batch.
    InFlight,
    /// The host has dropped it without acknowledging.
    Abandoned,
    /// It is to be handed out before anything new.
    Redeliver,
}

/// See the module.
pub struct Store {
    contents: Mutex<Contents>,
    backing: Mutex<Backing>,
    /// The access token that the host configured: tells whether a kept pair descends from it.
    configured: Secret,
    connector_id: String,
}

/// Where the ledger is kept.
enum Backing {
    /// With the host.
    Host,
    /// In a file, which is locked for us.
    File {
        file: PrivateFile,
        /// Let go by dropping it.
        _lock: FileLock,
    },
    /// It was in a file, and the client has ended: its successor may have the file already.
    Released,
}

#[derive(Default)]
struct Contents {
    next_key: Key,
    batches: BTreeMap<Key, (PendingBatch, Stage)>,
    /// Reservations of others: when each was seen first, seconds since 1970.
    seen: BTreeMap<String, u64>,
    tokens: Option<TokenPair>,
    /// What proves calls of the handler, if an installation has set it.
    application_token: Option<Secret>,
}

impl Contents {
    fn insert(&mut self, batch: PendingBatch, stage: Stage) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        self.batches.insert(key, (batch, stage));
        key
    }

    fn holds(&self, process_id: &str) -> bool {
        let mut ids = self.batches.values().filter_map(|(batch, _)| match batch {
            PendingBatch::Reserved(id) | PendingBatch::ReservedFailed(id) => Some(id),
            PendingBatch::Removed(_) => None,
        });
        ids.any(|id| id == process_id)
    }
}

/// The ledger as JSON. It holds tokens.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct StoredState {
    version: u32,
    connector_id: String,
    tokens: Option<StoredTokens>,
    #[serde(skip_serializing_if = "String::is_empty")]
    application_token: String,
    reservations: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed_reservations: Vec<String>,
    removed: Vec<Vec<Box<RawValue>>>,
    seen: BTreeMap<String, u64>,
}

/// Version of the JSON. A newer one is refused: it may hold what this version would lose.
const VERSION: u32 = 1;

impl Store {
    /// An empty ledger, or what is kept in `folder`, which is locked for this ledger.
    pub fn new(folder: Option<&Path>, configured: Secret, connector_id: &str) -> Result<Store> {
        let backing = folder.map(open_locked).transpose()?.unwrap_or(Backing::Host);
        let stored = match &backing {
            Backing::File { file, .. } => file.read()?,
            _ => None,
        };
        let backing = Mutex::new(backing);
        let store = Store { contents: Mutex::default(), backing, configured, connector_id: connector_id.to_owned() };
        if let Some(stored) = stored {
            store.load(&stored)?;
        }
        Ok(store)
    }

    /// Takes in what [`Store::to_json`] gave elsewhere: its takings are handed out before anything new. Returns its
    /// tokens if they are to be used: not when the host has been authorized anew since.
    pub fn restore(&self, json: &str) -> Result<Option<TokenPair>> {
        self.load(json)?;
        self.write(&lock(&self.contents))?;
        Ok(self.tokens())
    }

    /// The tokens of the ledger that descend from the configured ones.
    pub fn tokens(&self) -> Option<TokenPair> {
        lock(&self.contents).tokens.clone()
    }

    /// Everything as JSON. `in_use`: the tokens when none were kept yet. A pair that was kept is never older: it is kept
    /// before it is used.
    pub fn to_json(&self, in_use: &TokenPair) -> String {
        let contents = lock(&self.contents);
        self.json(&contents, contents.tokens.as_ref().or(Some(in_use)))
    }

    /// Keeps a new pair of tokens. Called before it is used.
    pub fn set_tokens(&self, pair: &TokenPair) -> Result<()> {
        let mut contents = lock(&self.contents);
        contents.tokens = Some(pair.clone());
        self.write(&contents)
    }

    /// The `application_token` that an installation has set.
    pub fn application_token(&self) -> Option<Secret> {
        lock(&self.contents).application_token.clone()
    }

    /// Keeps the `application_token` of an installation.
    pub fn set_application_token(&self, token: &Secret) -> Result<()> {
        let mut contents = lock(&self.contents);
        contents.application_token = Some(token.clone());
        self.write(&contents)
    }

    /// The application was uninstalled: its tokens are dead, and the next installation brings others.
    pub fn forget_application(&self) -> Result<()> {
        let mut contents = lock(&self.contents);
        contents.tokens = None;
        contents.application_token = None;
        self.write(&contents)
    }

    /// Makes sure that up to `records` more can be kept. Called before anything is taken.
    pub fn reserve_space(&self, records: u32) -> Result<()> {
        let json = {
            let contents = lock(&self.contents);
            self.json(&contents, contents.tokens.as_ref())
        };
        match &*lock(&self.backing) {
            Backing::Host => Ok(()),
            Backing::File { file, .. } => file.reserve_space(json.len() as u64 + u64::from(records) * ROOM_PER_RECORD),
            Backing::Released => Err(Error::Closed),
        }
    }

    /// The client has ended: from now on nothing changes any more, and the file is free for its successor.
    pub fn release(&self) {
        let mut backing = lock(&self.backing);
        if matches!(*backing, Backing::File { .. }) {
            *backing = Backing::Released;
        }
    }

    /// Enters a taking that the host is about to get. A failure is told, but the taking is in the ledger all the same.
    pub fn add_in_flight(&self, batch: PendingBatch) -> (Key, Result<()>) {
        self.insert(batch, Stage::InFlight)
    }

    /// The same for a taking that is to be handed out before anything new.
    pub fn add_for_redelivery(&self, batch: PendingBatch) -> (Key, Result<()>) {
        self.insert(batch, Stage::Redeliver)
    }

    /// The next taking after `after` that is to be handed out before anything new, of `failed` records or of others; it
    /// counts as held from now on.
    pub fn next_for_redelivery(&self, after: Option<Key>, failed: bool) -> Option<(Key, PendingBatch)> {
        let mut contents = lock(&self.contents);
        let from = after.map_or(0, |key| key + 1);
        let (key, (batch, stage)) = contents.batches.range_mut(from..).find(|(_, (batch, stage))| {
            *stage == Stage::Redeliver && failed == matches!(batch, PendingBatch::ReservedFailed(_))
        })?;
        *stage = Stage::InFlight;
        Some((*key, batch.clone()))
    }

    /// The taking could not be handed out: it stays due.
    pub fn redeliver(&self, key: Key) {
        self.stage(key, Stage::Redeliver);
    }

    /// The host has dropped its batch. Failed records, which it has asked for, are there for it to ask again.
    pub fn abandon(&self, key: Key) {
        if let Some((batch, stage)) = lock(&self.contents).batches.get_mut(&key) {
            *stage = if matches!(batch, PendingBatch::ReservedFailed(_)) { Stage::Redeliver } else { Stage::Abandoned };
        }
    }

    /// Takings that the host has dropped become due. Returns how many.
    pub fn redeliver_abandoned(&self) -> usize {
        let mut contents = lock(&self.contents);
        let dropped = contents.batches.values_mut().filter(|(_, stage)| *stage == Stage::Abandoned);
        dropped.map(|(_, stage)| *stage = Stage::Redeliver).count()
    }

    /// Compares the reservations that the portal knows with the ledger. Those that nobody here knows are orphans: an
    /// answer was lost, or another consumer is at work. They become due when they have been seen for `age` seconds.
    /// Returns how many did.
    pub fn adopt_orphans(&self, in_portal: BTreeSet<Reservation>, now: u64, age: u64) -> Result<usize> {
        let mut contents = lock(&self.contents);
        let strange: BTreeSet<Reservation> =
            in_portal.into_iter().filter(|reservation| !contents.holds(&reservation.process_id)).collect();
        contents.seen.retain(|id, _| strange.iter().any(|reservation| reservation.process_id == *id));
        let mut adopted = 0;
        for Reservation { process_id, failed } in strange {
            let since = *contents.seen.entry(process_id.clone()).or_insert(now);
            if now.saturating_sub(since) >= age {
                contents.seen.remove(&process_id);
                contents.insert(
                    if failed { PendingBatch::ReservedFailed(process_id) } else { PendingBatch::Reserved(process_id) },
                    Stage::Redeliver,
                );
                adopted += 1;
            }
        }
        self.write(&contents)?;
        Ok(adopted)
    }

    /// The records with these `MESSAGE_ID`s are done with. `all`: nothing of the taking is left.
    pub fn complete(&self, key: Key, message_ids: &[&str], all: bool) -> Result<()> {
        let mut contents = lock(&self.contents);
        let changed = match contents.batches.get_mut(&key) {
            Some(_) if all => contents.batches.remove(&key).is_some(),
            Some((PendingBatch::Removed(records), _)) => {
                records.retain(|(id, _)| !message_ids.contains(&id.as_str()));
                true
            }
            _ => false,
        };
        if changed { self.write(&contents) } else { Ok(()) }
    }

    fn insert(&self, batch: PendingBatch, stage: Stage) -> (Key, Result<()>) {
        let mut contents = lock(&self.contents);
        let key = contents.insert(batch, stage);
        (key, self.write(&contents))
    }

    fn stage(&self, key: Key, to: Stage) {
        if let Some((_, stage)) = lock(&self.contents).batches.get_mut(&key) {
            *stage = to;
        }
    }

    fn write(&self, contents: &Contents) -> Result<()> {
        match &*lock(&self.backing) {
            Backing::Host => Ok(()),
            Backing::File { file, .. } => file.write(self.json(contents, contents.tokens.as_ref()).as_bytes()),
            Backing::Released => Err(Error::Closed),
        }
    }

    fn json(&self, contents: &Contents, tokens: Option<&TokenPair>) -> String {
        let tokens = tokens.map(|pair| StoredTokens::new(pair, [self.configured.expose().to_owned()]));
        let mut written = StoredState {
            version: VERSION,
            connector_id: self.connector_id.clone(),
            tokens,
            application_token: contents.application_token.as_ref().map_or("", Secret::expose).to_owned(),
            seen: contents.seen.clone(),
            ..StoredState::default()
        };
        for (batch, _) in contents.batches.values() {
            match batch {
                PendingBatch::Reserved(process_id) => written.reservations.push(process_id.clone()),
                PendingBatch::ReservedFailed(process_id) => written.failed_reservations.push(process_id.clone()),
                PendingBatch::Removed(records) => {
                    written.removed.push(records.iter().map(|(_, json)| json.clone()).collect())
                }
            }
        }
        // Texts, numbers and JSON that was read as such: nothing in it can fail to be written.
        serde_json::to_string(&written).unwrap_or_default()
    }

    fn load(&self, json: &str) -> Result<()> {
        // serde's text could quote a token.
        let written: StoredState = serde_json::from_str(json).map_err(|_| {
            Error::State("the state cannot be read: it is not what b24_client_state or state.dir gave out".into())
        })?;
        if written.version != VERSION {
            let text = format!(
                "the state has version {}, this library reads version {VERSION}; use the library that wrote it, or a newer one",
                written.version
            );
            return Err(Error::State(text));
        }
        let holds_records =
            !written.reservations.is_empty() || !written.failed_reservations.is_empty() || !written.removed.is_empty();
        if holds_records && written.connector_id != self.connector_id {
            let text = format!(
                "the state holds records of connector.id {:?}, this client has {:?}; use it with the client that it belongs to",
                written.connector_id, self.connector_id
            );
            return Err(Error::State(text));
        }
        let mut contents = lock(&self.contents);
        let reserved = written.reservations.into_iter().filter(|id| !contents.holds(id)).map(PendingBatch::Reserved);
        let mut batches: Vec<PendingBatch> = reserved.collect();
        let failed = written.failed_reservations.into_iter().filter(|id| !contents.holds(id));
        batches.extend(failed.map(PendingBatch::ReservedFailed));
        batches.extend(
            written.removed.into_iter().map(|records| {
                PendingBatch::Removed(records.into_iter().map(|json| (message_id(&json), json)).collect())
            }),
        );
        for batch in batches {
            contents.insert(batch, Stage::Redeliver);
        }
        contents.seen = written.seen;
        contents.tokens = written.tokens.and_then(|tokens| tokens.descended_from(&self.configured));
        if !written.application_token.is_empty() {
            contents.application_token = Some(Secret::new(written.application_token));
        }
        Ok(())
    }
}

fn open_locked(folder: &Path) -> Result<Backing> {
    let file = PrivateFile::new(folder.join("b24events-state.json"))?;
    match file.try_lock()? {
        Some(locked) => Ok(Backing::File { file, _lock: locked }),
        None => Err(Error::State(format!(
            "state.dir {} is in use by another client; each process and each client needs a folder of its own",
            folder.display()
        ))),
    }
}

/// What a record takes in the state file at most, about. A longer one is kept too, only without the promise.
const ROOM_PER_RECORD: u64 = 2048;

/// `MESSAGE_ID` of a record's JSON, or `""`.
fn message_id(json: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Record {
        #[serde(rename = "MESSAGE_ID", default)]
        message_id: String,
    }
    serde_json::from_str::<Record>(json.get()).map(|record| record.message_id).unwrap_or_default()
}

#[cfg(test)]
mod tests;
