//! An emulator for hosts in other processes: they find it through their environment, the test follows its answers.

use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use b24_emulator::{ADMINISTRATOR, EMPLOYEE, Emulator, Options};

/// Hosts answer within milliseconds; a host that needs longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Portal {
    pub emulator: Emulator,
    answered: Receiver<String>,
}

impl Portal {
    pub fn start() -> Portal {
        let (sender, answered) = mpsc::channel();
        let sender = Mutex::new(sender);
        let note = move |line: &str| {
            // The test may be over while a poll is still answered.
            let _ = sender.lock().unwrap().send(line.to_owned());
        };
        let options = Options { access_log: Some(Box::new(note)), ..Options::default() };
        Portal { emulator: Emulator::start(options).expect("loopback has a free port"), answered }
    }

    /// Tells a host in its environment where the portal is and who it is there.
    pub fn describe_to(&self, host: &mut Command) {
        let url = self.emulator.portal_url();
        let application = self.emulator.application();
        let tokens = self.emulator.issue_tokens(ADMINISTRATOR);
        host.envs([
            ("B24_PORTAL_URL", url.clone()),
            ("B24_AUTH_SERVER", url),
            ("B24_CLIENT_ID", application.client_id),
            ("B24_CLIENT_SECRET", application.client_secret),
            ("B24_MEMBER_ID", application.member_id),
            ("B24_APPLICATION_TOKEN", application.application_token),
            ("B24_ACCESS_TOKEN", tokens.access_token),
            ("B24_REFRESH_TOKEN", tokens.refresh_token),
            ("B24_AUTHORIZATION_CODE", self.emulator.authorization_code(ADMINISTRATOR)),
            ("B24_EMPLOYEE_TOKEN", self.emulator.issue_tokens(EMPLOYEE).access_token),
        ]);
    }

    /// Blocks until the portal has answered a request to this method, counted from the last one that was waited for.
    pub fn wait_for(&self, method: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(line) = self.answered.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(method) {
                return;
            }
            seen.push(line);
        }
        panic!("no {method} within {PATIENCE:?}, but:\n{}", seen.join("\n"));
    }
}
