//! When an installation that nobody has verified may be proved. Each proof costs a REST call, and anybody can make a
//! handler call. No clock of its own, no I/O.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::secret::Secret;
use crate::state::tokens::TokenPair;

/// After a proof that did not succeed no other one starts for this long.
const PAUSE: Duration = Duration::from_secs(60);
/// How many installations wait at most. The portal does not repeat its call, so what is not waited for is lost.
const MAX_WAITING: usize = 8;
/// How long an installation waits at most: its access token is valid for an hour.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// What a call that claims an installation brings.
pub struct Candidate {
    /// Its tokens.
    pub pair: TokenPair,
    /// What is to prove the portal's next calls.
    pub application_token: Secret,
    /// When the call arrived.
    pub arrived: Instant,
}

/// Installations that wait for their proof. The newest one is proved first: with forged ones before it, the real one is
/// the last that arrives.
#[derive(Default)]
pub struct ProofQueue {
    waiting: VecDeque<Candidate>,
    is_proving: bool,
    /// When the next proof may start.
    next: Option<Instant>,
}

impl ProofQueue {
    /// A candidate arrived at `now`. Returns it if it may be proved at once; [`ProofQueue::finished`] has to follow.
    /// Otherwise it waits, and the oldest one gives way if too many do.
    pub fn offer(&mut self, candidate: Candidate, now: Instant) -> Option<Candidate> {
        if !self.is_proving && self.next.is_none_or(|next| next <= now) {
            self.is_proving = true;
            return Some(candidate);
        }
        self.waiting.retain(|other| other.pair.access != candidate.pair.access);
        self.waiting.push_back(candidate);
        if self.waiting.len() > MAX_WAITING {
            self.waiting.pop_front();
        }
        None
    }

    /// How many candidates wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The next candidate to be proved, if it is time; [`ProofQueue::finished`] has to follow.
    pub fn next_candidate(&mut self, now: Instant) -> Option<Candidate> {
        if self.next_time().is_none_or(|next| next > now) {
            return None;
        }
        let candidate = self.waiting.pop_back()?;
        self.is_proving = true;
        Some(candidate)
    }

    /// When to ask for the next candidate.
    pub fn next_time(&self) -> Option<Instant> {
        let first = self.waiting.front()?;
        (!self.is_proving).then(|| self.next.unwrap_or(first.arrived))
    }

    /// Removes those that have waited too long. Returns how many.
    pub fn expire(&mut self, now: Instant) -> usize {
        let before = self.waiting.len();
        self.waiting.retain(|candidate| candidate.arrived + MAX_WAIT > now);
        before - self.waiting.len()
    }

    /// A proof has ended at `now`, or was not needed.
    pub fn finished(&mut self, outcome: Outcome, now: Instant) {
        self.is_proving = false;
        match outcome {
            Outcome::Proved | Outcome::NotNeeded => {}
            Outcome::Refused => self.next = Some(now + PAUSE),
            Outcome::Unknown(candidate) => {
                self.next = Some(now + PAUSE);
                // Last, so that it does not keep the others waiting.
                if self.waiting.len() < MAX_WAITING {
                    self.waiting.push_front(candidate);
                }
            }
        }
    }
}

/// How a proof has ended.
pub enum Outcome {
    /// The installation is real.
    Proved,
    /// It was decided without a REST call.
    NotNeeded,
    /// The installation is none of our application, on our portal, by an administrator.
    Refused,
    /// Nobody could say; the candidate waits for another proof.
    Unknown(Candidate),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, arrived: Instant) -> Candidate {
        let pair = TokenPair { access: Secret::new(name), ..TokenPair::none() };
        Candidate { pair, application_token: Secret::new(""), arrived }
    }

    fn names(queue: &mut ProofQueue, from: Instant) -> Vec<(u64, String)> {
        let mut names = Vec::new();
        for second in 0..4000 {
            let now = from + Duration::from_secs(second);
            queue.expire(now);
            if let Some(candidate) = queue.next_candidate(now) {
                names.push((second, candidate.pair.access.expose().to_owned()));
                queue.finished(Outcome::Refused, now);
            }
        }
        names
    }

    #[test]
    fn one_proof_that_fails_a_minute_and_the_newest_first() {
        let start = Instant::now();
        let mut queue = ProofQueue::default();
        assert!(queue.offer(candidate("a", start), start).is_some());
        assert!(queue.offer(candidate("b", start), start).is_none(), "one proof at a time");
        assert!(queue.next_time().is_none() && queue.next_candidate(start).is_none());
        queue.finished(Outcome::Refused, start);
        for name in ["c", "d", "b"] {
            assert!(queue.offer(candidate(name, start), start).is_none());
        }
        let names = names(&mut queue, start);
        assert_eq!(names, [(60, "b".into()), (120, "d".into()), (180, "c".into())], "none of them twice");
        assert!(queue.next_time().is_none());
    }

    #[test]
    fn no_pause_follows_a_proof_that_succeeds() {
        let start = Instant::now();
        for outcome in [Outcome::Proved, Outcome::NotNeeded] {
            let mut queue = ProofQueue::default();
            queue.offer(candidate("a", start), start).unwrap();
            queue.offer(candidate("b", start), start);
            queue.finished(outcome, start);
            assert!(queue.next_time().is_some_and(|at| at <= start));
            assert!(queue.next_candidate(start).is_some());
        }
    }

    #[test]
    fn a_flood_takes_little_memory_and_leaves_the_newest() {
        let start = Instant::now();
        let mut queue = ProofQueue::default();
        queue.offer(candidate("a", start), start).unwrap();
        queue.finished(Outcome::Refused, start);
        for number in 0..1000 {
            queue.offer(candidate(&number.to_string(), start), start);
        }
        assert_eq!(queue.waiting(), MAX_WAITING);
        assert_eq!(names(&mut queue, start).first(), Some(&(60, "999".into())));
    }

    #[test]
    fn one_that_could_not_be_decided_is_tried_for_an_hour() {
        let start = Instant::now();
        let mut queue = ProofQueue::default();
        let mut attempts = 0;
        let mut current = queue.offer(candidate("a", start), start);
        for second in 0..10_000 {
            let now = start + Duration::from_secs(second);
            queue.expire(now);
            if let Some(candidate) = current.take().or_else(|| queue.next_candidate(now)) {
                attempts += 1;
                queue.finished(Outcome::Unknown(candidate), now);
            }
        }
        assert_eq!(attempts, 60);
    }
}
