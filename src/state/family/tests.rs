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

#[test]
fn strangers_are_decided_by_the_configured_token() {
    let reconciled = |ours: &[&str], theirs: &[&str], configured: &str| {
        let family = family(ours).reconcile(family(theirs), &Secret::new(configured));
        (newest(&family).to_owned(), family)
    };
    assert_eq!(reconciled(&["a1", "a2"], &["b1", "b2"], "b1").0, "b2");
    assert_eq!(reconciled(&["a1", "a2"], &["b1", "b2"], "a1").0, "a2");
    assert_eq!(reconciled(&["a1", "a2"], &["b1", "b2"], "").0, "a2", "ours without a configured token");
    assert_eq!(reconciled(&[], &["b1", "b2"], "").0, "b2");
    assert_eq!(reconciled(&["a1"], &[], "c").0, "a1");
    let (_, mut family) = reconciled(&["a1", "a2"], &["b1", "b2", "b3"], "c");
    assert_eq!(family.present(pair("c")), Presented::Adopted);
    assert_eq!((newest(&family), family.generation()), ("c", 4));
    assert_eq!(family.present(pair("b3")), Presented::Outdated);
    assert_eq!(family.present(pair("a2")), Presented::Outdated);
    // A state that was not chosen stays a stranger: its tokens may be configured later.
    let (_, mut family) = reconciled(&["a1"], &["b1"], "a1");
    assert_eq!(family.present(pair("b1")), Presented::Adopted);
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
    ours.end_renewal();
    assert_eq!(ours.renewal_begun(), None);
    copy.succeed(pair("t2"));
    assert_eq!(copy.renewal_begun(), None);
}

#[test]
fn a_stored_family_counts_at_least_what_it_remembers() {
    let ours = family(&["t1", "t2", "t3"]);
    let read = TokenFamily::stored(1, ours.pair().clone(), &ours.ancestors(), Some(5)).unwrap();
    assert_eq!((newest(&read), read.generation(), read.renewal_begun()), ("t3", 3, Some(5)));
    assert!(read.knows(&Secret::new("t1")));
    assert!(TokenFamily::stored(1, pair("t"), "?", None).is_none());
}
