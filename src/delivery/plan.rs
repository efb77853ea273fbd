//! Whether the portal's plan includes reservations (docs/protocol.md §2.2). Nobody asks the portal: a call with `clear=0`
//! tells. Pure: no portal.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::config::Reserve;
use crate::lock;
use crate::portal::offline_events::FetchMode;

/// After this time, reservations are tried again: a payment may only have been late.
const RETRY_AFTER: Duration = Duration::from_secs(600);

/// What is known about the plan.
pub(super) struct Plan {
    reserve: Reserve,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The outcome of the last attempt to reserve.
    mode: Option<FetchMode>,
    /// When the portal refused to reserve; `None` if the last attempt succeeded.
    refused_at: Option<Instant>,
}

impl Plan {
    pub(super) fn new(reserve: Reserve) -> Plan {
        Plan { reserve, known: Mutex::default() }
    }

    /// How to fetch now.
    pub(super) fn mode(&self, now: Instant) -> FetchMode {
        match self.reserve {
            Reserve::Yes => FetchMode::Reserve,
            Reserve::No => FetchMode::Remove,
            Reserve::Auto => {
                let refused_at = lock(&self.known).refused_at;
                let is_refused = refused_at.is_some_and(|at| now < at + RETRY_AFTER);
                if is_refused { FetchMode::Remove } else { FetchMode::Reserve }
            }
        }
    }

    /// Whether records may be fetched without a reservation if the plan has none.
    pub(super) fn may_remove(&self) -> bool {
        self.reserve != Reserve::Yes
    }

    /// The portal has answered a call with `clear=0`: with a refusal at `refused_at`, or with success. Returns the mode
    /// if it is not the one that was known.
    pub(super) fn learned(&self, refused_at: Option<Instant>) -> Option<FetchMode> {
        let mode = if refused_at.is_some() { FetchMode::Remove } else { FetchMode::Reserve };
        let mut known = lock(&self.known);
        known.refused_at = refused_at;
        (known.mode.replace(mode) != Some(mode)).then_some(mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_counts_for_ten_minutes_unless_the_configuration_decides() {
        let now = Instant::now();
        let plan = Plan::new(Reserve::Auto);
        assert_eq!(plan.mode(now), FetchMode::Reserve, "tried first");
        assert_eq!(plan.learned(Some(now)), Some(FetchMode::Remove));
        assert_eq!(plan.mode(now + RETRY_AFTER - Duration::from_secs(1)), FetchMode::Remove);
        let later = now + RETRY_AFTER;
        assert_eq!(plan.mode(later), FetchMode::Reserve, "tried again");
        assert_eq!(plan.learned(Some(later)), None, "nothing new");
        assert_eq!(plan.mode(later), FetchMode::Remove);
        assert_eq!(plan.learned(None), Some(FetchMode::Reserve));
        assert_eq!(plan.mode(later), FetchMode::Reserve);

        for (reserve, mode) in [(Reserve::Yes, FetchMode::Reserve), (Reserve::No, FetchMode::Remove)] {
            let plan = Plan::new(reserve);
            plan.learned(Some(now));
            assert_eq!((plan.mode(now), plan.may_remove()), (mode, reserve == Reserve::No));
        }
    }
}
