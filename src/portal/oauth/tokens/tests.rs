//! Tokens against a model of everything around them: processes that are killed at any moment, a disk that fills up,
//! hosts that restore old states, and an authorization server that never forgives a pair that is used twice.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{LazyLock, MutexGuard};

use super::*;
use crate::cancel::Cancellation;
use crate::clock::SystemClock;
use crate::log::Log;
use crate::portal::oauth::{Keeper, TokensSink};
use crate::state::PortalName;
use crate::state::storage::Storage;
use crate::state::store::{Identity, Store};

mod authorizations;
mod computer;
mod scripted;
mod sequences;
mod world;

use world::{Setup, World};

fn is_invalid_grant(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if refusal.code == "invalid_grant")
}

#[test]
fn a_process_that_starts_with_the_first_token_finds_the_newest_pair_after_any_number_of_renewals() {
    let mut world = World::new(Setup { clients: 2, files: 0b11, ..Setup::default() });
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
    let mut world = World::new(Setup { clients: 1, folders: true, ..Setup::default() });
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
    let mut world = World::new(Setup { clients: 1, folders: true, host_stores: true, ..Setup::default() });
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
    let mut world = World::new(Setup { clients: 1, files: 0b1, folders: true, ..Setup::default() });
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
        let mut world = World::new(Setup { clients: 1, files: u32::from(file), folders, ..Setup::default() });
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
        let mut world = World::new(Setup { clients: 1, files: u32::from(file), folders, ..Setup::default() });
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
    let mut world = World::new(Setup { clients: 1, folders: true, ..Setup::default() });
    world.start(0);
    world.use_up_elsewhere(0);
    let error = world.renew(0).unwrap_err();
    assert!(is_invalid_grant(&error) && !error.to_string().contains("never arrived"), "{error}");
}

#[test]
fn a_restored_state_that_is_one_pair_behind_the_configuration_tells_all_the_old_tokens() {
    let mut world = World::new(Setup { clients: 1, host_stores: true, ..Setup::default() });
    let first = world.configured();
    world.start(0);
    world.renew(0).unwrap();
    world.back_up(0);
    // The host stores the next pair, and dies before it has stored the state too.
    world.renew(0).unwrap();
    world.stop(0);
    world.start(0);
    world.restore(0, 0);
    world.back_up(0);
    world.stop(0);
    // Somebody configures the first token again.
    world.configure(first);
    world.start(0);
    world.restore(0, 1);
    world.renew(0).unwrap();
}

#[test]
fn a_state_of_strangers_is_used_only_where_there_are_no_tokens() {
    let mut world = World::new(Setup { clients: 2, folders: true, ..Setup::default() });
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
    let mut world = World::new(Setup { clients: 1, folders: true, ..Setup::default() });
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
    let mut world = World::new(Setup { clients: 1, folders: true, real_time: true, ..Setup::default() });
    world.start(0);
    let (renewed, state_was_current) = world.close_during_renewal(0);
    assert!(renewed && state_was_current);
    world.start(0);
    world.renew(0).unwrap();
}

/// Two clients of one process that do not know of each other when they start.
fn two_in_one_process(changes: Setup) -> World {
    World::new(Setup { clients: 2, together: 2, ..changes })
}

#[test]
fn clients_that_are_given_the_same_tokens_later_share_them() {
    for (first, second) in [(0, 1), (1, 0)] {
        let mut world = two_in_one_process(Setup { without_tokens: true, ..Setup::default() });
        world.start(0);
        world.set_configured(first).unwrap();
        world.renew(first).unwrap();
        world.set_configured(second).unwrap();
        assert_eq!(world.access(0), world.access(1));
        world.renew(second).unwrap();
        world.renew(first).unwrap();
        assert_eq!(world.renewals(), 3);
    }
}

#[test]
fn clients_that_restore_the_same_state_share_its_tokens() {
    let mut world = two_in_one_process(Setup { without_tokens: true, ..Setup::default() });
    world.start(0);
    world.set_configured(0).unwrap();
    world.back_up(0);
    world.renew(0).unwrap();
    world.stop(0);
    world.start(0);
    world.restore(0, 0);
    world.set_new_tokens(0).1.unwrap();
    world.renew(0).unwrap();
    world.restore(1, 0);
    assert_eq!(world.access(0), world.access(1));
    world.renew(1).unwrap();
    world.renew(0).unwrap();
}

#[test]
fn two_authorizations_become_one_when_the_host_sets_the_same_pair_everywhere() {
    let mut world = two_in_one_process(Setup { without_tokens: true, ..Setup::default() });
    world.start(0);
    world.set_configured(0).unwrap();
    world.set_new_tokens(1).1.unwrap();
    assert_ne!(world.access(0), world.access(1));
    world.configure_new_tokens();
    for client in [0, 1, 1, 0] {
        world.set_configured(client).unwrap();
        world.renew(client).unwrap();
    }
    assert_eq!(world.access(0), world.access(1));
}

#[test]
fn a_client_without_the_tokens_file_renews_what_others_share_by_it() {
    // The first two live in one process, and only the first of them has the file.
    let mut world = World::new(Setup { clients: 3, together: 2, files: 0b101, ..Setup::default() });
    (0..3).for_each(|client| assert!(world.start(client)));
    for client in [1, 2, 1, 0, 2, 1] {
        world.renew(client).unwrap();
    }
}

#[test]
fn another_authorization_in_the_tokens_file_is_followed_and_not_overwritten() {
    let mut world = World::new(Setup { clients: 2, files: 0b11, ..Setup::default() });
    world.start(0);
    world.renew(0).unwrap();
    let replaced = world.replace_tokens_file("https://portal");
    world.renew(0).unwrap();
    assert_eq!(world.access(0), replaced.access.expose());
    world.start(1);
    assert_eq!(world.access(1), replaced.access.expose(), "the configured token is its ancestor");
    world.renew(1).unwrap();
    world.renew(0).unwrap();
}

#[test]
fn the_tokens_file_of_another_portal_is_left_alone() {
    let mut world = World::new(Setup { clients: 2, files: 0b11, ..Setup::default() });
    world.start(0);
    let theirs = world.replace_tokens_file("https://another");
    let error = world.renew(0).unwrap_err();
    assert!(
        matches!(&error, Error::State(text) if text.contains("https://portal") && text.contains("https://another")),
        "{error}"
    );
    assert!(world.is_stored_anywhere(theirs.refresh.expose()));
    assert_eq!(world.renewals(), 0);
}

#[test]
fn threads_that_set_and_renew_the_same_tokens_at_once_never_buy_with_one_pair_twice() {
    for round in 0..200 {
        let mut world = World::new(Setup {
            clients: 3,
            together: 3,
            files: round % 8,
            folders: round % 3 == 0,
            without_tokens: true,
            real_time: true,
            ..Setup::default()
        });
        assert!(world.start(0));
        let pair = world.configured();
        std::thread::scope(|scope| {
            for client in 0..3 {
                let (tokens, pair) = (world.tokens(client), pair.clone());
                scope.spawn(move || {
                    tokens.present(pair, true).unwrap();
                    for _ in 0..3 {
                        let deadline = Deadline::after(Duration::from_secs(60), std::time::Instant::now());
                        tokens.renew(&tokens.access(), deadline).unwrap();
                    }
                });
            }
        });
        assert_eq!(world.misused(), 0, "round {round}");
        (0..3).for_each(|client| world.renew(client).unwrap());
        assert!((0..3).all(|client| world.access(client) == world.access(0)), "round {round}");
    }
}

#[test]
fn whoever_shares_a_family_stores_what_another_one_has_bought() {
    let mut world = two_in_one_process(Setup { folders: true, ..Setup::default() });
    world.start(0);
    world.renew(0).unwrap();
    world.renew(0).unwrap();
    // The process dies: nothing is stored at its end.
    world.kill_in(Some(1));
    assert!(world.renew(0).is_none());
    // Each alone has what it needs.
    world.start_alone(1);
    world.renew(1).unwrap();
}

#[test]
fn the_folder_of_a_client_that_has_ended_does_not_fall_behind_the_others_of_its_process() {
    for without_tokens in [false, true] {
        let mut world = two_in_one_process(Setup { folders: true, without_tokens, ..Setup::default() });
        world.start(0);
        if without_tokens {
            // They turn out to be one family when the first one has ended already.
            world.set_configured(0).unwrap();
            world.renew(0).unwrap();
            world.stop_alone(0);
            world.start_alone(0);
            world.set_configured(1).unwrap();
        }
        world.stop_alone(0);
        world.renew(1).unwrap();
        world.renew(1).unwrap();
        world.stop_alone(1);
        world.start_alone(0);
        world.renew(0).unwrap();
    }
}
