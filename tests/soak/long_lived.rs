//! A host that is never killed: what it occupies does not grow.

use std::thread;
use std::time::Duration;

use super::faults::Faults;
use super::footprint::Footprint;
use super::lane::{Lane, Outcome};
use super::scale::{Scale, share};

/// How long what lasts for a while lasts.
const WHILE: Duration = Duration::from_millis(300);

pub fn live(scale: Scale) -> Outcome {
    let mut lane = Lane::new(0);
    let mut host = lane.start_host();
    let mut early = None;
    for step in 0..scale.faults {
        let of_this_step = share(scale.events, step + 1, scale.faults) - share(scale.events, step, scale.faults);
        lane.faults.happen(&lane.portal, &host);
        lane.make(of_this_step);
        thread::sleep(WHILE);
        Faults::pass(&lane.portal, &host);
        lane.drain(&mut host);
        if step >= scale.faults / 10 && early.is_none() {
            early = Some(Footprint::of(host.id()));
        }
        if scale.faults >= 100 && step % (scale.faults / 10) == 0 {
            println!("the long-lived host: {step} faults, {:?}", Footprint::of(host.id()));
        }
    }
    let late = Footprint::of(host.id());
    println!("a host that is not killed: {early:?} after a tenth, {late:?} at the end");
    if let Some(early) = early {
        late.assert_no_larger_than(&early);
    }
    lane.finish(Some(host), 0)
}
