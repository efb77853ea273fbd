//! What integration tests share: a portal and clients of it, folders, the libraries as cargo built them, and programs
//! that cannot hang.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(unused_imports, reason = "each test file uses its own part")]

mod c_host;
mod clock;
mod folder;
mod library;
mod portal;
mod program;
mod quickstart;
mod waiting;

pub use c_host::C_HOST;
pub use clock::TestClock;
pub use folder::Folder;
pub use library::{NATIVE_API, shared_library, static_library};
pub use portal::{Portal, config_of, deal, on_premise, options};
pub use program::{Program, Victim, run};
pub use quickstart::quickstart;
pub use waiting::{
    AT_ONCE, LONG, MAX_WAIT, deals, expect_check, expect_signals, message_ids, numbers, stats, until, until_within,
};
