use super::*;

fn pair(access: &str) -> TokenPair {
    TokenPair {
        access: Secret::new(access),
        refresh: Secret::new("refresh"),
        expires: 7,
        lifetime: 0,
        client_endpoint: "https://x/rest/".into(),
        member_id: "m".into(),
    }
}

fn store(configured: &str) -> Store {
    Store::new(None, Secret::new(configured), "OneC").unwrap()
}

fn removed(ids: &[&str]) -> PendingBatch {
    let record = |id: &&str| {
        let json = format!(r#"{{"MESSAGE_ID":"{id}","ID":"1"}}"#);
        ((*id).to_owned(), RawValue::from_string(json).unwrap())
    };
    PendingBatch::Removed(ids.iter().map(record).collect())
}

#[test]
fn what_is_open_comes_back_elsewhere() {
    let here = store("t0");
    let (first, _) = here.add_in_flight(PendingBatch::Reserved("p1".into()));
    let (second, _) = here.add_in_flight(removed(&["a", "b"]));
    let (third, _) = here.add_in_flight(PendingBatch::Reserved("p2".into()));
    here.complete(first, &[], true).unwrap();
    here.complete(second, &["a"], false).unwrap();
    here.complete(third, &["x"], false).unwrap();
    let there = store("t0");
    let tokens = there.restore(&here.to_json(&pair("t1"))).unwrap().unwrap();
    assert_eq!((tokens.access.expose(), tokens.refresh.expose(), tokens.expires), ("t1", "refresh", 7));
    let due: Vec<PendingBatch> =
        std::iter::from_fn(|| there.next_for_redelivery(None, false)).map(|(_, batch)| batch).collect();
    assert!(matches!(&due[0], PendingBatch::Reserved(id) if id == "p2"), "{due:?}");
    assert!(matches!(&due[1], PendingBatch::Removed(records) if records.len() == 1 && records[0].0 == "b"), "{due:?}");
    assert_eq!(due.len(), 2);
}

#[test]
fn a_dropped_taking_is_due_after_recovery() {
    let store = store("t0");
    let (key, _) = store.add_in_flight(PendingBatch::Reserved("p1".into()));
    assert_eq!(store.redeliver_abandoned(), 0, "the host still has it");
    store.abandon(key);
    assert!(store.next_for_redelivery(None, false).is_none());
    assert_eq!(store.redeliver_abandoned(), 1);
    let (key, _) = store.next_for_redelivery(None, false).unwrap();
    store.redeliver(key);
    assert!(store.next_for_redelivery(None, false).is_some());
}

#[test]
fn strange_reservations_are_adopted_when_they_are_old_enough() {
    let store = store("t0");
    store.add_in_flight(PendingBatch::Reserved("ours".into())).1.unwrap();
    let portal = |ids: &[&str]| {
        ids.iter().map(|id| Reservation { process_id: (*id).to_owned(), failed: false }).collect::<BTreeSet<_>>()
    };
    assert_eq!(store.adopt_orphans(portal(&["ours", "lost", "gone"]), 1000, 60), Ok(0));
    assert_eq!(store.adopt_orphans(portal(&["ours", "lost"]), 1059, 60), Ok(0));
    assert_eq!(store.adopt_orphans(portal(&["ours", "lost", "gone"]), 1060, 60), Ok(1), "gone was away in between");
    assert!(matches!(store.next_for_redelivery(None, false), Some((_, PendingBatch::Reserved(id))) if id == "lost"));
    assert_eq!(store.adopt_orphans(portal(&["ours", "lost"]), 2000, 0), Ok(0), "known now");
    assert_eq!(store.adopt_orphans(portal(&["another"]), 2000, 0), Ok(1), "at once when nobody else can be at work");
}

#[test]
fn records_of_another_queue_are_not_taken_in() {
    let here = store("t0");
    here.add_in_flight(PendingBatch::Reserved("p1".into())).1.unwrap();
    let json = here.to_json(&pair("t1"));
    let other = Store::new(None, Secret::new("t0"), "Other").unwrap();
    assert!(matches!(other.restore(&json), Err(Error::State(text)) if text.contains("OneC")));
}

#[test]
fn tokens_of_an_earlier_authorization_are_not_used() {
    let here = store("t0");
    let json = here.to_json(&pair("t1"));
    for (configured, used) in [("t0", true), ("t1", true), ("", true), ("new", false)] {
        assert_eq!(store(configured).restore(&json).unwrap().is_some(), used, "{configured}");
    }
}

#[test]
fn the_application_token_goes_with_the_state() {
    let here = store("t0");
    here.set_application_token(&Secret::new("proof")).unwrap();
    let there = store("other");
    there.restore(&here.to_json(&pair("t1"))).unwrap();
    assert_eq!(there.application_token().unwrap().expose(), "proof");
    there.restore(&store("t0").to_json(&pair("t1"))).unwrap();
    assert!(there.application_token().is_some(), "a state of before leaves it");
    there.forget_application().unwrap();
    assert!(there.application_token().is_none() && there.tokens().is_none());
}

#[test]
fn what_is_no_state_is_refused_without_quoting_it() {
    for bad in ["planted", r#"{"version":2}"#, "{}", r#"{"version":1,"tokens":"planted"}"#] {
        let error = store("t").restore(bad).unwrap_err();
        assert!(matches!(&error, Error::State(text) if !text.contains("planted")), "{error}");
    }
}

#[test]
fn failed_records_go_to_who_asks_for_them() {
    let store = store("t0");
    let (key, _) = store.add_in_flight(PendingBatch::ReservedFailed("p1".into()));
    store.abandon(key);
    assert!(store.next_for_redelivery(None, false).is_none());
    let there = self::store("t0");
    there.restore(&store.to_json(&pair("t1"))).unwrap();
    there.restore(&store.to_json(&pair("t1"))).unwrap();
    let (key, batch) = there.next_for_redelivery(None, true).unwrap();
    assert!(matches!(batch, PendingBatch::ReservedFailed(id) if id == "p1"));
    assert!(there.next_for_redelivery(None, true).is_none(), "restored twice, there once");
    there.redeliver(key);
    assert!(there.next_for_redelivery(Some(key), true).is_none(), "only what comes after");
}

#[test]
fn what_was_given_up_changes_no_more() {
    let folder = std::env::temp_dir().join(format!("b24events-given-up-{}", std::process::id()));
    let contents = || Store::new(Some(&folder), Secret::new("t0"), "OneC");
    let first = contents().unwrap();
    let (key, written) = first.add_in_flight(PendingBatch::Reserved("p1".into()));
    written.unwrap();
    assert!(contents().is_err(), "locked");
    first.release();
    let second = contents().unwrap();
    assert!(second.next_for_redelivery(None, false).is_some());
    assert_eq!(first.complete(key, &[], true), Err(Error::Closed));
    drop(second);
    std::fs::remove_dir_all(&folder).unwrap();
}
