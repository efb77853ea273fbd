//! Where cargo has put the libraries that hosts load or link.

use std::env;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;

/// What 1C looks for in a library.
pub const NATIVE_API: [&str; 5] =
    ["DestroyObject", "GetAttachType", "GetClassNames", "GetClassObject", "SetPlatformCapabilities"];

/// `libb24events.so`, or what it is called on this system.
pub fn shared_library() -> PathBuf {
    built(&format!("{DLL_PREFIX}b24events{DLL_SUFFIX}"))
}

/// `libb24events.a`, or what it is called on this system.
pub fn static_library() -> PathBuf {
    built(if cfg!(windows) { "b24events.lib" } else { "libb24events.a" })
}

/// Cargo builds every kind of library that `[lib]` names before it runs a test, into the folder of the test itself.
fn built(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    let path = test.with_file_name(name);
    assert!(path.is_file(), "{} is missing; run the tests with cargo, which builds it", path.display());
    path
}
