//! Proof of an installation: the call that brings the first tokens holds no token that we know yet, so its
//! `access_token` has to be one of our application on our portal.

use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use super::{FORBIDDEN, Rejection, UNAVAILABLE};
use crate::clock::Clock;
use crate::portal::Portal;
use crate::secret::Secret;

/// After a failed proof no other one starts for this long, because each costs a REST call.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Asks the portal which application a token belongs to, one proof at a time.
pub struct InstallationProof {
    portal: Arc<Portal>,
    client_id: String,
    clock: Arc<dyn Clock>,
    /// When the next proof may start, if the last one failed. Locked during a proof.
    next_proof: Mutex<Option<Instant>>,
}

impl InstallationProof {
    /// A proof for installations of the application `client_id`. Sends no request.
    pub fn new(portal: Arc<Portal>, client_id: String, clock: Arc<dyn Clock>) -> InstallationProof {
        InstallationProof { portal, client_id, clock, next_proof: Mutex::default() }
    }

    /// Rejects an installation whose `access_token` is not one of our application on our portal. Blocks for a REST
    /// call.
    pub fn check(&self, access: &Secret) -> Result<(), Rejection> {
        if self.client_id.is_empty() {
            return Err(Rejection {
                status: FORBIDDEN,
                reason: "the installation cannot be verified without auth.client_id; set it to the application's id \
                         and install the application again",
            });
        }
        let mut next_proof = match self.next_proof.try_lock() {
            Ok(next_proof) => next_proof,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Rejection { status: FORBIDDEN, reason: "another installation is being verified" });
            }
        };
        if next_proof.is_some_and(|next| self.clock.now() < next) {
            return Err(Rejection {
                status: FORBIDDEN,
                reason: "the installation follows too soon after one that failed; install the application again",
            });
        }
        let rejection = match self.portal.application_of(access) {
            Ok(code) if code == self.client_id => return Ok(()),
            Ok(_) => Rejection {
                status: FORBIDDEN,
                reason: "the installation is one of another application; check auth.client_id",
            },
            Err(error) if error.is_transient() => Rejection {
                status: UNAVAILABLE,
                reason: "the installation could not be verified, because the portal did not answer app.info; install \
                         the application again",
            },
            Err(_) => Rejection {
                status: FORBIDDEN,
                reason: "the portal does not accept the access_token of the installation",
            },
        };
        *next_proof = Some(self.clock.now() + PAUSE_AFTER_FAILURE);
        Err(rejection)
    }
}
