//! `b24-emulator`: the portal as a program.

mod demo;
mod serve;

use std::process::ExitCode;

use lexopt::{Arg, Parser};

const HELP: &str = "\
b24-emulator: a Bitrix24 portal on 127.0.0.1

usage: b24-emulator <command> [options]

commands:
  serve    run a portal until Ctrl-C; print its address, its tokens and curl commands to try
  demo     show how changes in a portal reach a program that uses the library
  help     print this text

options of demo:
  --events N             how many deals the last step adds (default: 3)
  --handler              the portal calls the client; the client does not listen to the push server
  --both                 the portal calls the client, and the client listens to the push server as well
  --on-premise           the portal is an installation of its owner, not the cloud

options of serve:
  --listen ADDRESS       address on loopback; port 0 means any free port (default: 127.0.0.1:0)
  --on-premise           an installation of the portal's owner, not the cloud
  --push-version N       version of the push server, 1 to 5 (default: 4)
  --push-personal        the portal has a push server of its own: no clientId
  --hold SECONDS         how long a poll waits for a message (default: 40)
  --no-websocket         offer long polling only
  --ping SECONDS         time between two pings of a WebSocket, 0 for none (default: 40)
  --channel-ttl SECONDS  lifetime of a channel (default: 43200)
  --token-ttl SECONDS    lifetime of an access token (default: 3600)
  --no-reserve           a plan that does not allow clear=0
  --no-connector         a plan that does not allow auth_connector
  --no-handler-tokens    call handlers without an access token
  --limits BURST/RATE    limit the requests; the cloud has 50/2 (default: no limit)
  --record-ttl SECONDS   delete records this long after their last change (default: 2952000)
  --reservation-race MS  event.offline.get selects records, and reserves them only after this time (default: 0)
  --binding-time MS      event.bind holds its lock for this time (default: 0)
  --not-installed        the installation is not finished: nothing is queued
  --payment-expired      the application is not paid for: nothing is queued
  --license-expired      the portal is not paid for: ACCESS_DENIED
  --closed               the public part is closed: PORTAL_DELETED
  --no-push-server       the push server is switched off: SERVER_ERROR
  --no-auth-server       the portal does not reach the authorization server: CONNECTION_ERROR
  --quiet                do not log requests
";

fn main() -> ExitCode {
    match run(&mut Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("b24-emulator: {error}");
            // Other errors are about the arguments.
            if !matches!(error, lexopt::Error::Custom(_)) {
                eprintln!("try: b24-emulator help");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &mut Parser) -> Result<(), lexopt::Error> {
    // Also behind a command.
    if std::env::args_os().any(|argument| argument == "--help" || argument == "-h") {
        return help();
    }
    match arguments.next()? {
        Some(Arg::Value(command)) if command == "serve" => serve::serve(arguments),
        Some(Arg::Value(command)) if command == "demo" => demo::demo(arguments),
        Some(Arg::Value(command)) if command == "help" => help(),
        None => help(),
        Some(other) => Err(other.unexpected()),
    }
}

fn help() -> Result<(), lexopt::Error> {
    print!("{HELP}");
    Ok(())
}
