//! All of it at the same time.

use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

use super::faults::Faults;
use super::lane::Outcome;
use super::record::Counts;
use super::scale::Scale;
use super::{killed, long_lived};

#[test]
fn nothing_is_lost_and_nothing_comes_again_after_its_acknowledgement() {
    let scale = Scale::from_environment();
    let start = Instant::now();
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let mut lives = vec![scope.spawn(move || long_lived::live(scale.of_the_long_lived()))];
        lives.extend((0..scale.lanes).map(|lane| scope.spawn(move || killed::live(lane + 1, scale.of_a_killed(lane)))));
        lives.into_iter().map(|life| life.join().expect("the life of a host")).collect()
    });
    let mut sum = Counts::default();
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    let mut failures: BTreeMap<&str, u64> = BTreeMap::new();
    for outcome in &outcomes {
        let counts = outcome.counts;
        println!(
            "{} kills, {counts:?}, {} renewals, {} authorizations",
            outcome.kills, outcome.renewals, outcome.authorizations
        );
        sum.made += counts.made;
        sum.delivered += counts.delivered;
        sum.doubled += counts.doubled;
        sum.lost += counts.lost;
        sum.after_acknowledgement += counts.after_acknowledgement;
        outcome.faults.iter().for_each(|(name, count)| *faults.entry(name).or_default() += count);
        outcome.failures.iter().for_each(|(status, count)| *failures.entry(status).or_default() += count);
    }
    println!("faults: {faults:?}\nfailed calls: {failures:?}");
    println!(
        "{} made, {} delivered, {} doubled, {} lost, {} delivered after acknowledgement; {} kills, {} faults, {:.1?}",
        sum.made,
        sum.delivered,
        sum.doubled,
        sum.lost,
        sum.after_acknowledgement,
        outcomes.iter().map(|outcome| outcome.kills).sum::<u32>(),
        faults.values().sum::<u64>(),
        start.elapsed()
    );
    assert_eq!(sum.made, u64::from(scale.events));
    assert_eq!((sum.delivered, sum.lost, sum.after_acknowledgement), (sum.made, 0, 0));
    assert_eq!(faults.values().sum::<u64>(), u64::from(scale.faults));
    assert!(scale.faults < 4 * Faults::kinds() as u32 || faults.values().all(|count| *count > 0), "every fault");
}
