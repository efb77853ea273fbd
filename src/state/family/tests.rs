use super::*;

fn pair(access: &str) -> TokenPair {
    TokenPair { access: Secret::new(access), refresh: Secret::new(format!("refresh of {access}")), ..TokenPair::none() }
}

/// A family that had these tokens, the last one being the newest.
fn family(tokens: &[&str]) -> TokenFamily {
    let mut family = TokenFamily::none();
    tokens.iter().for_each(|token| family.succeed(pair(token)));
    family
}

fn newest(family: &TokenFamily) -> &str {
    family.pair().access.expose()
}

#[test]
fn a_presented_token_is_looked_up() {
    let mut ours = family(&["t1", "t2", "t3"]);
    for (token, outcome) in
        [("", Presented::Current), ("t1", Presented::Outdated), ("t2", Presented::Outdated), ("t3", Presented::Current)]
    {
        assert_eq!(ours.present(pair(token)), outcome, "{token}");
        assert_eq!((newest(&ours), ours.generation()), ("t3", 3), "{token}");
    }
    assert_eq!(ours.present(pair("new")), Presented::Adopted);
    assert_eq!((newest(&ours), ours.generation()), ("new", 4));
    assert_eq!(ours.present(pair("t3")), Presented::Outdated, "what was there before is an ancestor");
}

#[test]
fn presenting_the_newest_token_completes_what_is_known_of_it() {
    let mut ours = TokenFamily::new(TokenPair { refresh: Secret::new(""), ..pair("t1") });
    ours.present(TokenPair { expires: 7, lifetime: 3, client_endpoint: "https://x/rest/".into(), ..pair("t1") });
    assert_eq!((ours.pair().refresh.expose(), ours.pair().expires), ("refresh of t1", 7));
    ours.present(TokenPair { refresh: Secret::new("refresh of t0"), ..pair("t1") });
    assert_eq!(ours.pair().refresh.expose(), "refresh of t1", "the host has stored one token of two");
    ours.present(TokenPair { refresh: Secret::new(""), ..pair("t1") });
    assert_eq!((ours.pair().refresh.expose(), ours.pair().expires), ("refresh of t1", 7), "nothing replaces something");
    ours.succeed(pair("t2"));
    assert_eq!(
        ours.pair().client_endpoint,
        "https://x/rest/",
        "a pair that does not say where the portal is inherits it"
    );
}

#[test]
fn a_refresh_token_that_is_refused_can_be_corrected() {
    let mistyped = TokenPair { refresh: Secret::new("mistyped"), ..pair("t1") };
    let mut ours = TokenFamily::new(mistyped.clone());
    ours.present(pair("t1"));
    assert_eq!(ours.pair().refresh.expose(), "mistyped", "nothing tells yet that it is");
    ours.refuse();
    let mut copy = TokenFamily::new(mistyped.clone());
    copy.meet(ours.clone());
    assert!(copy.is_refused());
    ours.present(mistyped);
    assert!(ours.is_refused());
    ours.present(pair("t1"));
    assert_eq!((ours.pair().refresh.expose(), ours.is_refused()), ("refresh of t1", false));
    copy.meet(ours.clone());
    assert_eq!((copy.pair().refresh.expose(), copy.is_refused()), ("refresh of t1", false));
    ours.meet(TokenFamily::new(TokenPair { refresh: Secret::new("mistyped"), ..pair("t1") }));
    assert_eq!(ours.pair().refresh.expose(), "refresh of t1");
    copy.refuse();
    copy.succeed(pair("t2"));
    assert!(!copy.is_refused());
}

#[test]
fn of_two_copies_of_a_family_the_newer_counts() {
    for (ours, theirs, result) in [
        (&["t1", "t2"][..], &["t1"][..], "t2"),
        (&["t1"], &["t1", "t2"], "t2"),
        (&["t1", "t2"], &["t1", "t2"], "t2"),
        // Grown apart by an authorization each: the longer one.
        (&["t1", "a"], &["t1", "b", "c"], "c"),
        (&["t1", "b", "c"], &["t1", "a"], "c"),
        // Whoever knows the other's newest is newer, however the generations are counted.
        (&["t1", "t2", "t3"], &["t2", "t3", "t4"], "t4"),
        (&["t2", "t3", "t4"], &["t1", "t2", "t3"], "t4"),
        (&["x", "y", "z", "t1"], &["t1", "t2"], "t2"),
    ] {
        let (mut ours, theirs) = (family(ours), family(theirs));
        assert!(ours.is_related(&theirs) && theirs.is_related(&ours));
        let generation = ours.generation().max(theirs.generation());
        ours.meet(theirs.clone());
        assert_eq!(newest(&ours), result);
        assert!(ours.generation() >= generation);
        assert!(ours.knows(&theirs.pair().access));
        let again = ours.generation();
        assert!(!ours.meet(theirs), "meeting again changes nothing");
        assert_eq!((newest(&ours), ours.generation()), (result, again));
    }
}

/// A family whose newest pair expires then.
fn expiring(tokens: &[&str], expires: u64) -> TokenFamily {
    let mut family = family(tokens);
    let pair = TokenPair { expires, ..family.pair().clone() };
    family.pair = pair;
    family
}

#[test]
fn of_two_strangers_who_share_a_file_the_one_that_was_bought_last_counts() {
    for (ours, theirs, result) in [
        (expiring(&["a1", "a2"], 10), expiring(&["b1"], 20), "b1"),
        (expiring(&["a1", "a2"], 20), expiring(&["b1"], 10), "a2"),
        // What a host presents does not say when it expires.
        (expiring(&["a1", "a2"], 10), family(&["b1"]), "b1"),
        (family(&["a1", "a2"]), family(&["b1"]), "b1"),
        (TokenFamily::none(), family(&["b1"]), "b1"),
        (family(&["a1"]), TokenFamily::none(), "a1"),
    ] {
        let mut met = ours.clone();
        met.meet_shared(&theirs);
        assert_eq!(newest(&met), result);
        // Whoever uses the other one follows.
        for mut copy in [ours, theirs].into_iter().filter(|copy| copy.generation() > 0) {
            copy.meet_shared(&met);
            assert_eq!((newest(&copy), copy == met), (result, true));
        }
    }
    let mut ours = family(&["a1"]);
    let mut retired = family(&["b1"]);
    retired.retire();
    ours.meet_shared(&retired);
    assert_eq!(newest(&ours), "a1", "their application was uninstalled");
}

#[test]
fn a_carried_stranger_is_used_only_where_there_is_nothing() {
    let mut ours = family(&["a1"]);
    let carried = family(&["b1", "b2"]);
    ours.meet_carried(&carried);
    assert_eq!(newest(&ours), "a1");
    assert_eq!(ours.present(pair("b1")), Presented::Outdated, "the first token of all may still be configured");
    let mut older = carried;
    older.meet(ours);
    assert_eq!(newest(&older), "a1");
    let mut nothing = TokenFamily::none();
    nothing.meet_carried(&family(&["b1", "b2"]));
    assert_eq!(newest(&nothing), "b2");
}

#[test]
fn a_pair_that_was_bought_for_one_that_is_gone_is_only_remembered() {
    let mut ours = family(&["t1"]);
    ours.present(pair("installed meanwhile"));
    ours.renewed(&Secret::new("t1"), pair("t2"));
    assert_eq!(newest(&ours), "installed meanwhile");
    assert_eq!(ours.present(pair("t2")), Presented::Outdated);
    ours.renewed(&Secret::new("installed meanwhile"), pair("t3"));
    assert_eq!(newest(&ours), "t3");
}

#[test]
fn a_living_pair_counts_more_than_an_uninstallation_that_does_not_know_it() {
    let mut uninstalled = family(&["t1", "t2", "t3"]);
    uninstalled.retire();
    let generation = uninstalled.generation();
    uninstalled.retire();
    assert_eq!(uninstalled.generation(), generation, "once is enough");
    let mut installed = family(&["t1", "installed again"]);
    let mut met = uninstalled.clone();
    assert!(met.meet(installed.clone()));
    assert_eq!(newest(&met), "installed again");
    assert!(!installed.meet(uninstalled));
    assert_eq!(newest(&installed), "installed again");
}

#[test]
fn after_an_uninstallation_old_tokens_do_not_come_back() {
    let mut ours = family(&["t1", "t2"]);
    let old = ours.clone();
    ours.retire();
    assert!(ours.pair().is_none());
    assert!(!ours.meet(old) && ours.pair().is_none());
    assert_eq!(ours.present(pair("t1")), Presented::Outdated, "the configuration still holds the first token");
    assert_eq!(ours.present(pair("installed again")), Presented::Adopted);
    assert_eq!(newest(&ours), "installed again");
}

#[test]
fn a_renewal_is_noted_until_its_outcome_is_known() {
    let mut ours = family(&["t1"]);
    ours.begin_renewal(100);
    ours.begin_renewal(200);
    assert_eq!(ours.renewal_begun(), Some(100), "the first attempt may be the one that was answered");
    let mut copy = family(&["t1"]);
    copy.meet(ours.clone());
    assert_eq!(copy.renewal_begun(), Some(100));
    ours.restore_doubt(None);
    assert_eq!(ours.renewal_begun(), None);
    copy.succeed(pair("t2"));
    assert_eq!(copy.renewal_begun(), None);
}

#[test]
fn a_stored_family_counts_at_least_what_it_remembers() {
    let ours = family(&["t1", "t2", "t3"]);
    let read = TokenFamily::stored(1, ours.pair().clone(), &ours.ancestors()).unwrap();
    assert_eq!((newest(&read), read.generation()), ("t3", 3));
    assert!(read.knows(&Secret::new("t1")));
    assert!(TokenFamily::stored(1, pair("t"), "?").is_none());
}
