//! When an installation that nobody has verified may be proved. Each proof costs a REST call, and anybody can make a
//! handler call. No clock of its own, no I/O.
//!
//! A flood of forged installations must not push the real one out. What a call says proves nothing, but a forger has to
//! know it: calls that name the portal as the client does come before others, and each `member_id` gets its share of
//! the places and of the proofs.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::secret::Secret;
use crate::state::tokens::TokenPair;

/// After a proof that did not succeed no other one starts for this long.
const PAUSE: Duration = Duration::from_secs(60);
/// How many installations wait at most. The portal does not repeat its call, so what is not waited for is lost.
const MAX_WAITING: usize = 32;
/// How long an installation waits at most: its access token is valid for an hour.
const MAX_WAIT: Duration = Duration::from_secs(3600);
/// The maximum length of what a candidate brings, in bytes. The portal's tokens have 70 characters each.
const MAX_LENGTH: usize = 4096;

/// What a call that claims an installation brings.
pub struct Candidate {
    /// Its tokens, and the portal's `member_id`.
    pub pair: TokenPair,
    /// What is to prove the portal's next calls.
    pub application_token: Secret,
    /// Whether the call names the portal as the client does.
    pub names_portal: bool,
    /// When the call arrived.
    pub arrived: Instant,
}

impl Candidate {
    /// Whether it is longer than any installation of a portal.
    pub fn is_too_long(&self) -> bool {
        let texts = [self.pair.access.expose(), self.pair.refresh.expose(), self.application_token.expose()];
        let length = texts.iter().map(|text| text.len()).sum::<usize>();
        length + self.pair.member_id.len() + self.pair.client_endpoint.len() > MAX_LENGTH
    }

    /// Whether both claim to come from the same portal.
    fn is_like(&self, other: &Candidate) -> bool {
        self.names_portal == other.names_portal && self.is_of(&other.pair.member_id)
    }

    fn is_of(&self, member_id: &str) -> bool {
        self.pair.member_id.eq_ignore_ascii_case(member_id)
    }
}

/// Installations that wait for their proof. Of several that are alike the newest one is proved first: with forged ones
/// before it, the real one is the last that arrives.
#[derive(Default)]
pub struct ProofQueue {
    /// The oldest one first.
    waiting: VecDeque<Candidate>,
    /// The `member_id` that is being proved.
    proving: Option<String>,
    /// `member_id`s of which an installation was refused, the last one last.
    refused: VecDeque<String>,
    /// How many have given way to others.
    displaced: u64,
    /// When the next proof may start.
    next: Option<Instant>,
}

impl ProofQueue {
    /// A candidate arrived at `now`. Returns it if it may be proved at once; [`ProofQueue::finished`] has to follow.
    /// Otherwise it waits, and another one gives way if too many do.
    pub fn offer(&mut self, candidate: Candidate, now: Instant) -> Option<Candidate> {
        if self.proving.is_none() && self.next.is_none_or(|next| next <= now) {
            return Some(self.start(candidate));
        }
        self.waiting.retain(|other| other.pair.access != candidate.pair.access);
        self.waiting.push_back(candidate);
        self.limit_waiting();
        None
    }

    fn start(&mut self, candidate: Candidate) -> Candidate {
        self.proving = Some(candidate.pair.member_id.clone());
        candidate
    }

    /// Removes one if too many wait: the oldest of the largest group of those that are alike.
    fn limit_waiting(&mut self) {
        if self.waiting.len() <= MAX_WAITING {
            return;
        }
        let group = |candidate: &Candidate| self.waiting.iter().filter(|other| other.is_like(candidate)).count();
        let order = |candidate: &Candidate| (candidate.names_portal, Reverse(group(candidate)));
        let first = self.waiting.iter().enumerate().min_by_key(|(_, candidate)| order(candidate));
        if let Some(index) = first.map(|(index, _)| index) {
            self.waiting.remove(index);
            self.displaced = self.displaced.saturating_add(1);
        }
    }

    /// How many have given way to others since the last call.
    pub fn take_displaced(&mut self) -> u64 {
        std::mem::take(&mut self.displaced)
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
        let was_refused = |candidate: &Candidate| self.refused.iter().any(|member_id| candidate.is_of(member_id));
        let order = |candidate: &Candidate| (candidate.names_portal, !was_refused(candidate));
        let last = self.waiting.iter().enumerate().max_by_key(|(_, candidate)| order(candidate));
        let candidate = self.waiting.remove(last.map(|(index, _)| index)?)?;
        Some(self.start(candidate))
    }

    /// When to ask for the next candidate.
    pub fn next_time(&self) -> Option<Instant> {
        let first = self.waiting.front()?;
        self.proving.is_none().then(|| self.next.unwrap_or(first.arrived))
    }

    /// Removes those that have waited too long. Returns how many.
    pub fn expire(&mut self, now: Instant) -> usize {
        let before = self.waiting.len();
        self.waiting.retain(|candidate| candidate.arrived + MAX_WAIT > now);
        before - self.waiting.len()
    }

    /// A proof has ended at `now`, or was not needed.
    pub fn finished(&mut self, outcome: Outcome, now: Instant) {
        let member_id = self.proving.take();
        match outcome {
            Outcome::Proved | Outcome::NotNeeded => {}
            Outcome::Refused => {
                self.next = Some(now + PAUSE);
                self.refused.extend(member_id);
                if self.refused.len() > MAX_WAITING {
                    self.refused.pop_front();
                }
            }
            Outcome::Unknown(candidate) => {
                self.next = Some(now + PAUSE);
                // As the oldest one, so that it does not keep others like it waiting.
                self.waiting.push_front(candidate);
                self.limit_waiting();
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
        candidate_of("", name, true, arrived)
    }

    fn candidate_of(member_id: &str, name: &str, names_portal: bool, arrived: Instant) -> Candidate {
        let pair = TokenPair { access: Secret::new(name), member_id: member_id.into(), ..TokenPair::none() };
        Candidate { pair, application_token: Secret::new(""), names_portal, arrived }
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
        assert_eq!([queue.take_displaced(), queue.take_displaced()], [1000 - MAX_WAITING as u64, 0]);
        assert_eq!(names(&mut queue, start).first(), Some(&(60, "999".into())));
    }

    #[test]
    fn every_member_gets_a_place_and_its_turn() {
        let start = Instant::now();
        let mut queue = ProofQueue::default();
        queue.offer(candidate_of("loud", "first", true, start), start).unwrap();
        queue.finished(Outcome::Refused, start);
        queue.offer(candidate_of("quiet", "quiet", true, start), start);
        queue.offer(candidate_of("QUIET", "quiet, too", true, start), start);
        for number in 0..1000 {
            queue.offer(candidate_of("loud", &format!("loud {number}"), true, start), start);
            queue.offer(candidate_of(&number.to_string(), &format!("elsewhere {number}"), false, start), start);
        }
        assert_eq!(queue.waiting(), MAX_WAITING);
        let names: Vec<String> = names(&mut queue, start).into_iter().map(|(_, name)| name).take(3).collect();
        assert_eq!(names, ["quiet, too", "loud 999", "loud 998"], "both were refused once when the third one follows");
    }

    #[test]
    fn one_that_could_not_be_decided_waits_on_in_a_flood() {
        let start = Instant::now();
        let mut queue = ProofQueue::default();
        let undecided = queue.offer(candidate_of("quiet", "quiet", true, start), start).unwrap();
        for number in 0..1000 {
            queue.offer(candidate_of("loud", &number.to_string(), true, start), start);
        }
        queue.finished(Outcome::Unknown(undecided), start);
        assert_eq!(queue.waiting(), MAX_WAITING);
        let names: Vec<String> = names(&mut queue, start).into_iter().map(|(_, name)| name).take(2).collect();
        assert_eq!(names, ["999", "quiet"]);
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
