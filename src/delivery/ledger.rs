//! What has been taken and is not acknowledged yet, and the tokens: everything that must survive the process.
//!
//! The ledger is kept in `state.dir` when that is set; else the host carries it (`b24_client_state`, 1C: `State`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::kept_file::{FileLock, KeptFile};
use crate::lock;
use crate::portal::kept_tokens::KeptTokens;
use crate::portal::offline_events::Reservation;
use crate::portal::tokens::TokenPair;
use crate::secret::Secret;

/// Records taken together, as the ledger knows them.
#[derive(Clone, Debug)]
pub enum Taking {
    /// They hang in the portal under this `process_id`.
    Reserved(String),
    /// The same for records that were marked as failed before: only who asks for failed ones gets them.
    ReservedFailed(String),
    /// The portal has deleted them: `MESSAGE_ID` and JSON of each, this is the only copy.
    Removed(Vec<(String, Box<RawValue>)>),
}

/// Names a taking in the ledger.
pub type Key = u64;

/// Where a taking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The host has it as a batch.
    Held,
    /// The host has dropped it without acknowledging.
    Dropped,
    /// It is to be handed out before anything new.
    Due,
}

/// See the module.
pub struct Ledger {
    open: Mutex<Open>,
    home: Mutex<Home>,
    /// The access token that the host configured: tells whether a kept pair descends from it.
    configured: Secret,
    connector_id: String,
}

/// Where the ledger is kept.
enum Home {
    /// With the host.
    Host,
    /// In a file, which is locked for us.
    File {
        file: KeptFile,
        /// Let go by dropping it.
        _lock: FileLock,
    },
    /// It was in a file, and the client has ended: its successor may have the file already.
    GivenUp,
}

#[derive(Default)]
struct Open {
    next_key: Key,
    takings: BTreeMap<Key, (Taking, Place)>,
    /// Reservations of others: when each was seen first, seconds since 1970.
    seen: BTreeMap<String, u64>,
    tokens: Option<TokenPair>,
    /// What proves calls of the handler, if an installation has set it.
    application_token: Option<Secret>,
}

impl Open {
    fn insert(&mut self, taking: Taking, place: Place) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        self.takings.insert(key, (taking, place));
        key
    }

    fn holds(&self, process_id: &str) -> bool {
        let mut ids = self.takings.values().filter_map(|(taking, _)| match taking {
            Taking::Reserved(id) | Taking::ReservedFailed(id) => Some(id),
            Taking::Removed(_) => None,
        });
        ids.any(|id| id == process_id)
    }
}

/// The ledger as JSON. It holds tokens.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Written {
    version: u32,
    connector_id: String,
    tokens: Option<KeptTokens>,
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

impl Ledger {
    /// An empty ledger, or what is kept in `folder`, which is locked for this ledger.
    pub fn new(folder: Option<&Path>, configured: Secret, connector_id: &str) -> Result<Ledger> {
        let home = folder.map(open_locked).transpose()?.unwrap_or(Home::Host);
        let kept = match &home {
            Home::File { file, .. } => file.read()?,
            _ => None,
        };
        let home = Mutex::new(home);
        let ledger = Ledger { open: Mutex::default(), home, configured, connector_id: connector_id.to_owned() };
        if let Some(kept) = kept {
            ledger.load(&kept)?;
        }
        Ok(ledger)
    }

    /// Takes in what [`Ledger::to_json`] gave elsewhere: its takings are handed out before anything new. Returns its
    /// tokens if they are to be used: not when the host has been authorized anew since.
    pub fn restore(&self, json: &str) -> Result<Option<TokenPair>> {
        self.load(json)?;
        self.write(&lock(&self.open))?;
        Ok(self.tokens())
    }

    /// The tokens of the ledger that descend from the configured ones.
    pub fn tokens(&self) -> Option<TokenPair> {
        lock(&self.open).tokens.clone()
    }

    /// Everything as JSON. `in_use`: the tokens when none were kept yet. A pair that was kept is never older: it is kept
    /// before it is used.
    pub fn to_json(&self, in_use: &TokenPair) -> String {
        let open = lock(&self.open);
        self.json(&open, open.tokens.as_ref().or(Some(in_use)))
    }

    /// Keeps a new pair of tokens. Called before it is used.
    pub fn keep_tokens(&self, pair: &TokenPair) -> Result<()> {
        let mut open = lock(&self.open);
        open.tokens = Some(pair.clone());
        self.write(&open)
    }

    /// The `application_token` that an installation has set.
    pub fn application_token(&self) -> Option<Secret> {
        lock(&self.open).application_token.clone()
    }

    /// Keeps the `application_token` of an installation.
    pub fn keep_application_token(&self, token: &Secret) -> Result<()> {
        let mut open = lock(&self.open);
        open.application_token = Some(token.clone());
        self.write(&open)
    }

    /// The application was uninstalled: its tokens are dead, and the next installation brings others.
    pub fn forget_application(&self) -> Result<()> {
        let mut open = lock(&self.open);
        open.tokens = None;
        open.application_token = None;
        self.write(&open)
    }

    /// Makes sure that up to `records` more can be kept. Called before anything is taken.
    pub fn make_room(&self, records: u32) -> Result<()> {
        let json = {
            let open = lock(&self.open);
            self.json(&open, open.tokens.as_ref())
        };
        match &*lock(&self.home) {
            Home::Host => Ok(()),
            Home::File { file, .. } => file.make_room(json.len() as u64 + u64::from(records) * ROOM_PER_RECORD),
            Home::GivenUp => Err(Error::Closed),
        }
    }

    /// The client has ended: from now on nothing changes any more, and the file is free for its successor.
    pub fn give_up(&self) {
        let mut home = lock(&self.home);
        if matches!(*home, Home::File { .. }) {
            *home = Home::GivenUp;
        }
    }

    /// Enters a taking that the host is about to get. A failure is told, but the taking is in the ledger all the same.
    pub fn enter(&self, taking: Taking) -> (Key, Result<()>) {
        self.insert(taking, Place::Held)
    }

    /// The same for a taking that is to be handed out before anything new.
    pub fn enter_due(&self, taking: Taking) -> (Key, Result<()>) {
        self.insert(taking, Place::Due)
    }

    /// The next taking after `after` that is to be handed out before anything new, of `failed` records or of others; it
    /// counts as held from now on.
    pub fn next_due(&self, after: Option<Key>, failed: bool) -> Option<(Key, Taking)> {
        let mut open = lock(&self.open);
        let from = after.map_or(0, |key| key + 1);
        let (key, (taking, place)) = open.takings.range_mut(from..).find(|(_, (taking, place))| {
            *place == Place::Due && failed == matches!(taking, Taking::ReservedFailed(_))
        })?;
        *place = Place::Held;
        Some((*key, taking.clone()))
    }

    /// The taking could not be handed out: it stays due.
    pub fn still_due(&self, key: Key) {
        self.place(key, Place::Due);
    }

    /// The host has dropped its batch. Failed records, which it has asked for, are there for it to ask again.
    pub fn dropped(&self, key: Key) {
        if let Some((taking, place)) = lock(&self.open).takings.get_mut(&key) {
            *place = if matches!(taking, Taking::ReservedFailed(_)) { Place::Due } else { Place::Dropped };
        }
    }

    /// Takings that the host has dropped become due. Returns how many.
    pub fn recover(&self) -> usize {
        let mut open = lock(&self.open);
        let dropped = open.takings.values_mut().filter(|(_, place)| *place == Place::Dropped);
        dropped.map(|(_, place)| *place = Place::Due).count()
    }

    /// Compares the reservations that the portal knows with the ledger. Those that nobody here knows are orphans: an
    /// answer was lost, or another consumer is at work. They become due when they have been seen for `age` seconds.
    /// Returns how many did.
    pub fn adopt(&self, in_portal: BTreeSet<Reservation>, now: u64, age: u64) -> Result<usize> {
        let mut open = lock(&self.open);
        let strange: BTreeSet<Reservation> =
            in_portal.into_iter().filter(|reservation| !open.holds(&reservation.process_id)).collect();
        open.seen.retain(|id, _| strange.iter().any(|reservation| reservation.process_id == *id));
        let mut adopted = 0;
        for Reservation { process_id, failed } in strange {
            let since = *open.seen.entry(process_id.clone()).or_insert(now);
            if now.saturating_sub(since) >= age {
                open.seen.remove(&process_id);
                open.insert(
                    if failed { Taking::ReservedFailed(process_id) } else { Taking::Reserved(process_id) },
                    Place::Due,
                );
                adopted += 1;
            }
        }
        self.write(&open)?;
        Ok(adopted)
    }

    /// The records with these `MESSAGE_ID`s are done with. `all`: nothing of the taking is left.
    pub fn settle(&self, key: Key, message_ids: &[&str], all: bool) -> Result<()> {
        let mut open = lock(&self.open);
        let changed = match open.takings.get_mut(&key) {
            Some(_) if all => open.takings.remove(&key).is_some(),
            Some((Taking::Removed(records), _)) => {
                records.retain(|(id, _)| !message_ids.contains(&id.as_str()));
                true
            }
            _ => false,
        };
        if changed { self.write(&open) } else { Ok(()) }
    }

    fn insert(&self, taking: Taking, place: Place) -> (Key, Result<()>) {
        let mut open = lock(&self.open);
        let key = open.insert(taking, place);
        (key, self.write(&open))
    }

    fn place(&self, key: Key, to: Place) {
        if let Some((_, place)) = lock(&self.open).takings.get_mut(&key) {
            *place = to;
        }
    }

    fn write(&self, open: &Open) -> Result<()> {
        match &*lock(&self.home) {
            Home::Host => Ok(()),
            Home::File { file, .. } => file.write(self.json(open, open.tokens.as_ref()).as_bytes()),
            Home::GivenUp => Err(Error::Closed),
        }
    }

    fn json(&self, open: &Open, tokens: Option<&TokenPair>) -> String {
        let tokens = tokens.map(|pair| KeptTokens::new(pair, [self.configured.expose().to_owned()]));
        let mut written = Written {
            version: VERSION,
            connector_id: self.connector_id.clone(),
            tokens,
            application_token: open.application_token.as_ref().map_or("", Secret::expose).to_owned(),
            seen: open.seen.clone(),
            ..Written::default()
        };
        for (taking, _) in open.takings.values() {
            match taking {
                Taking::Reserved(process_id) => written.reservations.push(process_id.clone()),
                Taking::ReservedFailed(process_id) => written.failed_reservations.push(process_id.clone()),
                Taking::Removed(records) => {
                    written.removed.push(records.iter().map(|(_, json)| json.clone()).collect())
                }
            }
        }
        // Texts, numbers and JSON that was read as such: nothing in it can fail to be written.
        serde_json::to_string(&written).unwrap_or_default()
    }

    fn load(&self, json: &str) -> Result<()> {
        // serde's text could quote a token.
        let written: Written = serde_json::from_str(json).map_err(|_| {
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
        let mut open = lock(&self.open);
        let reserved = written.reservations.into_iter().filter(|id| !open.holds(id)).map(Taking::Reserved);
        let mut takings: Vec<Taking> = reserved.collect();
        let failed = written.failed_reservations.into_iter().filter(|id| !open.holds(id));
        takings.extend(failed.map(Taking::ReservedFailed));
        takings.extend(
            written
                .removed
                .into_iter()
                .map(|records| Taking::Removed(records.into_iter().map(|json| (message_id(&json), json)).collect())),
        );
        for taking in takings {
            open.insert(taking, Place::Due);
        }
        open.seen = written.seen;
        open.tokens = written.tokens.and_then(|tokens| tokens.grown_out_of(&self.configured));
        if !written.application_token.is_empty() {
            open.application_token = Some(Secret::new(written.application_token));
        }
        Ok(())
    }
}

fn open_locked(folder: &Path) -> Result<Home> {
    let file = KeptFile::new(folder.join("b24events-state.json"))?;
    match file.try_lock()? {
        Some(locked) => Ok(Home::File { file, _lock: locked }),
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
    serde_json::from_str::<crate::portal::offline_events::Record>(json.get())
        .map(|record| record.message_id)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
