//! Programs that were built with a published header must work with every later library of the same ABI version. What the
//! header of a version contains is recorded in `tests/abi/v<version>.txt`: lines may be added, but none may be removed or
//! changed.
//!
//! `B24_WRITE=1 cargo test --test abi` records what was added. With `B24_ABI_RECORDED=1` an addition that is not
//! recorded is an error: for releases, because what is not recorded is not guarded.

mod header;
mod proofs;
#[path = "../support/mod.rs"]
mod support;

use std::env;
use std::fs;
use std::path::Path;

use b24events::error::Status;
use b24events::ffi::b24_abi_version;
use b24events::log::Level;

const RECORD: &str = "B24_WRITE=1 cargo test --test abi";

/// The header of the library under test; `tests/documents.rs` makes sure that the committed one is the same.
const HEADER: &str = include_str!(concat!(env!("OUT_DIR"), "/b24events.h"));

#[derive(Clone, Copy)]
enum Additions {
    Allowed,
    Refused,
    /// Written to the file.
    Recorded,
}

/// Compares a header with what is recorded for its version of the ABI. Returns the file to write, if any.
fn judge(header: &str, version: u32, recorded: Option<&str>, additions: Additions) -> Result<Option<String>, String> {
    let file = format!("tests/abi/v{version}.txt");
    let present = header::read(header)?;
    let known = match (recorded, additions) {
        (Some(text), _) => header::read_recorded(text).map_err(|error| format!("{file}: {error}"))?,
        (None, Additions::Recorded) => header::Items::new(),
        (None, _) => return Err(format!("ABI version {version} has no {file}; record it with: {RECORD}")),
    };

    let broken: String = known
        .iter()
        .filter_map(|(name, old)| match present.get(name) {
            None => Some(format!("  removed: {old}\n")),
            Some(new) if new != old => Some(format!("  changed: {old}\n       to: {new}\n")),
            Some(_) => None,
        })
        .collect();
    if !broken.is_empty() {
        return Err(format!(
            "programs that use ABI version {version} ({file}) would break:\n{broken}\
             Restore it, and give what is new a new name. If a break is necessary, raise B24_ABI_VERSION in \
             src/ffi/library.rs and record the new version with: {RECORD}"
        ));
    }

    let added: String = present
        .iter()
        .filter(|(name, _)| !known.contains_key(*name))
        .map(|(_, line)| format!("  added: {line}\n"))
        .collect();
    match additions {
        Additions::Refused if !added.is_empty() => Err(format!(
            "not recorded in {file}, so that later changes would not be noticed:\n{added}Record with: {RECORD}"
        )),
        Additions::Recorded => Ok(Some(format!(
            "# What programs that use version {version} of the ABI rely on: lines may be added, never removed or changed.\n\
             # Written by: {RECORD}\n\n{}",
            header::write(&present)
        ))),
        _ => Ok(None),
    }
}

#[test]
fn the_header_keeps_what_its_abi_version_promises() {
    let additions = match (env::var_os("B24_WRITE"), env::var_os("B24_ABI_RECORDED")) {
        (Some(_), _) => Additions::Recorded,
        (None, Some(_)) => Additions::Refused,
        (None, None) => Additions::Allowed,
    };
    let version = b24_abi_version();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/abi/v{version}.txt"));
    // A file that exists but cannot be read must not be mistaken for a new version.
    let recorded = path.exists().then(|| fs::read_to_string(&path).unwrap());
    match judge(HEADER, version, recorded.as_deref(), additions) {
        Ok(None) => {}
        Ok(Some(text)) => fs::write(&path, text).unwrap(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_status_and_log_level_has_its_enumerator() {
    let items = header::read(HEADER).unwrap();
    let mut expected: Vec<String> = Status::ALL
        .iter()
        .map(|status| format!("enumerator B24_{} = {} of b24_status", status.name(), *status as i32))
        .collect();
    let levels = [Level::Error, Level::Warning, Level::Info, Level::Debug];
    expected.extend(levels.iter().map(|level| {
        let name = format!("{level:?}").to_uppercase();
        format!("enumerator B24_LOG_{name} = {} of b24_log_level", *level as i32)
    }));
    expected.sort();
    let mut found: Vec<_> = items.values().filter(|line| line.starts_with("enumerator ")).collect();
    found.sort();
    assert_eq!(found, expected.iter().collect::<Vec<_>>());
}

/// Versions only rise, so raising the number is the only way to break what was promised.
#[test]
fn every_version_up_to_this_one_is_recorded_and_none_after_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/abi");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut records: Vec<String> = names.filter(|name| name.ends_with(".txt")).collect();
    records.sort();
    let mut expected: Vec<String> = (1..=b24_abi_version()).map(|version| format!("v{version}.txt")).collect();
    expected.sort();
    assert_eq!(records, expected);
}

#[test]
fn the_readmes_name_the_library_by_its_abi_version() {
    for readme in ["README.md", "README.ru.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(readme)).unwrap();
        let names: Vec<_> = text.split("libb24events.so.").skip(1).map(|rest| rest.split(['`', '\n']).next()).collect();
        assert!(!names.is_empty(), "{readme} does not tell the soname");
        for name in names {
            assert_eq!(name, Some(b24_abi_version().to_string().as_str()), "{readme}, number after libb24events.so");
        }
    }
}

#[cfg(target_os = "linux")]
mod library {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::support::{run, shared_library};
    use super::{HEADER, b24_abi_version, header};

    const NEEDS: &str = "nm and readelf (Debian: binutils)";

    /// The loader must not pass a library of another ABI to a program.
    #[test]
    fn its_soname_has_the_abi_version() {
        let listed = run(Command::new("readelf").args(["--dynamic", "--wide"]).arg(shared_library()), NEEDS);
        let soname = format!("Library soname: [libb24events.so.{}]", b24_abi_version());
        assert!(listed.contains(&soname), "{soname} is not what build.rs made:\n{listed}");
    }

    /// The guard finds every function of the library in the header.
    #[test]
    fn it_has_the_functions_of_the_header() {
        let mut command = Command::new("nm");
        command.args(["--dynamic", "--defined-only", "--format=posix"]).arg(shared_library());
        let listed = run(&mut command, NEEDS);
        let exported: BTreeSet<_> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
        let exported: BTreeSet<_> = exported.into_iter().filter(|name| name.starts_with("b24_")).collect();
        let items = header::read(HEADER).unwrap();
        let functions = items.iter().filter(|(_, line)| line.starts_with("fn ")).map(|(name, _)| name.as_str());
        assert_eq!(functions.collect::<BTreeSet<_>>(), exported);
    }
}
