//! Tokens against a model of everything around them: processes that are killed at any moment, a disk that fills up,
//! hosts that restore old states, and an authorization server that never forgives a pair that is used twice.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::MutexGuard;

use super::*;
use crate::cancel::Cancellation;
use crate::clock::SystemClock;
use crate::log::Log;
use crate::portal::oauth::{Keeper, TokensSink};
use crate::state::PortalName;
use crate::state::storage::Storage;
use crate::state::store::{Identity, Store};

mod sequences;
mod world;

use world::{Setup, World};

fn is_invalid_grant(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if refusal.code == "invalid_grant")
}

#[test]
fn a_process_that_starts_with_the_first_token_finds_the_newest_pair_after_any_number_of_renewals() {
    let mut world = World::new(Setup { together: false, clients: 2, file: true, folders: false, host_stores: false });
    world.start(0);
    for renewal in 0..200 {
        world.renew(0).unwrap();
        if [63, 64, 65, 128, 199].contains(&renewal) {
            world.start(1);
            world.renew(1).unwrap();
            world.stop(1);
        }
    }
    world.stop(0);
    world.start(0);
    world.renew(0).unwrap();
}

#[test]
fn an_older_state_does_not_replace_a_newer_folder() {
    let mut world = World::new(Setup { together: false, clients: 1, file: false, folders: true, host_stores: false });
    world.start(0);
    world.back_up(0);
    world.renew(0).unwrap();
    world.restore(0, 0);
    world.renew(0).unwrap();
    world.stop(0);
    world.start(0);
    world.restore(0, 0);
    world.renew(0).unwrap();
}

#[test]
fn a_host_that_dies_in_its_own_callback_loses_nothing() {
    let mut world = World::new(Setup { together: false, clients: 1, file: false, folders: true, host_stores: true });
    world.start(0);
    world.renew(0).unwrap();
    world.die_in_callback();
    assert!(world.renew(0).is_none(), "killed");
    assert!(!world.is_running(0));
    world.start(0);
    world.renew(0).unwrap();
}

#[test]
fn nothing_is_bought_on_a_full_disk_and_set_tokens_are_used_all_the_same() {
    let mut world = World::new(Setup { together: false, clients: 1, file: true, folders: true, host_stores: false });
    world.start(0);
    world.set_full(true);
    for _ in 0..3 {
        assert!(matches!(world.renew(0).unwrap_err(), Error::State(text) if text.contains("full")));
    }
    assert_eq!(world.renewals(), 0);
    let (used, stored) = world.set_new_tokens(0);
    assert!(used && matches!(stored, Err(Error::State(_))), "{stored:?}");
    world.set_full(false);
    world.renew(0).unwrap();
    world.stop(0);
    world.start(0);
    world.renew(0).unwrap();
}

#[test]
fn a_disk_that_fills_up_during_a_renewal_has_room_for_the_new_pair() {
    for (file, folders) in [(true, false), (false, true), (true, true)] {
        let mut world = World::new(Setup { clients: 1, together: false, file, folders, host_stores: false });
        world.start(0);
        world.fill_disk_at_next_answer();
        world.renew(0).unwrap();
        world.stop(0);
        world.set_full(false);
        world.start(0);
        world.renew(0).unwrap();
    }
}

#[test]
fn an_answer_that_never_arrived_is_what_the_text_says() {
    for (file, folders) in [(true, false), (false, true), (true, true)] {
        let mut world = World::new(Setup { together: false, clients: 1, file, folders, host_stores: false });
        world.start(0);
        world.lose_next_answer(true);
        assert!(matches!(world.renew(0).unwrap_err(), Error::Network(_)));
        world.stop(0);
        world.start(0);
        let error = world.renew(0).unwrap_err();
        assert!(is_invalid_grant(&error) && error.to_string().contains("never arrived"), "{error}");
        assert!(world.set_new_tokens(0).0);
        world.renew(0).unwrap();
    }
}

#[test]
fn a_pair_that_somebody_else_has_used_up_is_no_lost_answer() {
    let mut world = World::new(Setup { together: false, clients: 1, file: false, folders: true, host_stores: false });
    world.start(0);
    world.use_up_elsewhere(0);
    let error = world.renew(0).unwrap_err();
    assert!(is_invalid_grant(&error) && !error.to_string().contains("never arrived"), "{error}");
}

#[test]
fn a_state_of_strangers_is_used_only_where_there_are_no_tokens() {
    let mut world = World::new(Setup { together: false, clients: 2, file: false, folders: true, host_stores: false });
    world.start(0);
    world.renew(0).unwrap();
    world.back_up(0);
    // Another authorization, which knows nothing of the first one.
    world.configure_new_tokens();
    world.start(1);
    let ours = world.access(1);
    world.restore(1, 0);
    assert_eq!(world.access(1), ours);
    world.stop(1);
    world.configure_nothing();
    world.forget_folder(1);
    world.start(1);
    assert!(world.access(1).is_empty());
    world.restore(1, 0);
    assert_eq!(world.access(1), world.access(0));
}

#[test]
fn after_an_uninstallation_the_configured_token_does_not_come_back() {
    let mut world = World::new(Setup { together: false, clients: 1, file: false, folders: true, host_stores: false });
    world.start(0);
    world.renew(0).unwrap();
    world.uninstall(0);
    assert!(world.access(0).is_empty());
    world.stop(0);
    world.start(0);
    assert!(world.access(0).is_empty(), "the configuration still holds the first token");
    assert!(world.set_new_tokens(0).0, "installed again");
    world.stop(0);
    world.start(0);
    world.renew(0).unwrap();
}

#[test]
fn an_end_waits_for_the_renewal_under_way() {
    let mut world = World::new(Setup { together: false, clients: 1, file: false, folders: true, host_stores: false });
    world.start(0);
    let (renewed, state_was_current) = world.close_during_renewal(0);
    assert!(renewed && state_was_current);
    world.start(0);
    world.renew(0).unwrap();
}
