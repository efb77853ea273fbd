//! `b24-emulator demo`: a portal, a user who works in it, and a host that receives every change through the library.

mod host;
mod library;
mod memory;
mod script;
mod transcript;
mod user;

use std::error::Error;

use b24_emulator::{ADMINISTRATOR, Emulator, Options};
use lexopt::{Arg, Parser, ValueExt};

use host::Host;
use library::Library;
use transcript::{Counted, Transcript};
use user::User;

pub fn demo(arguments: &mut Parser) -> Result<(), lexopt::Error> {
    let mut burst = 3;
    let mut source = "push";
    let mut on_premise = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("events") => burst = arguments.value()?.parse()?,
            Arg::Long("handler") => source = "handler",
            Arg::Long("both") => source = "both",
            Arg::Long("on-premise") => on_premise = true,
            other => return Err(other.unexpected()),
        }
    }
    play(burst, source, on_premise).map_err(lexopt::Error::Custom)
}

fn play(burst: u32, source: &str, on_premise: bool) -> Result<(), Box<dyn Error + Send + Sync>> {
    let emulator = Emulator::start(Options { on_premise, ..Options::default() })?;
    let user = User::new(emulator.webhook_url());
    // The memory that the portal and its user need does not count as the library's.
    user.call("profile", "{}")?;
    let before = memory::resident();

    let library = Library::load()?;
    println!("portal   {}  (an emulator inside this program)", emulator.portal_url());
    println!("library  {}  (version {})", library.path().display(), library.version());
    let client = library.new_client(&[
        ("portal.url", &emulator.portal_url()),
        ("auth.access_token", &emulator.issue_tokens(ADMINISTRATOR).access_token),
        ("source", source),
        ("handler.listen", "127.0.0.1:0"),
        ("handler.application_token", &emulator.application().application_token),
    ])?;
    let how = match source {
        "push" => "the client listens to the portal's push server",
        "handler" => "the portal calls the client's handler",
        _ => "the portal calls the client's handler, and the client listens to the push server",
    };
    println!("source   {source}  ({how})");
    for event in script::EVENTS {
        client.bind_event(event)?;
        println!("event    {event}");
    }

    let steps = script::steps(burst);
    let mut transcript = Transcript::new(&user);
    let (first, others) = steps.split_first().expect("a script has steps");
    transcript.make_changes(first)?;
    let host = Host::start(client, source != "push");
    transcript.follow_host(first, &host)?;
    let after = memory::resident();
    for step in others {
        transcript.make_changes(step)?;
        transcript.follow_host(step, &host)?;
    }
    let acknowledged = host.stop();

    transcript.summarize(&Counted {
        events_made: emulator.counters().events_made,
        acknowledged,
        left: emulator.queue("").len() as u64,
        memory: before.zip(after).map(|(before, after)| after.saturating_sub(before)),
    })?;
    println!("\nto try a program of yours: cargo run -p b24-emulator -- serve");
    Ok(())
}
