//! Files that are generated and committed: the C header, CONFIGURATION.md and docs/REFUSALS.md. Links between documents.
//! `B24_WRITE=1 cargo test --test documents` writes the generated files again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use b24events::client::{Client, Hooks};
use b24events::config::Config;

fn is_current(file: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("B24_WRITE").is_some() {
        fs::write(&path, expected).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{file} is not current; write it again with: B24_WRITE=1 cargo test --test documents");
}

#[test]
fn the_header_is_current() {
    is_current("include/b24events.h", &fs::read_to_string(concat!(env!("OUT_DIR"), "/b24events.h")).unwrap());
}

#[test]
fn the_list_of_keys_is_current() {
    is_current("CONFIGURATION.md", &b24events::config::markdown());
}

#[test]
fn the_header_describes_every_member_of_the_statistics() {
    let mut config = Config::new();
    config.set("portal.url", "https://my.bitrix24.com").unwrap();
    let stats = Client::new(&config, Hooks::default()).unwrap().stats();
    let stats: BTreeMap<String, serde_json::Value> = serde_json::from_str(&stats).unwrap();
    let header = fs::read_to_string(concat!(env!("OUT_DIR"), "/b24events.h")).unwrap();
    let described = header.lines().filter_map(|line| line.strip_prefix(" * - \"")?.split_once("\": "));
    assert_eq!(described.map(|(name, _)| name).collect::<BTreeSet<_>>(), stats.keys().map(String::as_str).collect());
}

#[test]
fn the_list_of_refusals_is_current() {
    is_current("docs/REFUSALS.md", &b24events::portal::refusal::markdown());
}

#[test]
fn programs_in_the_readme_are_the_ones_that_are_tested() {
    for readme in ["README.md", "README.ru.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(readme)).unwrap();
        for program in ["tests/c/quickstart.c", "tests/python/quickstart.py"] {
            let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(program)).unwrap();
            assert!(text.contains(source.trim()), "{readme} does not hold {program} as it is");
        }
    }
}

/// Prints what an archive holds, one path a line. Nothing has to be built for that: its libraries are empty here.
const PACKED: &str = "
import sys, tempfile
from pathlib import Path
sys.dont_write_bytecode = True
sys.path.insert(0, 'packaging')
import archives
with tempfile.TemporaryDirectory() as folder:
    built = Path(folder, archives.WINDOWS[0])
    built.mkdir()
    for name in ('native-static-libs', 'libb24events.a', 'b24events.def', 'b24events.lib', 'libb24events.dll.a', \
                 'b24events.dll', '../THIRD-PARTY-LICENCES.txt'):
        (built / name).touch()
    print(*archives.tree(Path(folder), archives.WINDOWS), sep='\\n')
";

#[test]
fn links_lead_to_files_also_in_the_archives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("python3").args(["-c", PACKED]).current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let packed = String::from_utf8(output.stdout).unwrap();
    let packed: BTreeSet<&str> = packed.lines().collect();
    let documents: Vec<_> = packed.iter().filter(|path| path.ends_with(".md")).collect();
    assert!(documents.len() > 5, "{packed:?}");
    let mut links = 0;
    for document in documents {
        let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
        let text = fs::read_to_string(root.join(document)).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ', '\n']).next());
        for target in targets.filter(|target| !target.is_empty() && !target.contains("://")) {
            let path = match target.strip_prefix("../") {
                Some(path) => path.to_owned(),
                None if folder.is_empty() => target.to_owned(),
                None => format!("{folder}/{target}"),
            };
            assert!(root.join(&path).is_file(), "{document}: {target}");
            assert!(packed.contains(path.as_str()), "{document} links to {target}, which the archives do not hold");
            links += 1;
        }
    }
    assert!(links > 20, "{links}");
}
