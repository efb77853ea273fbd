use super::*;
use crate::clock::SystemClock;
use std::sync::atomic::{AtomicBool, Ordering};

const AT_ONCE: Timeout = Timeout::After(Duration::ZERO);
const LONG: Duration = Duration::from_secs(3600);

fn doorbell() -> (Arc<Doorbell>, Cancellation) {
    let cancel = Cancellation::default();
    (Arc::new(Doorbell::new(LONG, Arc::new(SystemClock), cancel.clone())), cancel)
}

#[test]
fn signals_are_merged_into_one_notification() {
    let (bell, _cancel) = doorbell();
    assert_eq!(bell.wait(AT_ONCE), Ok(None));
    bell.ring_unsignalled();
    bell.ring(2);
    bell.ring(3);
    assert_eq!(bell.wait(AT_ONCE), Ok(Some(Notification { count: 5, signalled: true })));
    assert_eq!(bell.wait(Timeout::After(Duration::from_millis(5))), Ok(None));
    bell.ring(u64::MAX);
    bell.ring(1);
    assert_eq!(bell.wait(AT_ONCE), Ok(Some(Notification { count: u64::MAX, signalled: true })));
}

#[test]
fn a_ring_wakes_one_waiting_thread_and_the_cancellation_wakes_all() {
    let (bell, cancel) = doorbell();
    let wait = |bell: &Arc<Doorbell>| {
        let bell = bell.clone();
        std::thread::spawn(move || bell.wait(Timeout::Never))
    };
    let first = wait(&bell);
    bell.ring_unsignalled();
    assert_eq!(first.join().unwrap(), Ok(Some(Notification::default())));
    let others = [wait(&bell), wait(&bell)];
    cancel.cancel();
    for other in others {
        assert_eq!(other.join().unwrap(), Err(Error::Closed));
    }
}

#[test]
fn an_earlier_check_wakes_a_thread_that_waits_already() {
    let (bell, _cancel) = doorbell();
    let waiting = {
        let bell = bell.clone();
        std::thread::spawn(move || bell.wait(Timeout::After(Duration::from_secs(60))))
    };
    std::thread::sleep(Duration::from_millis(20));
    bell.check_within(Duration::from_millis(20));
    assert_eq!(waiting.join().unwrap(), Ok(Some(Notification::default())));
}

#[test]
fn an_error_and_a_notification_reach_two_waiting_threads() {
    let (bell, _cancel) = doorbell();
    bell.ring(1);
    bell.report(Error::Network("x".into()));
    let waits: Vec<_> = (0..2)
        .map(|_| {
            let bell = bell.clone();
            std::thread::spawn(move || bell.wait(Timeout::Never).is_ok())
        })
        .collect();
    let mut outcomes: Vec<bool> = waits.into_iter().map(|wait| wait.join().unwrap()).collect();
    outcomes.sort();
    assert_eq!(outcomes, [false, true]);
}

#[test]
fn it_rings_unsignalled_when_a_check_is_due() {
    let bell = Doorbell::new(Duration::from_millis(20), Arc::new(SystemClock), Cancellation::default());
    assert!(bell.tick() <= Duration::from_millis(20));
    std::thread::sleep(Duration::from_millis(25));
    bell.tick();
    assert_eq!(bell.wait(AT_ONCE), Ok(Some(Notification { count: 0, signalled: false })));
    let (slow, _cancel) = doorbell();
    slow.check_within(Duration::ZERO);
    assert_eq!(slow.tick(), LONG);
    assert_eq!(slow.wait(AT_ONCE), Ok(Some(Notification::default())));
    slow.check_within(Duration::from_secs(1));
    assert!(slow.tick() <= Duration::from_secs(1));
}

#[test]
fn the_readiness_shows_whether_a_notification_waits() {
    struct Light(AtomicBool);
    impl Readiness for Light {
        fn set_ready(&self, ready: bool) {
            self.0.store(ready, Ordering::SeqCst);
        }
    }
    let (bell, cancel) = doorbell();
    bell.ring(1);
    let light = Arc::new(Light(AtomicBool::new(false)));
    bell.set_readiness(light.clone());
    let shown = || light.0.load(Ordering::SeqCst);
    assert!(shown());
    bell.wait(AT_ONCE).unwrap();
    assert!(!shown());
    bell.report(Error::Network("x".into()));
    bell.ring(1);
    assert!(bell.wait(AT_ONCE).is_err());
    assert!(shown(), "the notification still waits");
    bell.wait(AT_ONCE).unwrap();
    assert!(!shown());
    cancel.cancel();
    bell.cancelled();
    assert!(shown());
}

#[test]
fn a_shorter_interval_brings_the_next_check_forward_and_a_longer_one_does_not_put_it_off() {
    let (bell, _cancel) = doorbell();
    assert!(bell.tick() > LONG / 2);
    bell.set_check_interval(Duration::from_secs(30));
    assert!(bell.tick() <= Duration::from_secs(30));
    bell.set_check_interval(LONG);
    assert!(bell.tick() <= Duration::from_secs(30));
    bell.check_within(Duration::ZERO);
    bell.tick();
    assert!(bell.tick() > LONG / 2);
}

#[test]
fn a_check_that_is_due_rings_although_no_other_thread_has_time_to_tick() {
    let bell = Doorbell::new(Duration::from_millis(20), Arc::new(SystemClock), Cancellation::default());
    let start = std::time::Instant::now();
    assert_eq!(bell.wait(Timeout::After(LONG)), Ok(Some(Notification::default())));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(bell.wait(Timeout::After(Duration::from_millis(1))), Ok(None));
}
