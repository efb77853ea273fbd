//! Files that are generated and committed: the C header, CONFIGURATION.md and docs/REFUSALS.md.
//! `B24_WRITE=1 cargo test --test documents` writes them again.

use std::fs;
use std::path::Path;

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
