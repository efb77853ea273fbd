//! The inputs of `fuzz/corpus`, one after the other, without a fuzzer: what it has once found stays mended. Those of
//! `c_calls` and `addin_calls` are sequences of calls, which only these targets can read; CI runs them.

#[path = "../fuzz/src/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

/// Checks every input of a target.
fn check_all(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let outcome = std::panic::catch_unwind(|| check(&bytes));
        assert!(outcome.is_ok(), "{} fails", path.display());
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", folder.display());
}

macro_rules! checks {
    ($($target:ident)*) => { $(
        #[test]
        fn $target() {
            check_all(stringify!($target), checks::$target);
        }
    )* };
}

checks! { push_messages push_config handler_body handler_request state config websocket }
