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
use crate::portal::tokens::TokenPair;
use crate::secret::Secret;

/// Records taken together, as the ledger knows them.
#[derive(Clone, Debug)]
pub enum Taking {
    /// They hang in the portal under this `process_id`.
    Reserved(String),
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
    file: Option<(KeptFile, FileLock)>,
    /// The access token that the host configured: tells whether a kept pair descends from it.
    configured: Secret,
    connector_id: String,
}

#[derive(Default)]
struct Open {
    next_key: Key,
    takings: BTreeMap<Key, (Taking, Place)>,
    /// Reservations of others: when each was seen first, seconds since 1970.
    seen: BTreeMap<String, u64>,
    tokens: Option<TokenPair>,
}

impl Open {
    fn insert(&mut self, taking: Taking, place: Place) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        self.takings.insert(key, (taking, place));
        key
    }
}

/// The ledger as JSON. It holds tokens.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Written {
    version: u32,
    connector_id: String,
    tokens: Option<KeptTokens>,
    reservations: Vec<String>,
    removed: Vec<Vec<Box<RawValue>>>,
    seen: BTreeMap<String, u64>,
}

/// Version of the JSON. A newer one is refused: it may hold what this version would lose.
const VERSION: u32 = 1;

impl Ledger {
    /// An empty ledger, or what is kept in `folder`, which is locked for this ledger.
    pub fn new(folder: Option<&Path>, configured: Secret, connector_id: &str) -> Result<Ledger> {
        let file = folder.map(open_locked).transpose()?;
        let kept = file.as_ref().map(|(file, _)| file.read()).transpose()?.flatten();
        let ledger = Ledger { open: Mutex::default(), file, configured, connector_id: connector_id.to_owned() };
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

    /// Everything as JSON, with the tokens in use.
    pub fn to_json(&self, tokens: &TokenPair) -> String {
        let mut open = lock(&self.open);
        open.tokens = Some(tokens.clone());
        self.json(&open)
    }

    /// Keeps a new pair of tokens. Called before it is used.
    pub fn keep_tokens(&self, pair: &TokenPair) -> Result<()> {
        let mut open = lock(&self.open);
        open.tokens = Some(pair.clone());
        self.write(&open)
    }

    /// Makes sure that up to `records` more can be kept. Called before anything is taken.
    pub fn make_room(&self, records: u32) -> Result<()> {
        let Some((file, _)) = &self.file else { return Ok(()) };
        let json = self.json(&lock(&self.open));
        file.make_room(json.len() as u64 + u64::from(records) * ROOM_PER_RECORD)
    }

    /// Enters a taking that the host is about to get. A failure is told, but the taking is in the ledger all the same.
    pub fn enter(&self, taking: Taking) -> (Key, Result<()>) {
        self.insert(taking, Place::Held)
    }

    /// The same for a taking that is to be handed out before anything new.
    pub fn enter_due(&self, taking: Taking) -> (Key, Result<()>) {
        self.insert(taking, Place::Due)
    }

    /// The next taking that is to be handed out before anything new; it counts as held from now on.
    pub fn next_due(&self) -> Option<(Key, Taking)> {
        let mut open = lock(&self.open);
        let (key, (taking, place)) = open.takings.iter_mut().find(|(_, (_, place))| *place == Place::Due)?;
        *place = Place::Held;
        Some((*key, taking.clone()))
    }

    /// The taking could not be handed out: it stays due.
    pub fn still_due(&self, key: Key) {
        self.place(key, Place::Due);
    }

    /// The host has dropped its batch.
    pub fn dropped(&self, key: Key) {
        self.place(key, Place::Dropped);
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
    pub fn adopt(&self, in_portal: BTreeSet<String>, now: u64, age: u64) -> Result<usize> {
        let mut open = lock(&self.open);
        let known = |open: &Open, id: &String| {
            open.takings.values().any(|(taking, _)| matches!(taking, Taking::Reserved(known) if known == id))
        };
        let strange: BTreeSet<String> = in_portal.into_iter().filter(|id| !known(&open, id)).collect();
        open.seen.retain(|id, _| strange.contains(id));
        let mut adopted = 0;
        for id in strange {
            let since = *open.seen.entry(id.clone()).or_insert(now);
            if now.saturating_sub(since) >= age {
                open.seen.remove(&id);
                open.insert(Taking::Reserved(id), Place::Due);
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
        self.file.as_ref().map_or(Ok(()), |(file, _)| file.write(self.json(open).as_bytes()))
    }

    fn json(&self, open: &Open) -> String {
        let tokens = open.tokens.as_ref().map(|pair| KeptTokens::new(pair, &self.configured));
        let mut written = Written {
            version: VERSION,
            connector_id: self.connector_id.clone(),
            tokens,
            seen: open.seen.clone(),
            ..Written::default()
        };
        for (taking, _) in open.takings.values() {
            match taking {
                Taking::Reserved(process_id) => written.reservations.push(process_id.clone()),
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
        let holds_records = !written.reservations.is_empty() || !written.removed.is_empty();
        if holds_records && written.connector_id != self.connector_id {
            let text = format!(
                "the state holds records of connector.id {:?}, this client has {:?}; use it with the client that it belongs to",
                written.connector_id, self.connector_id
            );
            return Err(Error::State(text));
        }
        let mut open = lock(&self.open);
        let mut takings: Vec<Taking> = written.reservations.into_iter().map(Taking::Reserved).collect();
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
        open.tokens = written.tokens.and_then(|tokens| tokens.newer_than(&self.configured));
        Ok(())
    }
}

fn open_locked(folder: &Path) -> Result<(KeptFile, FileLock)> {
    let file = KeptFile::new(folder.join("b24events-state.json"))?;
    match file.try_lock()? {
        Some(locked) => Ok((file, locked)),
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
mod tests {
    use super::*;

    fn pair(access: &str) -> TokenPair {
        TokenPair {
            access: Secret::new(access),
            refresh: Secret::new("refresh"),
            expires: 7,
            client_endpoint: "https://x/rest/".into(),
            member_id: "m".into(),
        }
    }

    fn ledger(configured: &str) -> Ledger {
        Ledger::new(None, Secret::new(configured), "OneC").unwrap()
    }

    fn removed(ids: &[&str]) -> Taking {
        let record = |id: &&str| {
            let json = format!(r#"{{"MESSAGE_ID":"{id}","ID":"1"}}"#);
            ((*id).to_owned(), RawValue::from_string(json).unwrap())
        };
        Taking::Removed(ids.iter().map(record).collect())
    }

    #[test]
    fn what_is_open_comes_back_elsewhere() {
        let here = ledger("t0");
        let (first, _) = here.enter(Taking::Reserved("p1".into()));
        let (second, _) = here.enter(removed(&["a", "b"]));
        let (third, _) = here.enter(Taking::Reserved("p2".into()));
        here.settle(first, &[], true).unwrap();
        here.settle(second, &["a"], false).unwrap();
        here.settle(third, &["x"], false).unwrap();
        let there = ledger("t0");
        let tokens = there.restore(&here.to_json(&pair("t1"))).unwrap().unwrap();
        assert_eq!((tokens.access.expose(), tokens.refresh.expose(), tokens.expires), ("t1", "refresh", 7));
        let due: Vec<Taking> = std::iter::from_fn(|| there.next_due()).map(|(_, taking)| taking).collect();
        assert!(matches!(&due[0], Taking::Reserved(id) if id == "p2"), "{due:?}");
        assert!(matches!(&due[1], Taking::Removed(records) if records.len() == 1 && records[0].0 == "b"), "{due:?}");
        assert_eq!(due.len(), 2);
    }

    #[test]
    fn a_dropped_taking_is_due_after_recovery() {
        let ledger = ledger("t0");
        let (key, _) = ledger.enter(Taking::Reserved("p1".into()));
        assert_eq!(ledger.recover(), 0, "the host still has it");
        ledger.dropped(key);
        assert!(ledger.next_due().is_none());
        assert_eq!(ledger.recover(), 1);
        let (key, _) = ledger.next_due().unwrap();
        ledger.still_due(key);
        assert!(ledger.next_due().is_some());
    }

    #[test]
    fn strange_reservations_are_adopted_when_they_are_old_enough() {
        let ledger = ledger("t0");
        ledger.enter(Taking::Reserved("ours".into())).1.unwrap();
        let portal = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(ledger.adopt(portal(&["ours", "lost", "gone"]), 1000, 60), Ok(0));
        assert_eq!(ledger.adopt(portal(&["ours", "lost"]), 1059, 60), Ok(0));
        assert_eq!(ledger.adopt(portal(&["ours", "lost", "gone"]), 1060, 60), Ok(1), "gone was away in between");
        assert!(matches!(ledger.next_due(), Some((_, Taking::Reserved(id))) if id == "lost"));
        assert_eq!(ledger.adopt(portal(&["ours", "lost"]), 2000, 0), Ok(0), "known now");
        assert_eq!(ledger.adopt(portal(&["another"]), 2000, 0), Ok(1), "at once when nobody else can be at work");
    }

    #[test]
    fn records_of_another_queue_are_not_taken_in() {
        let here = ledger("t0");
        here.enter(Taking::Reserved("p1".into())).1.unwrap();
        let json = here.to_json(&pair("t1"));
        let other = Ledger::new(None, Secret::new("t0"), "Other").unwrap();
        assert!(matches!(other.restore(&json), Err(Error::State(text)) if text.contains("OneC")));
    }

    #[test]
    fn tokens_of_an_earlier_authorization_are_not_used() {
        let here = ledger("t0");
        let json = here.to_json(&pair("t1"));
        for (configured, used) in [("t0", true), ("t1", true), ("", true), ("new", false)] {
            assert_eq!(ledger(configured).restore(&json).unwrap().is_some(), used, "{configured}");
        }
    }

    #[test]
    fn what_is_no_state_is_refused_without_quoting_it() {
        for bad in ["planted", r#"{"version":2}"#, "{}", r#"{"version":1,"tokens":"planted"}"#] {
            let error = ledger("t").restore(bad).unwrap_err();
            assert!(matches!(&error, Error::State(text) if !text.contains("planted")), "{error}");
        }
    }
}
