//! What integration tests that run other programs share: the libraries as cargo built them, programs that cannot hang,
//! and a portal that tells what it answered.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(unused_imports, reason = "each test file uses its own part")]

mod c_host;
mod folder;
mod library;
mod portal;
mod program;
mod quickstart;

pub use c_host::C_HOST;
pub use folder::Folder;
pub use library::{NATIVE_API, shared_library, static_library};
pub use portal::Portal;
pub use program::{Program, run};
pub use quickstart::quickstart;
