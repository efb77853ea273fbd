//! Random sequences of everything that happens to tokens. After each, every client starts and renews; only a pair whose
//! answer never arrived may be dead, and then the text says so ([`World::renew`] asserts it).

use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;

struct Counts {
    sequences: u64,
    renewals: u64,
    kills: u64,
    lost_answers: u64,
}

#[test]
fn no_sequence_kills_the_tokens() {
    let sequences =
        std::env::var("B24_SEQUENCES").map_or(1_000, |number| number.parse().expect("B24_SEQUENCES is a number"));
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"b24events: tokens, sequences 1.0");
    let mut counts = Counts { sequences: 0, renewals: 0, kills: 0, lost_answers: 0 };
    for _ in 0..sequences {
        run(&mut rng, &mut counts);
    }
    let Counts { sequences, renewals, kills, lost_answers } = counts;
    println!(
        "{sequences} sequences: {renewals} renewals, {kills} kills, {lost_answers} lost answers told, 0 dead pairs"
    );
    assert!(renewals > sequences && kills > sequences / 10 && lost_answers > sequences / 100);
}

fn run(rng: &mut TestRng, counts: &mut Counts) {
    let mut below = |max: u64| rand_below(rng, max);
    let clients = 1 + below(3) as usize;
    let together = below(clients as u64 + 1) as usize;
    let mut files = below(1 << clients) as u32;
    // Processes share tokens by a file, or not at all.
    if together < clients {
        if together > 0 {
            files |= 1 << below(together as u64);
        }
        (together..clients).for_each(|alone| files |= 1 << alone);
    }
    // Then they may be given different ones, which only the process brings together, and only folders know.
    let without_tokens = clients == together.max(1) && below(4) == 0;
    let setup = Setup {
        clients,
        together,
        files,
        folders: files == 0 || without_tokens || below(2) == 0,
        host_stores: below(2) == 0,
        without_tokens,
        without_expiry: below(4) == 0,
        real_time: false,
    };
    let mut world = World::new(setup);
    let mut configurations = vec![world.configured()];
    for _ in 0..5 + below(25) {
        let client = below(setup.clients as u64) as usize;
        if !world.is_running(client) {
            if below(8) == 0 {
                world.kill_in(Some(1 + below(4) as u32));
            }
            world.start(client);
            world.kill_in(None);
            continue;
        }
        match below(26) {
            0..=7 => {
                if below(3) == 0 {
                    world.kill_in(Some(1 + below(14) as u32));
                }
                if below(30) == 0 {
                    world.lose_next_answer(true);
                }
                renew(&mut world, client, counts);
                world.kill_in(None);
            }
            8 => world.stop(client),
            // Alone only where the file goes on without it.
            9 if (0..clients).all(|client| setup.has_file(client)) => world.stop_alone(client),
            9 => world.stop(client),
            10 | 11 => world.back_up(client),
            12 | 13 if world.backups() > 0 => {
                if below(4) == 0 {
                    world.kill_in(Some(1 + below(4) as u32));
                }
                let backup = below(world.backups() as u64) as usize;
                world.restore(client, backup);
                world.kill_in(None);
            }
            14 => {
                world.configure_new_tokens();
                configurations.push(world.configured());
            }
            // The host's configuration comes from a backup.
            15 => {
                let old = below(configurations.len() as u64) as usize;
                world.configure(configurations[old].clone());
            }
            16 => {
                let _ = world.set_new_tokens(client);
            }
            17 => world.set_full(true),
            18 => world.set_full(false),
            19 if setup.folders => {
                world.stop(client);
                world.switch_portal(client);
            }
            20 | 21 => {
                let _ = world.set_configured(client);
            }
            // What it knew of old tokens is lost with it, unless the folders of all who used it know it too.
            22 if setup.files & 1 != 0 && setup.folders && clients == together.max(1) => {
                world.replace_tokens_file("https://portal");
            }
            23 => world.hold_file(true),
            24 => world.hold_file(false),
            25 => world.refuse_next_with(Some("QUERY_LIMIT_EXCEEDED")),
            _ => {}
        }
        configurations.push(world.configured());
    }
    world.set_full(false);
    world.hold_file(false);
    world.refuse_next_with(None);
    world.lose_next_answer(false);
    for client in 0..setup.clients {
        if !world.is_running(client) {
            assert!(world.start(client));
        }
        // Again after what others left was found, a lost answer told, and the application authorized anew.
        for _ in 0..3 {
            renew(&mut world, client, counts);
        }
        renew_surely(&mut world, client);
    }
    counts.sequences += 1;
    counts.renewals += world.renewals();
    counts.kills += world.kills;
}

fn renew(world: &mut World, client: usize, counts: &mut Counts) {
    if world.access(client).is_empty() {
        let _ = world.set_configured(client);
        return;
    }
    match world.renew(client).into_inner() {
        Some(Err(error)) if is_invalid_grant(&error) => {
            counts.lost_answers += 1;
            world.kill_in(None);
            world.set_full(false);
            world.hold_file(false);
            assert!(world.set_new_tokens(client).0);
        }
        Some(Err(Error::Network(_) | Error::State(_) | Error::Busy(_)) | Ok(())) | None => {}
        Some(Err(error)) if error.code() == "QUERY_LIMIT_EXCEEDED" => {}
        Some(Err(error)) => panic!("{error}"),
    }
}

fn renew_surely(world: &mut World, client: usize) {
    world.renew(client).unwrap();
}

fn rand_below(rng: &mut TestRng, max: u64) -> u64 {
    use proptest::prelude::RngCore;
    rng.next_u64() % max
}
