//! From the queue to the host: reserve, hand over as a batch, acknowledge.

mod batch;

pub use batch::Batch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::config::{Level, Reserve, Settings};
use crate::error::{Error, Result, Status};
use crate::portal::offline_events::{Take, Taken};
use crate::portal::{Portal, Surroundings};

/// Takes records for one client.
pub struct Delivery {
    portal: Arc<Portal>,
    reserve: Reserve,
    limit: u32,
    plan: AtomicU8,
    around: Surroundings,
}

/// What is known of the portal's plan.
const PLAN_UNKNOWN: u8 = 0;
const PLAN_RESERVES: u8 = 1;
const PLAN_REMOVES: u8 = 2;

impl Delivery {
    /// Nothing is asked yet.
    pub fn new(settings: &Settings, portal: Arc<Portal>, around: Surroundings) -> Delivery {
        Delivery {
            portal,
            reserve: settings.reserve,
            limit: settings.fetch_limit,
            plan: AtomicU8::new(PLAN_UNKNOWN),
            around,
        }
    }

    /// Takes up to `limit` records (0: `fetch.limit`). The batch may be empty.
    pub fn fetch(&self, limit: u32) -> Result<Batch> {
        let limit = match limit {
            0 => self.limit,
            1..=1000 => limit,
            _ => {
                return Err(Error::InvalidArgument(format!(
                    "limit cannot be {limit}; allowed: 0 (fetch.limit) to 1000"
                )));
            }
        };
        let (taken, take) = self.take(limit)?;
        self.around.stats.fetched.add(taken.message_ids.len() as u64);
        Ok(Batch::new(taken, take, limit, self.portal.clone(), self.around.stats.clone()))
    }

    fn take(&self, limit: u32) -> Result<(Taken, Take)> {
        let take = self.way()?;
        match self.portal.take(limit, take) {
            // The plan was changed since it was asked for.
            Err(error)
                if error.status() == Status::License && take == Take::Reserve && self.reserve == Reserve::Auto =>
            {
                self.remember(PLAN_REMOVES);
                self.portal.take(limit, Take::Remove).map(|taken| (taken, Take::Remove))
            }
            other => other.map(|taken| (taken, take)),
        }
    }

    fn way(&self) -> Result<Take> {
        match (self.reserve, self.plan.load(Ordering::Relaxed)) {
            (Reserve::Yes, _) | (Reserve::Auto, PLAN_RESERVES) => Ok(Take::Reserve),
            (Reserve::No, _) | (Reserve::Auto, PLAN_REMOVES) => Ok(Take::Remove),
            (Reserve::Auto, _) => match self.portal.has_feature("rest_offline_extended") {
                Ok(true) => Ok(self.remember(PLAN_RESERVES)),
                Ok(false) => Ok(self.remember(PLAN_REMOVES)),
                // A portal that does not know the question gets to refuse the call itself.
                Err(Error::Refused(refusal)) if refusal.status == Status::Portal && refusal.http_status < 500 => {
                    Ok(self.remember(PLAN_RESERVES))
                }
                Err(error) => Err(error),
            },
        }
    }

    fn remember(&self, plan: u8) -> Take {
        if self.plan.swap(plan, Ordering::Relaxed) == plan {
            return if plan == PLAN_RESERVES { Take::Reserve } else { Take::Remove };
        }
        if plan == PLAN_RESERVES {
            self.around
                .log
                .line(Level::Info, || "records stay reserved in the portal until they are acknowledged".into());
            Take::Reserve
        } else {
            self.around.log.line(Level::Warning, || {
                "the portal's plan does not allow to reserve records: the portal deletes them when it hands them out".into()
            });
            Take::Remove
        }
    }
}
