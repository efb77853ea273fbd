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

fn ledger(configured: &str) -> Ledger {
    Ledger::new(None, Secret::new(configured), "OneC").unwrap()
}

fn removed(ids: &[&str]) -> Taking {
    let record = |id: &&str| {
        let json = format!(r#"{{"MESSAGE_ID":"{id}","ID":"1"}}"#);
        ((*id).to_owned(), RawValue::from_string(json).unwrap())
    };
    Taking::Removed(ids.iter().map(record).collect())
}

#[test]
fn what_is_open_comes_back_elsewhere() {
    let here = ledger("t0");
    let (first, _) = here.enter(Taking::Reserved("p1".into()));
    let (second, _) = here.enter(removed(&["a", "b"]));
    let (third, _) = here.enter(Taking::Reserved("p2".into()));
    here.settle(first, &[], true).unwrap();
    here.settle(second, &["a"], false).unwrap();
    here.settle(third, &["x"], false).unwrap();
    let there = ledger("t0");
    let tokens = there.restore(&here.to_json(&pair("t1"))).unwrap().unwrap();
    assert_eq!((tokens.access.expose(), tokens.refresh.expose(), tokens.expires), ("t1", "refresh", 7));
    let due: Vec<Taking> = std::iter::from_fn(|| there.next_due(None, false)).map(|(_, taking)| taking).collect();
    assert!(matches!(&due[0], Taking::Reserved(id) if id == "p2"), "{due:?}");
    assert!(matches!(&due[1], Taking::Removed(records) if records.len() == 1 && records[0].0 == "b"), "{due:?}");
    assert_eq!(due.len(), 2);
}

#[test]
fn a_dropped_taking_is_due_after_recovery() {
    let ledger = ledger("t0");
    let (key, _) = ledger.enter(Taking::Reserved("p1".into()));
    assert_eq!(ledger.recover(), 0, "the host still has it");
    ledger.dropped(key);
    assert!(ledger.next_due(None, false).is_none());
    assert_eq!(ledger.recover(), 1);
    let (key, _) = ledger.next_due(None, false).unwrap();
    ledger.still_due(key);
    assert!(ledger.next_due(None, false).is_some());
}

#[test]
fn strange_reservations_are_adopted_when_they_are_old_enough() {
    let ledger = ledger("t0");
    ledger.enter(Taking::Reserved("ours".into())).1.unwrap();
    let portal = |ids: &[&str]| {
        ids.iter().map(|id| Reservation { process_id: (*id).to_owned(), failed: false }).collect::<BTreeSet<_>>()
    };
    assert_eq!(ledger.adopt(portal(&["ours", "lost", "gone"]), 1000, 60), Ok(0));
    assert_eq!(ledger.adopt(portal(&["ours", "lost"]), 1059, 60), Ok(0));
    assert_eq!(ledger.adopt(portal(&["ours", "lost", "gone"]), 1060, 60), Ok(1), "gone was away in between");
    assert!(matches!(ledger.next_due(None, false), Some((_, Taking::Reserved(id))) if id == "lost"));
    assert_eq!(ledger.adopt(portal(&["ours", "lost"]), 2000, 0), Ok(0), "known now");
    assert_eq!(ledger.adopt(portal(&["another"]), 2000, 0), Ok(1), "at once when nobody else can be at work");
}

#[test]
fn records_of_another_queue_are_not_taken_in() {
    let here = ledger("t0");
    here.enter(Taking::Reserved("p1".into())).1.unwrap();
    let json = here.to_json(&pair("t1"));
    let other = Ledger::new(None, Secret::new("t0"), "Other").unwrap();
    assert!(matches!(other.restore(&json), Err(Error::State(text)) if text.contains("OneC")));
}

#[test]
fn tokens_of_an_earlier_authorization_are_not_used() {
    let here = ledger("t0");
    let json = here.to_json(&pair("t1"));
    for (configured, used) in [("t0", true), ("t1", true), ("", true), ("new", false)] {
        assert_eq!(ledger(configured).restore(&json).unwrap().is_some(), used, "{configured}");
    }
}

#[test]
fn the_application_token_goes_with_the_state() {
    let here = ledger("t0");
    here.keep_application_token(&Secret::new("proof")).unwrap();
    let there = ledger("other");
    there.restore(&here.to_json(&pair("t1"))).unwrap();
    assert_eq!(there.application_token().unwrap().expose(), "proof");
    there.restore(&ledger("t0").to_json(&pair("t1"))).unwrap();
    assert!(there.application_token().is_some(), "a state of before leaves it");
    there.forget_application().unwrap();
    assert!(there.application_token().is_none() && there.tokens().is_none());
}

#[test]
fn what_is_no_state_is_refused_without_quoting_it() {
    for bad in ["planted", r#"{"version":2}"#, "{}", r#"{"version":1,"tokens":"planted"}"#] {
        let error = ledger("t").restore(bad).unwrap_err();
        assert!(matches!(&error, Error::State(text) if !text.contains("planted")), "{error}");
    }
}

#[test]
fn failed_records_go_to_who_asks_for_them() {
    let ledger = ledger("t0");
    let (key, _) = ledger.enter(Taking::ReservedFailed("p1".into()));
    ledger.dropped(key);
    assert!(ledger.next_due(None, false).is_none());
    let there = self::ledger("t0");
    there.restore(&ledger.to_json(&pair("t1"))).unwrap();
    there.restore(&ledger.to_json(&pair("t1"))).unwrap();
    let (key, taking) = there.next_due(None, true).unwrap();
    assert!(matches!(taking, Taking::ReservedFailed(id) if id == "p1"));
    assert!(there.next_due(None, true).is_none(), "restored twice, there once");
    there.still_due(key);
    assert!(there.next_due(Some(key), true).is_none(), "only what comes after");
}

#[test]
fn what_was_given_up_changes_no_more() {
    let folder = std::env::temp_dir().join(format!("b24events-given-up-{}", std::process::id()));
    let open = || Ledger::new(Some(&folder), Secret::new("t0"), "OneC");
    let first = open().unwrap();
    let (key, written) = first.enter(Taking::Reserved("p1".into()));
    written.unwrap();
    assert!(open().is_err(), "locked");
    first.give_up();
    let second = open().unwrap();
    assert!(second.next_due(None, false).is_some());
    assert_eq!(first.settle(key, &[], true), Err(Error::Closed));
    drop(second);
    std::fs::remove_dir_all(&folder).unwrap();
}
