//! The state of one client: everything that must survive the process, and where it is kept.
//!
//! With `state.dir` it is in a file there, written before anything relies on it. Without, the host carries it: it reads
//! the state as a text and restores it into its next client. Both may be used together, whichever is older.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::document::{Document, PortalName, Unreadable};
use super::family::TokenFamily;
pub use super::pending::{Key, PendingBatch};
use super::pending::{PendingBatches, Stage, with_message_id};
use super::private_file::MAX_BYTES;
use super::storage::{Guard, Storage};
pub use super::strangers::{Moment, Reservation, ReservationList};
use crate::config::OrphanAges;
use crate::error::{Error, Result};
use crate::lock;
use crate::secret::Secret;

/// Whose state it is.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The portal as configured.
    pub portal: PortalName,
    /// The queue's connector id.
    pub connector_id: String,
}

/// See the module.
pub struct Store {
    identity: Identity,
    contents: Mutex<Contents>,
    backing: Mutex<Backing>,
}

#[derive(Default)]
struct Contents {
    batches: PendingBatches,
    /// What was stored last. What is in use may be newer for a moment, never older.
    family: Option<TokenFamily>,
    /// What proves the portal's calls, if an installation has set it.
    application_token: Option<Secret>,
}

/// Where the state is kept.
enum Backing {
    Host,
    Storage {
        storage: Box<dyn Storage>,
        /// Let go by dropping it.
        _guard: Guard,
    },
    /// It was in a storage, and the client has ended: its successor may have that already.
    Released(Box<dyn Storage>),
}

impl Store {
    /// An empty state, or what the storage holds, which is locked for this client.
    pub fn new(storage: Option<Box<dyn Storage>>, identity: Identity) -> Result<Store> {
        let mut contents = Contents::default();
        let backing = match storage {
            None => Backing::Host,
            Some(storage) => {
                let name = storage.name();
                let guard = lock_soon(&*storage)?.ok_or_else(|| {
                    Error::State(format!("{name} is in use by another client; give each client a state.dir of its own"))
                })?;
                if let Some(text) = storage.read()? {
                    let (document, family) = identity.read(&text, &format!("the state in {name}"))?;
                    contents.take_over(document);
                    contents.family = Some(family);
                }
                Backing::Storage { storage, _guard: guard }
            }
        };
        Ok(Store { identity, contents: Mutex::new(contents), backing: Mutex::new(backing) })
    }

    /// The token family that was stored last.
    pub fn family(&self) -> TokenFamily {
        lock(&self.contents).family.clone().unwrap_or_else(TokenFamily::none)
    }

    /// Takes over what [`Store::to_json`] gave elsewhere: its batches are handed out before anything new. Returns its
    /// token family, which is for others to decide on.
    pub fn restore(&self, json: &str) -> Result<TokenFamily> {
        if json.len() as u64 > MAX_BYTES {
            return Err(Error::State(format!("the state is longer than {MAX_BYTES} bytes, so it is not one of ours")));
        }
        let (document, family) = self.identity.read(json, "the state")?;
        let mut contents = lock(&self.contents);
        let is_outdated = contents.family.as_ref().is_some_and(|ours| ours.has_outgrown(&family));
        let known = contents.application_token.clone();
        contents.take_over(document);
        if is_outdated {
            // The application may have been uninstalled since, and then it proves nothing any more.
            contents.application_token = known;
        }
        self.write(&contents)?;
        Ok(family)
    }

    /// Everything as JSON. `in_use`: the token family in use.
    pub fn to_json(&self, in_use: &TokenFamily) -> String {
        let contents = lock(&self.contents);
        let newest = contents.family_after(in_use);
        self.json(&contents, Some(&newest))
    }

    /// Stores a token family, unless a newer generation of it is there. Called before its pair is used.
    pub fn set_family(&self, family: &TokenFamily) -> Result<()> {
        let mut contents = lock(&self.contents);
        contents.family = Some(contents.family_after(family));
        self.write(&contents)
    }

    /// The `application_token` that an installation has set.
    pub fn application_token(&self) -> Option<Secret> {
        lock(&self.contents).application_token.clone()
    }

    /// Stores the `application_token` of an installation.
    pub fn set_application_token(&self, token: &Secret) -> Result<()> {
        let mut contents = lock(&self.contents);
        contents.application_token = Some(token.clone());
        self.write(&contents)
    }

    /// The application was uninstalled: the next installation brings another `application_token`.
    pub fn forget_application_token(&self) -> Result<()> {
        let mut contents = lock(&self.contents);
        contents.application_token = None;
        self.write(&contents)
    }

    /// Makes sure that up to `records` more and a new pair of tokens can be stored. Called before anything is fetched
    /// or bought.
    pub fn reserve_space(&self, records: u32) -> Result<()> {
        let bytes = {
            let contents = lock(&self.contents);
            self.json(&contents, contents.family.as_ref()).len() as u64
        };
        match &*lock(&self.backing) {
            Backing::Host => Ok(()),
            Backing::Storage { storage, .. } => {
                storage.reserve_space(bytes + u64::from(records) * SPACE_PER_RECORD + SPACE_FOR_TOKENS)
            }
            Backing::Released(_) => Err(Error::Closed),
        }
    }

    /// The client has ended: from now on nothing changes, and the storage is free for its successor.
    pub fn release(&self) {
        let mut backing = lock(&self.backing);
        *backing = match std::mem::replace(&mut *backing, Backing::Host) {
            Backing::Storage { storage, .. } => Backing::Released(storage),
            other => other,
        };
    }

    /// Names the storage, the same for every spelling; `None` when the state is with the host.
    pub fn storage_key(&self) -> Option<String> {
        match &*lock(&self.backing) {
            Backing::Host => None,
            Backing::Storage { storage, .. } | Backing::Released(storage) => Some(storage.key()),
        }
    }

    /// Stores a token family after the client has ended, as others of this process go on with its tokens. Returns false
    /// when the storage has a new owner, who knows better.
    pub fn set_family_after_end(&self, family: &TokenFamily) -> Result<bool> {
        let backing = lock(&self.backing);
        let storage = match &*backing {
            Backing::Host => return Ok(false),
            Backing::Released(storage) => storage,
            Backing::Storage { .. } => {
                drop(backing);
                return self.set_family(family).map(|()| true);
            }
        };
        let Some(_guard) = storage.try_lock()? else { return Ok(false) };
        let Some(text) = storage.read()? else { return Ok(false) };
        let (mut document, mut stored) = self.identity.read(&text, &format!("the state in {}", storage.name()))?;
        if !stored.is_related(family) {
            return Ok(false);
        }
        stored.meet(family.clone());
        document.set_family(&stored);
        storage.write(document.to_json().as_bytes())?;
        Ok(true)
    }

    /// Stores a batch that the host is about to get. Even if that fails, the batch is known.
    pub fn add_in_flight(&self, batch: PendingBatch) -> (Key, Result<()>) {
        self.insert(batch, Stage::InFlight)
    }

    /// Likewise for a batch that is handed out before anything new.
    pub fn add_for_redelivery(&self, batch: PendingBatch) -> (Key, Result<()>) {
        self.insert(batch, Stage::Redeliver)
    }

    /// The next batch after `after` to hand out before anything new, of `failed` records or of others. It counts as in
    /// flight from now on.
    pub fn next_for_redelivery(&self, after: Option<Key>, failed: bool, now: Instant) -> Option<(Key, PendingBatch)> {
        lock(&self.contents).batches.next_for_redelivery(after, failed, now)
    }

    /// The batch did not reach the host: it is handed out again before anything new.
    pub fn redeliver(&self, key: Key) {
        lock(&self.contents).batches.set_stage(key, Stage::Redeliver);
    }

    /// The host has freed the batch without acknowledging all of it. It is handed out again from `at` on.
    pub fn abandon(&self, key: Key, at: Instant) {
        lock(&self.contents).batches.abandon(key, at);
    }

    /// When the first of the abandoned batches comes again.
    pub fn next_redelivery(&self) -> Option<Instant> {
        lock(&self.contents).batches.next_redelivery()
    }

    /// Abandoned batches are redelivered at once. Returns how many.
    pub fn redeliver_abandoned(&self) -> usize {
        lock(&self.contents).batches.redeliver_abandoned()
    }

    /// The portal is about to be asked for its reservations: what is completed from now on may still be among them.
    pub fn begin_search(&self) {
        lock(&self.contents).batches.begin_search();
    }

    /// Takes over reservations of the portal that nobody here knows and that are old enough. Returns how many, and when
    /// the next one is. `random` gives random numbers.
    pub fn adopt_orphans(
        &self,
        list: ReservationList,
        ages: OrphanAges,
        moment: Moment,
        random: impl FnMut() -> u64,
    ) -> Result<(usize, Option<Duration>)> {
        let mut contents = lock(&self.contents);
        let adopted = contents.batches.adopt_orphans(list, ages, moment, random);
        self.write(&contents)?;
        Ok(adopted)
    }

    /// The records with these `MESSAGE_ID`s are done with. `all`: nothing of the batch is left.
    pub fn complete(&self, key: Key, message_ids: &[&str], all: bool) -> Result<()> {
        let mut contents = lock(&self.contents);
        if contents.batches.complete(key, message_ids, all) { self.write(&contents) } else { Ok(()) }
    }

    fn insert(&self, batch: PendingBatch, stage: Stage) -> (Key, Result<()>) {
        let mut contents = lock(&self.contents);
        let key = contents.batches.insert(batch, stage);
        (key, self.write(&contents))
    }

    fn write(&self, contents: &Contents) -> Result<()> {
        match &*lock(&self.backing) {
            Backing::Host => Ok(()),
            Backing::Storage { storage, .. } => storage.write(self.json(contents, contents.family.as_ref()).as_bytes()),
            Backing::Released(_) => Err(Error::Closed),
        }
    }

    fn json(&self, contents: &Contents, family: Option<&TokenFamily>) -> String {
        let mut document = family.map_or_else(|| Document::with(&TokenFamily::none()), Document::with);
        let configured = &self.identity.portal;
        document.portal = family.map_or_else(|| configured.clone(), |family| configured.with_member_id_of(family));
        document.connector_id.clone_from(&self.identity.connector_id);
        document.application_token = contents.application_token.as_ref().map_or("", Secret::expose).to_owned();
        document.strangers = contents.batches.strangers();
        for batch in contents.batches.iter() {
            match batch {
                PendingBatch::Reserved(process_id) => document.reservations.push(process_id.clone()),
                PendingBatch::ReservedFailed(process_id) => document.failed_reservations.push(process_id.clone()),
                PendingBatch::Removed(records) => {
                    document.removed.push(records.iter().map(|(_, json)| json.clone()).collect());
                }
            }
        }
        document.to_json()
    }
}

impl Contents {
    fn take_over(&mut self, document: Document) {
        document.reservations.into_iter().for_each(|id| self.batches.restore(PendingBatch::Reserved(id)));
        document.failed_reservations.into_iter().for_each(|id| self.batches.restore(PendingBatch::ReservedFailed(id)));
        for records in document.removed {
            let records = records.into_iter().map(with_message_id).collect();
            self.batches.restore(PendingBatch::Removed(records));
        }
        self.batches.restore_strangers(document.strangers);
        if self.application_token.is_none() && !document.application_token.is_empty() {
            self.application_token = Some(Secret::new(document.application_token));
        }
    }

    /// The newer of what is stored and `family`. A stranger takes the place of what is stored.
    fn family_after(&self, family: &TokenFamily) -> TokenFamily {
        match &self.family {
            Some(stored) if stored.is_newer_than(family) => stored.clone(),
            _ => family.clone(),
        }
    }
}

impl Identity {
    /// Reads a state, which must be this client's. `what` begins the error texts.
    fn read(&self, text: &str, what: &str) -> Result<(Document, TokenFamily)> {
        let read = || {
            let document = Document::read(text)?;
            let family = document.family()?;
            Ok((document, family))
        };
        let (document, family) = read().map_err(|unreadable| unreadable_state(what, &unreadable))?;
        self.check(&document, &family, what)?;
        Ok((document, family))
    }

    fn check(&self, document: &Document, family: &TokenFamily, what: &str) -> Result<()> {
        let has_batches = [document.reservations.len(), document.failed_reservations.len(), document.removed.len()];
        let has_batches = has_batches.iter().any(|count| *count > 0);
        let is_worth_something = has_batches || !family.pair().is_none() || !document.application_token.is_empty();
        if is_worth_something && !self.portal.is_portal_of(&document.portal, family) {
            let hint = match document.portal.member_id.as_str() {
                "" => String::new(),
                id => format!("; if the portal was only renamed, set handler.member_id to {id}"),
            };
            return Err(Error::State(format!(
                "{what} belongs to the portal {}, but this client is configured for {}; use it with its own portal, or \
                 give this client another state{hint}",
                document.portal, self.portal
            )));
        }
        if has_batches && document.connector_id != self.connector_id {
            return Err(Error::State(format!(
                "{what} holds records of connector.id {:?}, but this client has {:?}; use it with the client that it \
                 belongs to, or give this client another state",
                document.connector_id, self.connector_id
            )));
        }
        Ok(())
    }
}

/// Locks a storage. Whoever keeps it up to date for us after our predecessor's end ([`Store::set_family_after_end`]) holds
/// the lock for a moment, and nothing reports when it lets go.
fn lock_soon(storage: &dyn Storage) -> Result<Option<Guard>> {
    for _ in 0..LOCK_TRIES {
        if let Some(guard) = storage.try_lock()? {
            return Ok(Some(guard));
        }
        std::thread::sleep(LOCK_INTERVAL);
    }
    storage.try_lock()
}

const LOCK_TRIES: u32 = 25;
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// The error for a text that is not a state. Nothing of the text is quoted, as it may hold tokens.
fn unreadable_state(what: &str, unreadable: &Unreadable) -> Error {
    Error::State(match unreadable {
        Unreadable::NoState => format!(
            "{what} cannot be read: it is damaged, or something else; restore it from a backup, or remove it and \
             authorize the application again"
        ),
        Unreadable::Version(version) => format!(
            "{what} has version {version}, which this version of the library does not read; use the version that wrote \
             it, or a later one"
        ),
    })
}

/// What a record takes in the storage at most, about. A longer one is stored too, only without the promise.
const SPACE_PER_RECORD: u64 = 2048;
/// What a new pair of tokens adds at most: two tokens, two addresses, the hash of an ancestor.
const SPACE_FOR_TOKENS: u64 = 8192;

#[cfg(test)]
mod tests;
