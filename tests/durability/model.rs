//! Random sequences of what can happen, against a model of the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use b24events::client::{Client, Hooks};
use b24events::delivery::Batch;
use proptest::prelude::*;
use serde_json::json;

use super::support::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody adds this many deals in the portal.
    Make(u8),
    Fetch(u8),
    /// The answer to the next fetch is lost.
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

/// What the records have come to.
#[derive(Default)]
struct Model {
    made: BTreeSet<u32>,
    done: BTreeSet<u32>,
    failed: BTreeSet<u32>,
}

/// A batch that the host holds, and its records that are not acknowledged.
struct OpenBatch {
    batch: Batch,
    open: BTreeMap<u32, String>,
}

struct World {
    connector: String,
    keys: Vec<(&'static str, String)>,
    in_folder: bool,
    _folder: Folder,
    client: Option<Client>,
    batches: Vec<OpenBatch>,
    model: Model,
}

/// One portal for all runs; each run has a queue of its own.
fn portal() -> &'static Portal {
    static PORTAL: OnceLock<Portal> = OnceLock::new();
    PORTAL.get_or_init(Portal::start)
}

static NEXT: AtomicU32 = AtomicU32::new(1);

impl World {
    fn new(in_folder: bool) -> World {
        let folder = Folder::new();
        let connector = format!("model-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut keys = portal().unlimited_keys(&connector);
        keys.push(("recover.orphans", "exclusive".into()));
        if in_folder {
            keys.push(("state.dir", folder.as_str().into()));
        }
        let mut world = World {
            connector,
            keys,
            in_folder,
            _folder: folder,
            client: None,
            batches: Vec::new(),
            model: Model::default(),
        };
        world.start(None);
        world.client().bind_event("ONCRMDEALADD").unwrap();
        world
    }

    fn start(&mut self, state: Option<String>) {
        let client = Client::new(&config_of(&self.keys), Hooks::default()).unwrap();
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
        portal().add_deals([number]);
        self.model.made.insert(number);
    }

    fn fetch(&mut self, limit: u32) {
        let mut batch = self.client().fetch(limit).unwrap();
        let open: BTreeMap<u32, String> = deals(&batch.detach_json()).into_iter().collect();
        for number in open.keys() {
            assert!(self.model.made.contains(number), "{number} was never made");
            assert!(!self.model.done.contains(number), "{number} came again after its acknowledgement");
            assert!(!self.model.failed.contains(number), "{number} is marked as failed and came all the same");
            assert!(
                !self.batches.iter().any(|open_batch| open_batch.open.contains_key(number)),
                "{number} is in an open batch already"
            );
        }
        if !open.is_empty() {
            self.batches.push(OpenBatch { batch, open });
        }
    }

    fn acknowledge(&mut self, batch: u8, whole: bool) {
        let Some(index) = self.pick(batch) else { return };
        let open_batch = &mut self.batches[index];
        if whole {
            open_batch.batch.acknowledge().unwrap();
            self.model.done.extend(std::mem::take(&mut open_batch.open).into_keys());
        } else if let Some((number, message_id)) = open_batch.open.pop_first() {
            open_batch.batch.acknowledge_records(&[&message_id]).unwrap();
            self.model.done.insert(number);
        }
        if self.batches[index].open.is_empty() {
            self.batches.remove(index);
        }
    }

    fn fail(&mut self, batch: u8) {
        let Some(index) = self.pick(batch) else { return };
        let open_batch = &mut self.batches[index];
        if let Some((number, message_id)) = open_batch.open.pop_last() {
            open_batch.batch.fail_records(&[&message_id]).unwrap();
            self.model.failed.insert(number);
        }
        if self.batches[index].open.is_empty() {
            self.batches.remove(index);
        }
    }

    fn pick(&self, batch: u8) -> Option<usize> {
        usize::from(batch).checked_rem(self.batches.len())
    }

    fn die(&mut self) {
        let state = (!self.in_folder).then(|| self.client().state());
        self.batches.clear();
        self.client = None;
        self.start(state);
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Make(count) => (0..*count).for_each(|_| self.make()),
            Step::Fetch(limit) => self.fetch((*limit).into()),
            Step::LoseAnswer => {
                let fault = json!({"drop_next": {"method": "event.offline.get", "when": "after_handling"}});
                portal().control(fault);
                self.fetch(3);
                portal().control(json!("clear_faults"));
            }
            Step::Acknowledge { batch, whole } => self.acknowledge(*batch, *whole),
            Step::Fail { batch } => self.fail(*batch),
            Step::Forget { batch } => {
                if let Some(index) = self.pick(*batch) {
                    self.batches.remove(index);
                }
            }
            Step::Recover => drop(self.client().recover().unwrap()),
            Step::Die => self.die(),
        }
    }

    /// Every record is delivered and acknowledged; then only failed ones are left.
    fn finish(&mut self) {
        self.batches.clear();
        self.client().recover().unwrap();
        loop {
            self.fetch(1000);
            if self.batches.is_empty() {
                break;
            }
            while !self.batches.is_empty() {
                self.acknowledge(0, true);
            }
        }
        let expected: BTreeSet<u32> = self.model.made.difference(&self.model.failed).copied().collect();
        assert_eq!(self.model.done, expected, "delivered and confirmed");
        let left = portal().emulator.queue(&self.connector);
        assert_eq!(left.len(), self.model.failed.len(), "{left:?}");
        self.client().unbind_event("ONCRMDEALADD").unwrap();
        drop(self.client.take());
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
fn any_sequence_delivers_every_record_and_none_again_after_its_acknowledgement() {
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

/// `B24_CASES` sets the number of runs.
fn cases() -> u32 {
    std::env::var("B24_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100)
}
