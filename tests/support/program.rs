//! Programs that tests run: what they print is kept, and none of them hangs.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Longer than the slowest compiler on the slowest machine takes. A program that runs longer hangs.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A program that runs. Dropping it ends it.
pub struct Program {
    name: String,
    child: Child,
    /// Standard output and standard error.
    output: Vec<JoinHandle<String>>,
    /// Disconnected when both outputs have come to their end, which is when the program ends.
    running: Receiver<()>,
}

/// A process that a test starts to kill it. Dropping it kills it, so that a test that fails leaves none behind.
pub struct Victim(Child);

impl Victim {
    pub fn new(process: Child) -> Victim {
        Victim(process)
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn kill(&mut self) {
        // Fails only when it has ended already.
        let _ = self.0.kill();
        self.0.wait().expect("a child can be waited for");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to its end and returns what it printed. Panics with all of its output when it fails.
/// `needs` tells what to install when there is no such program.
pub fn run(command: &mut Command, needs: &str) -> String {
    Program::start(command, needs).finish()
}

impl Program {
    pub fn start(command: &mut Command, needs: &str) -> Program {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap_or_else(
                |error| panic!("{:?} cannot be started: {error}; needed: {needs}", command.get_program()),
            );
        let (sender, running) = mpsc::channel();
        let output = vec![read(child.stdout.take(), sender.clone()), read(child.stderr.take(), sender)];
        Program { name: format!("{command:?}"), child, output, running }
    }

    /// Waits for the end and returns what the program printed. Panics with all of its output when it failed.
    pub fn finish(mut self) -> String {
        let hangs = self.running.recv_timeout(TIMEOUT) == Err(RecvTimeoutError::Timeout);
        let (report, stdout, success) = self.end(hangs);
        assert!(!hangs, "still running after {TIMEOUT:?}: {report}");
        assert!(success, "{report}");
        stdout
    }

    /// Waits for the end, or makes it. Returns what happened, what the program printed, and whether it succeeded.
    fn end(&mut self, kill: bool) -> (String, String, bool) {
        if kill {
            // Fails only when it has ended already.
            let _ = self.child.kill();
        }
        let status = self.child.wait().expect("a child can be waited for");
        let mut output = self.output.drain(..).map(|output| output.join().expect("reading does not panic"));
        let [stdout, stderr] = [(); 2].map(|()| output.next().unwrap_or_default());
        let report = format!("{}\n{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", self.name);
        (report, stdout, status.success())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.output.is_empty() {
            // The test has given up on the program; what it printed tells why.
            eprintln!("{}", self.end(true).0);
        }
    }
}

/// Reads everything that comes out of a pipe, so that the program never waits for a reader.
fn read(pipe: Option<impl Read + Send + 'static>, running: Sender<()>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks ends the text; the program's status tells the rest.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        drop(running);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
