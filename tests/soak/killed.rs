//! Hosts that are killed at any moment of their lives, one after the other, on the same queue and state.

use std::time::Duration;

use b24events::clock::{Clock, SystemClock};

use super::faults::Faults;
use super::host::Host;
use super::lane::{Lane, Outcome};
use super::scale::{Scale, share};

/// A host has hardly more lines to write before it has caught up.
const MAX_LINES: u64 = 24;
/// Within this time a host has started, connected, and fetched.
const MAX_START: Duration = Duration::from_millis(60);

pub fn live(number: u32, scale: Scale) -> Outcome {
    let mut lane = Lane::new(number);
    let mut troubled = false;
    for life in 0..scale.kills {
        let of_this_life = |whole: u32| share(whole, life + 1, scale.kills) - share(whole, life, scale.kills);
        lane.make(of_this_life(scale.events));
        let mut host = lane.start_host();
        if troubled {
            Faults::pass(&lane.portal, &host);
        }
        troubled = of_this_life(scale.faults) > 0;
        (0..of_this_life(scale.faults)).for_each(|_| lane.faults.happen(&lane.portal, &host));
        if life % 20 == 19 {
            // Nothing piles up, and hosts are killed at rest too.
            Faults::pass(&lane.portal, &host);
            troubled = false;
            lane.drain(&mut host);
        } else {
            let_it_live(&mut lane, &mut host);
        }
        lane.kill(host);
        if scale.kills >= 1000 && life % (scale.kills / 10) == 0 {
            println!("host {number}: {life} kills, {:?}", lane.record.counts);
        }
    }
    lane.make(scale.events - lane.record.counts.made as u32);
    lane.finish(None, scale.kills)
}

/// Until a random moment: while it starts, or between two of its lines.
fn let_it_live(lane: &mut Lane, host: &mut Host) {
    if SystemClock.random() % 4 == 0 {
        return std::thread::sleep(MAX_START.mul_f64(fraction()));
    }
    // The first line takes as long as the host needs to start.
    let lines = SystemClock.random() % MAX_LINES;
    let mut silent = 0;
    let mut seen = 0;
    while seen < lines && silent < 10 {
        if lane.read(host) {
            seen += 1;
            silent = 8;
        } else {
            silent += 1;
        }
    }
    std::thread::sleep(Duration::from_millis(3).mul_f64(fraction()));
}

fn fraction() -> f64 {
    (SystemClock.random() % 1000) as f64 / 1000.0
}
