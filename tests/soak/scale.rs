//! How much of everything there is.

/// What is shared out among the lanes.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub events: u32,
    pub faults: u32,
    pub kills: u32,
    /// Hosts that are killed, side by side. One more is not.
    pub lanes: u32,
}

impl Scale {
    /// `B24_SOAK_EVENTS`, `B24_SOAK_FAULTS`, `B24_SOAK_KILLS` and `B24_SOAK_LANES`, or what takes some seconds.
    pub fn from_environment() -> Scale {
        Scale {
            events: number("B24_SOAK_EVENTS", 3_000),
            faults: number("B24_SOAK_FAULTS", 40),
            kills: number("B24_SOAK_KILLS", 40),
            lanes: number("B24_SOAK_LANES", 2).max(1),
        }
    }

    /// The host that is never killed gets a tenth of the events, as one that is killed catches up with little at a
    /// time, and a quarter of the faults, each of which it has to get over.
    pub fn of_the_long_lived(self) -> Scale {
        Scale { events: self.events / 10, faults: self.faults / 4, kills: 0, lanes: 1 }
    }

    /// What is left for one of the lanes whose host is killed: lane 0, 1, 2 and so on.
    pub fn of_a_killed(self, lane: u32) -> Scale {
        let other = self.of_the_long_lived();
        let part = |whole: u32| whole / self.lanes + u32::from(lane < whole % self.lanes);
        Scale {
            events: part(self.events - other.events),
            faults: part(self.faults - other.faults),
            kills: part(self.kills),
            lanes: 1,
        }
    }
}

fn number(variable: &str, otherwise: u32) -> u32 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")),
        Err(_) => otherwise,
    }
}

/// Where step `step` of `steps` begins in a whole of `whole`, so that all steps together are the whole.
pub fn share(whole: u32, step: u32, steps: u32) -> u32 {
    (u64::from(whole) * u64::from(step) / u64::from(steps.max(1))) as u32
}
