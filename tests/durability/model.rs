//! Random sequences of what can happen, against a model of the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use b24_emulator::Emulator;
use b24events::client::{Client, Hooks};
use b24events::delivery::Batch;
use proptest::prelude::*;
use serde_json::json;

use super::place::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody changes so many deals in the portal.
    Make(u8),
    Fetch(u8),
    /// The answer to the next fetch is lost on its way.
    LoseAnswer,
    /// An open batch is acknowledged: all of it, or its first record.
    Acknowledge {
        batch: u8,
        whole: bool,
    },
    Fail {
        batch: u8,
    },
    /// The host forgets an open batch.
    Forget {
        batch: u8,
    },
    Recover,
    /// The process ends; its state is in a folder, or the host carries it.
    Die,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..6u8).prop_map(Step::Make),
        4 => (1..8u8).prop_map(Step::Fetch),
        1 => Just(Step::LoseAnswer),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(batch, whole)| Step::Acknowledge { batch, whole }),
        1 => any::<u8>().prop_map(|batch| Step::Fail { batch }),
        1 => any::<u8>().prop_map(|batch| Step::Forget { batch }),
        1 => Just(Step::Recover),
        1 => Just(Step::Die),
    ]
}

/// What has to be true of the records.
#[derive(Default)]
struct Model {
    made: BTreeSet<u32>,
    done: BTreeSet<u32>,
    failed: BTreeSet<u32>,
}

/// A batch that the host has, and its records that are still open.
struct Held {
    batch: Batch,
    open: BTreeMap<u32, String>,
}

struct World {
    connector: String,
    keys: Vec<(&'static str, String)>,
    in_folder: bool,
    folder: Folder,
    client: Option<Client>,
    held: Vec<Held>,
    model: Model,
}

/// One portal for all runs; each run has a queue of its own.
fn emulator() -> &'static Emulator {
    static EMULATOR: OnceLock<Emulator> = OnceLock::new();
    EMULATOR.get_or_init(portal)
}

static NEXT: AtomicU32 = AtomicU32::new(1);

impl World {
    fn new(in_folder: bool) -> World {
        let folder = Folder::new();
        let connector = format!("model-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut keys = keys(emulator(), &connector);
        keys.push(("recover.orphans", "exclusive".into()));
        if in_folder {
            keys.push(("state.dir", folder.path().into()));
        }
        let mut world =
            World { connector, keys, in_folder, folder, client: None, held: Vec::new(), model: Model::default() };
        world.start(None);
        world.client().bind_event("ONCRMDEALADD").unwrap();
        world
    }

    fn start(&mut self, state: Option<String>) {
        let client = Client::new(&config(&self.keys), Hooks::default()).unwrap();
        if let Some(state) = state {
            client.restore(&state).unwrap();
        }
        self.client = Some(client);
    }

    fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    fn make(&mut self) {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        make(emulator(), number);
        self.model.made.insert(number);
    }

    fn fetch(&mut self, limit: u32) {
        let mut batch = self.client().fetch(limit).unwrap();
        let open: BTreeMap<u32, String> = deals(&batch.detach_json()).into_iter().collect();
        for number in open.keys() {
            assert!(self.model.made.contains(number), "{number} was never made");
            assert!(!self.model.done.contains(number), "{number} came again after its acknowledgement");
            assert!(!self.model.failed.contains(number), "{number} is marked as failed and came all the same");
            assert!(!self.held.iter().any(|held| held.open.contains_key(number)), "{number} is held already");
        }
        if !open.is_empty() {
            self.held.push(Held { batch, open });
        }
    }

    fn acknowledge(&mut self, batch: u8, whole: bool) {
        let Some(place) = self.pick(batch) else { return };
        let held = &mut self.held[place];
        if whole {
            held.batch.acknowledge().unwrap();
            self.model.done.extend(std::mem::take(&mut held.open).into_keys());
        } else if let Some((number, message_id)) = held.open.pop_first() {
            held.batch.acknowledge_records(&[&message_id]).unwrap();
            self.model.done.insert(number);
        }
        if self.held[place].open.is_empty() {
            self.held.remove(place);
        }
    }

    fn fail(&mut self, batch: u8) {
        let Some(place) = self.pick(batch) else { return };
        let held = &mut self.held[place];
        if let Some((number, message_id)) = held.open.pop_last() {
            held.batch.fail_records(&[&message_id]).unwrap();
            self.model.failed.insert(number);
        }
        if self.held[place].open.is_empty() {
            self.held.remove(place);
        }
    }

    fn pick(&self, batch: u8) -> Option<usize> {
        usize::from(batch).checked_rem(self.held.len())
    }

    fn die(&mut self) {
        let state = (!self.in_folder).then(|| self.client().state());
        self.held.clear();
        self.client = None;
        self.start(state);
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Make(count) => (0..*count).for_each(|_| self.make()),
            Step::Fetch(limit) => self.fetch((*limit).into()),
            Step::LoseAnswer => {
                let fault = json!({"drop_next": {"method": "event.offline.get", "when": "after_handling"}});
                control(emulator(), fault);
                self.fetch(3);
                control(emulator(), json!("clear_faults"));
            }
            Step::Acknowledge { batch, whole } => self.acknowledge(*batch, *whole),
            Step::Fail { batch } => self.fail(*batch),
            Step::Forget { batch } => {
                if let Some(place) = self.pick(*batch) {
                    self.held.remove(place);
                }
            }
            Step::Recover => drop(self.client().recover().unwrap()),
            Step::Die => self.die(),
        }
    }

    /// Everything that is open is delivered and confirmed; then nothing is left but what failed.
    fn finish(&mut self) {
        self.held.clear();
        self.client().recover().unwrap();
        loop {
            self.fetch(1000);
            if self.held.is_empty() {
                break;
            }
            while !self.held.is_empty() {
                self.acknowledge(0, true);
            }
        }
        let expected: BTreeSet<u32> = self.model.made.difference(&self.model.failed).copied().collect();
        assert_eq!(self.model.done, expected, "delivered and confirmed");
        let left = emulator().queue(&self.connector);
        assert_eq!(left.len(), self.model.failed.len(), "{left:?}");
        self.client().unbind_event("ONCRMDEALADD").unwrap();
        drop(self.client.take());
        let _ = &self.folder;
        for (counter, count) in
            COUNTS.iter().zip([1, self.model.made.len(), self.model.done.len(), self.model.failed.len()])
        {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// Over all runs: runs, records made, confirmed, failed.
static COUNTS: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

#[test]
fn any_sequence_delivers_everything_and_nothing_confirmed_again() {
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(in_folder in any::<bool>(), steps in prop::collection::vec(step(), 1..20))| {
        let mut world = World::new(in_folder);
        steps.iter().for_each(|step| world.run(step));
        world.finish();
    });
    let [runs, made, confirmed, failed] = COUNTS.each_ref().map(|count| count.load(Ordering::Relaxed));
    println!(
        "{runs} random sequences: {made} records made, {confirmed} delivered and confirmed, {failed} marked as failed"
    );
    assert_eq!(made, confirmed + failed);
}

/// `B24_CASES` runs more; a usual run stays short.
fn cases() -> u32 {
    std::env::var("B24_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100)
}
