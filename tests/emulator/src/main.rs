//! `b24-emulator`: the portal as a program.

mod demo;
mod serve;

use std::process::ExitCode;

use lexopt::{Arg, Parser};

const HELP: &str = "\
b24-emulator: a Bitrix24 portal on 127.0.0.1

usage: b24-emulator <command> [options]

commands:
  serve    run a portal until Ctrl-C; prints its address, tokens and curl lines to paste
  demo     show how changes in a portal reach a program that uses the library
  help     this text

options of demo:
  --events N             3; how many deals are added in the last scene
  --handler              the portal calls the client, which does not listen to the push server
  --both                 it does both; what comes twice is delivered once

options of serve:
  --listen ADDRESS       127.0.0.1:0; port 0 takes a free one
  --push-version N       4; `server.version`, 1 to 5
  --push-personal        the push server is the portal's own: no clientId
  --hold SECONDS         40; how long a poll is held
  --no-websocket         long polling only
  --ping SECONDS         40; how often a WebSocket is pinged, 0 for never
  --channel-ttl SECONDS  43200
  --token-ttl SECONDS    3600
  --no-reserve           a plan without clear=0
  --no-connector         a plan without auth_connector
  --no-handler-tokens    calls of handlers carry no access token
  --limits BURST/RATE    the leaky bucket of the cloud is 50/2; none by default
  --quiet                no line per request
";

fn main() -> ExitCode {
    match run(&mut Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("b24-emulator: {error}");
            // Everything else is about the arguments.
            if !matches!(error, lexopt::Error::Custom(_)) {
                eprintln!("try: b24-emulator help");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &mut Parser) -> Result<(), lexopt::Error> {
    match arguments.next()? {
        Some(Arg::Value(command)) if command == "serve" => serve::serve(arguments),
        Some(Arg::Value(command)) if command == "demo" => demo::demo(arguments),
        Some(Arg::Value(command)) if command == "help" => help(),
        Some(Arg::Short('h') | Arg::Long("help")) | None => help(),
        Some(other) => Err(other.unexpected()),
    }
}

fn help() -> Result<(), lexopt::Error> {
    print!("{HELP}");
    Ok(())
}
