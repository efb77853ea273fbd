use std::sync::Arc;

use serde_json::value::RawValue;

use super::*;
use crate::state::private_file::PrivateFile;
use crate::state::private_file::tests::Folder;
use crate::state::tokens::TokenPair;

fn family(tokens: &[&str]) -> TokenFamily {
    let mut family = TokenFamily::none();
    for token in tokens {
        family.succeed(TokenPair {
            access: Secret::new(*token),
            refresh: Secret::new("refresh"),
            member_id: "m1".into(),
            client_endpoint: "https://renamed.bitrix24.ru/rest/".into(),
            ..TokenPair::none()
        });
    }
    family
}

fn identity(origin: &str, member_id: &str, connector_id: &str) -> Identity {
    let portal = PortalName { origin: origin.into(), member_id: member_id.into() };
    Identity { portal, connector_id: connector_id.into() }
}

fn ours() -> Identity {
    identity("https://my.bitrix24.ru", "", "OneC")
}

fn with_host() -> Store {
    Store::new(None, ours()).unwrap()
}

fn in_folder(folder: &Folder, identity: Identity) -> Result<Store> {
    let file = PrivateFile::new(folder.path().join("state.json"))?;
    Store::new(Some(Box::new(file)), identity)
}

fn newest(family: &TokenFamily) -> &str {
    family.pair().access.expose()
}

fn removed(ids: &[&str]) -> PendingBatch {
    let record = |id: &&str| {
        let json = format!(r#"{{"MESSAGE_ID":"{id}","ID":"1"}}"#);
        ((*id).to_owned(), RawValue::from_string(json).unwrap())
    };
    PendingBatch::Removed(ids.iter().map(record).collect())
}

const PAUSE: Duration = Duration::from_secs(5);

/// Everything that is to be redelivered, as text.
fn redelivered(store: &Store) -> Vec<String> {
    let now = Instant::now();
    let all = std::iter::from_fn(|| {
        store.next_for_redelivery(None, false, now).or_else(|| store.next_for_redelivery(None, true, now))
    });
    all.map(|(_, batch)| match batch {
        PendingBatch::Reserved(id) => id,
        PendingBatch::ReservedFailed(id) => format!("failed {id}"),
        PendingBatch::Removed(records) => records.into_iter().map(|(id, _)| id).collect::<Vec<_>>().join(" "),
    })
    .collect()
}

#[test]
fn what_is_pending_comes_back_elsewhere() {
    let here = with_host();
    let (first, _) = here.add_in_flight(PendingBatch::Reserved("p1".into()));
    let (second, _) = here.add_in_flight(removed(&["a", "b", ""]));
    let (third, _) = here.add_in_flight(PendingBatch::Reserved("p2".into()));
    here.add_in_flight(PendingBatch::ReservedFailed("p3".into())).1.unwrap();
    here.complete(first, &[], true).unwrap();
    here.complete(second, &["a"], false).unwrap();
    here.complete(third, &["x"], false).unwrap();
    let there = with_host();
    let carried = there.restore(&here.to_json(&family(&["t1"]))).unwrap();
    assert_eq!((newest(&carried), carried.pair().refresh.expose()), ("t1", "refresh"));
    // Once more: nothing is there twice, removed records neither.
    there.restore(&here.to_json(&family(&["t1"]))).unwrap();
    assert_eq!(redelivered(&there), ["p2", "b ", "failed p3"]);
}

#[test]
fn an_abandoned_batch_is_redelivered_after_recovery() {
    let now = Instant::now();
    let store = with_host();
    let (key, _) = store.add_in_flight(PendingBatch::Reserved("p1".into()));
    assert_eq!(store.redeliver_abandoned(), 0, "the host still has it");
    store.abandon(key, now + PAUSE);
    assert!(store.next_for_redelivery(None, false, now).is_none());
    assert_eq!(store.redeliver_abandoned(), 1);
    let (key, _) = store.next_for_redelivery(None, false, now).unwrap();
    store.redeliver(key);
    assert!(store.next_for_redelivery(Some(key), false, now).is_none(), "only what comes after");
    assert!(store.next_for_redelivery(None, false, now).is_some());
}

#[test]
fn an_abandoned_batch_is_redelivered_by_itself_after_its_pause() {
    let (now, store) = (Instant::now(), with_host());
    assert_eq!(store.next_redelivery(), None);
    let keys: Vec<Key> =
        ["p1", "p2"].iter().map(|id| store.add_in_flight(PendingBatch::Reserved((*id).into())).0).collect();
    store.abandon(keys[0], now + PAUSE * 2);
    store.abandon(keys[1], now + PAUSE);
    assert_eq!(store.next_redelivery(), Some(now + PAUSE));
    let early = now + PAUSE - Duration::from_millis(1);
    assert!(store.next_for_redelivery(None, false, early).is_none());
    assert_eq!(store.next_for_redelivery(None, false, now + PAUSE).map(|(key, _)| key), Some(keys[1]));
    assert_eq!(store.next_redelivery(), Some(now + PAUSE * 2));
    assert!(store.next_for_redelivery(None, false, now + PAUSE).is_none(), "the host has it again");
}

#[test]
fn failed_records_are_redelivered_to_fetches_of_failed_ones_only() {
    let now = Instant::now();
    let store = with_host();
    let (key, _) = store.add_in_flight(PendingBatch::ReservedFailed("p1".into()));
    store.abandon(key, now + PAUSE);
    assert!(store.next_for_redelivery(None, false, now).is_none());
    assert!(store.next_for_redelivery(None, true, now).is_some());
}

#[test]
fn what_is_acknowledged_while_the_portal_is_asked_is_no_company() {
    const AGES: OrphanAges = OrphanAges { alone: Duration::from_secs(60), in_company: Duration::from_secs(3600) };
    let start = Instant::now();
    let look = |store: &Store, ids: &[&str], seconds: u64| {
        let reservation = |id: &&str| Reservation { process_id: (*id).to_owned(), failed: false, first_id: 1 };
        let list =
            ReservationList { reservations: ids.iter().map(reservation).collect(), ..ReservationList::default() };
        let moment = Moment { now: start + Duration::from_secs(seconds), unix: 1_000_000 + seconds };
        store.adopt_orphans(list, AGES, moment, || 0).unwrap().0
    };
    let store = with_host();
    let (key, _) = store.add_in_flight(PendingBatch::Reserved("ours".into()));
    store.begin_search();
    // The portal's answer is on its way when another thread acknowledges.
    store.complete(key, &[], true).unwrap();
    assert_eq!(look(&store, &["ours"], 0), 0);
    store.begin_search();
    assert_eq!([look(&store, &["lost"], 1), look(&store, &["lost"], 61)], [0, 1], "it is alone");
}

#[test]
fn orphans_are_adopted_once_and_the_state_remembers_who_was_seen() {
    const AGES: OrphanAges = OrphanAges { alone: Duration::from_secs(60), in_company: Duration::from_secs(3600) };
    let start = Instant::now();
    let look = |store: &Store, ids: &[&str], seconds: u64| {
        let reservation = |(number, id): (usize, &&str)| Reservation {
            process_id: (*id).to_owned(),
            failed: *id == "failed",
            first_id: number as u64 + 1,
        };
        let reservations = ids.iter().enumerate().map(reservation).collect();
        let list = ReservationList { reservations, ..ReservationList::default() };
        let moment = Moment { now: start + Duration::from_secs(seconds), unix: 1_000_000 + seconds };
        store.adopt_orphans(list, AGES, moment, || 0).unwrap().0
    };
    let store = with_host();
    store.add_in_flight(PendingBatch::Reserved("ours".into())).1.unwrap();
    let ids = ["ours", "lost", "failed"];
    assert_eq!([look(&store, &ids, 0), look(&store, &ids, 59), look(&store, &ids, 60)], [0, 0, 2]);
    assert_eq!(redelivered(&store), ["lost", "failed failed"]);
    assert_eq!(look(&store, &ids, 2000), 0, "known now");

    assert_eq!(look(&store, &["ours", "lost", "failed", "other", "stays"], 3000), 0);
    assert_eq!(look(&store, &["ours", "lost", "failed", "x", "stays"], 3010), 0, "other was acknowledged");
    let next = with_host();
    next.restore(&store.to_json(&family(&["t1"]))).unwrap();
    assert_eq!(look(&next, &["ours", "lost", "failed", "x", "stays"], 3100), 0, "there is company");
}

#[test]
fn a_folder_never_goes_back_to_an_older_generation() {
    let folder = Folder::new("generations");
    let store = in_folder(&folder, ours()).unwrap();
    store.set_family(&family(&["t1", "t2", "t3"])).unwrap();
    store.set_family(&family(&["t1", "t2"])).unwrap();
    assert_eq!(newest(&store.family()), "t3");
    // A state without tokens, and an older one, leave them alone.
    store.restore(&with_host().to_json(&TokenFamily::none())).unwrap();
    store.restore(&with_host().to_json(&family(&["t1"]))).unwrap();
    drop(store);
    let store = in_folder(&folder, ours()).unwrap();
    assert_eq!(newest(&store.family()), "t3");
    let told = Document::read(&store.to_json(&family(&["t1"]))).unwrap().family().unwrap();
    assert_eq!(newest(&told), "t3", "what it tells is never older than what it has stored");
    let told = Document::read(&store.to_json(&family(&["t1", "t2", "t3", "t4"]))).unwrap().family().unwrap();
    assert_eq!(newest(&told), "t4");
}

#[test]
fn the_state_of_another_portal_is_refused_and_left_as_it_was() {
    let folder = Folder::new("portal");
    let store = in_folder(&folder, identity("https://old.bitrix24.ru", "m1", "OneC")).unwrap();
    store.add_in_flight(PendingBatch::Reserved("p1".into())).1.unwrap();
    drop(store);
    let path = folder.path().join("state.json");
    let before = std::fs::read(&path).unwrap();
    for other in [
        identity("https://other.bitrix24.ru", "", "OneC"),
        identity("https://other.bitrix24.ru", "m2", "OneC"),
        // The same address, but the portal behind it was set up anew.
        identity("https://old.bitrix24.ru", "m2", "OneC"),
    ] {
        let error = in_folder(&folder, other.clone()).err().unwrap();
        let Error::State(text) = &error else { panic!("{error:?}") };
        for part in ["state.json", "https://old.bitrix24.ru", &other.portal.origin, "m1", "handler.member_id"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let state = String::from_utf8(before.clone()).unwrap();
        assert!(Store::new(None, other).unwrap().restore(&state).is_err());
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    for same in [identity("https://old.bitrix24.ru", "", "OneC"), identity("https://renamed.bitrix24.ru", "M1", "OneC")]
    {
        assert_eq!(redelivered(&in_folder(&folder, same).unwrap()), ["p1"]);
    }
}

#[test]
fn a_renamed_portal_is_recognised_by_the_address_that_its_tokens_name() {
    let here = with_host();
    let json = here.to_json(&family(&["t1"]));
    let renamed = Store::new(None, identity("https://renamed.bitrix24.ru", "", "OneC")).unwrap();
    assert_eq!(newest(&renamed.restore(&json).unwrap()), "t1");
    assert!(Store::new(None, identity("https://x.bitrix24.ru", "", "OneC")).unwrap().restore(&json).is_err());
}

#[test]
fn records_of_another_connector_are_refused_and_tokens_are_not() {
    let here = with_host();
    let other = || Store::new(None, identity("https://my.bitrix24.ru", "", "Other")).unwrap();
    assert_eq!(newest(&other().restore(&here.to_json(&family(&["t1"]))).unwrap()), "t1");
    here.add_in_flight(PendingBatch::Reserved("p1".into())).1.unwrap();
    let error = other().restore(&here.to_json(&family(&["t1"]))).unwrap_err();
    assert!(matches!(&error, Error::State(text) if text.contains("OneC") && text.contains("Other")), "{error}");
}

#[test]
fn the_application_token_goes_with_the_state() {
    let here = with_host();
    here.set_application_token(&Secret::new("proof")).unwrap();
    let there = with_host();
    there.restore(&here.to_json(&family(&["t1"]))).unwrap();
    assert_eq!(there.application_token().unwrap().expose(), "proof");
    there.restore(&with_host().to_json(&family(&["t1"]))).unwrap();
    assert!(there.application_token().is_some(), "a state without one leaves it");
    there.forget_application_token().unwrap();
    assert!(there.application_token().is_none());
}

#[test]
fn an_older_state_does_not_bring_the_application_token_of_an_earlier_installation_back() {
    let store = with_host();
    store.set_family(&family(&["t1"])).unwrap();
    store.set_application_token(&Secret::new("proof")).unwrap();
    let older = store.to_json(&store.family());
    let mut uninstalled = store.family();
    uninstalled.retire();
    store.set_family(&uninstalled).unwrap();
    store.forget_application_token().unwrap();
    store.restore(&older).unwrap();
    assert!(store.application_token().is_none());
}

#[test]
fn what_is_not_a_state_is_refused_without_quoting_it() {
    let good = with_host().to_json(&family(&["planted"]));
    let cut = &good[..good.len() - 5];
    let long = format!("{good}{}", " ".repeat(100 << 20));
    for bad in ["planted", r#"{"version":3,"x":"planted"}"#, "{}", r#"{"version":1,"tokens":"planted"}"#, cut, &long] {
        let error = with_host().restore(bad).unwrap_err();
        assert!(matches!(&error, Error::State(text) if !text.contains("planted") && text.len() > 60), "{error}");
    }
    with_host().restore(&format!("\u{feff}{good}")).unwrap();
}

#[test]
fn a_damaged_file_is_named_and_not_overwritten() {
    let folder = Folder::new("damaged");
    std::fs::create_dir_all(folder.path()).unwrap();
    let path = folder.path().join("state.json");
    for damaged in ["", "{", "\0\0\0\0", r#"{"version":9}"#] {
        std::fs::write(&path, damaged).unwrap();
        let error = in_folder(&folder, ours()).err().unwrap();
        assert!(matches!(&error, Error::State(text) if text.contains("state.json")), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
    }
}

#[test]
fn a_released_state_changes_no_more_and_belongs_to_its_successor() {
    let folder = Folder::new("released");
    let first = in_folder(&folder, ours()).unwrap();
    let (key, written) = first.add_in_flight(PendingBatch::Reserved("p1".into()));
    written.unwrap();
    assert!(matches!(in_folder(&folder, ours()).err(), Some(Error::State(text)) if text.contains("in use")));
    first.release();
    let second = in_folder(&folder, ours()).unwrap();
    assert_eq!(redelivered(&second), ["p1"]);
    assert_eq!(first.complete(key, &[], true), Err(Error::Closed));
    assert_eq!(first.set_family(&family(&["t1"])), Err(Error::Closed));
}

#[test]
fn a_state_that_several_threads_change_is_written_whole() {
    let folder = Folder::new("threads");
    let store = Arc::new(in_folder(&folder, ours()).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = store.clone();
            scope.spawn(move || {
                for number in 0..20 {
                    store.add_in_flight(PendingBatch::Reserved(format!("{thread}-{number}"))).1.unwrap();
                }
            });
        }
    });
    store.release();
    assert_eq!(redelivered(&in_folder(&folder, ours()).unwrap()).len(), 80);
}

#[test]
fn a_folder_that_is_kept_up_to_date_at_this_moment_is_waited_for() {
    let folder = Folder::new("kept-up-to-date");
    drop(in_folder(&folder, ours()).unwrap());
    let file = PrivateFile::new(folder.path().join("state.json")).unwrap();
    let guard = file.try_lock().unwrap().unwrap();
    std::thread::scope(|scope| {
        let successor = scope.spawn(|| in_folder(&folder, ours()).map(drop));
        std::thread::sleep(Duration::from_millis(50));
        drop(guard);
        successor.join().unwrap().unwrap();
    });
}
