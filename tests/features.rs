//! The library under test is the library of the release: what the tests depend on switches on no feature in it.
//!
//! Cargo builds a dependency once, with the features of everybody who needs it, so that a feature for a test changes
//! the library that the test looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Features of the library's dependencies that are on in tests only. Each of them adds functions that the library does
/// not call, and changes nothing that it does call.
const ADDED: [(&str, &str); 4] = [
    // From tokio, in the emulator: pipes, and sources from a file descriptor.
    ("mio", "os-ext"),
    // From tokio: socket options that not every system has.
    ("socket2", "all"),
    // From hmac, in the emulator: the traits of message authentication codes, beside those of hashes.
    ("digest", "mac"),
    // From tokio, on macOS only: it means `std`, which is on anyway.
    ("errno", "default"),
];

type Features = BTreeMap<String, BTreeSet<String>>;

#[test]
fn tests_add_no_features_to_the_library() {
    let released = features(&["--package", "b24events", "--edges", "normal,no-proc-macro"]);
    let tested = features(&["--workspace", "--edges", "normal,dev,no-proc-macro"]);
    assert!(released.len() > 20 && released.keys().any(|name| name.starts_with("rustls ")), "{released:?}");
    let difference = difference(&released, &tested);
    // On Windows tokio declares further functions of the system, which is what every feature of this crate does.
    let counts = |(package, _): &(String, String)| !package.starts_with("windows");
    let found: BTreeSet<(String, String)> = difference.into_iter().filter(counts).collect();
    let allowed = ADDED.map(|(package, feature)| (package.to_owned(), feature.to_owned())).into();
    let new: Vec<_> = found.difference(&allowed).collect();
    assert!(new.is_empty(), "the library would be released without: {new:?}");
}

#[test]
fn an_added_feature_is_found() {
    let of = |lines: &str| read(lines);
    let released = of("serde_json v1.0.1|default,std\nhttparse v1.0.0|");
    let tested = of("serde_json v1.0.1|default,preserve_order,std (*)\nhttparse v1.0.0|\nserde_json v1.0.1|indexmap");
    let found = difference(&released, &tested);
    let expected = ["indexmap", "preserve_order"].map(|feature| ("serde_json".to_owned(), feature.to_owned()));
    assert_eq!(found, expected);
    assert_eq!(difference(&released, &released), []);
}

/// Packages as `name vVersion`, each with the features that are on.
fn features(arguments: &[&str]) -> Features {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--locked", "--offline"]);
    cargo.args(["--prefix", "none", "--format", "{p}|{f}", "--no-dedupe"]).args(arguments);
    let output = cargo.output().unwrap_or_else(|error| panic!("{cargo:?}: {error}"));
    assert!(output.status.success(), "{cargo:?}: {}", String::from_utf8_lossy(&output.stderr));
    read(&String::from_utf8(output.stdout).unwrap())
}

fn read(lines: &str) -> Features {
    let mut features = Features::new();
    for (package, on) in lines.lines().filter_map(|line| line.trim_end_matches(" (*)").split_once('|')) {
        let on = on.split(',').filter(|feature| !feature.is_empty()).map(str::to_owned);
        features.entry(package.to_owned()).or_default().extend(on);
    }
    features
}

/// Names of packages with features that only `tested` has.
fn difference(released: &Features, tested: &Features) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (package, on) in released {
        let tested = tested.get(package).unwrap_or_else(|| panic!("{package} is not tested"));
        let name = package.split(' ').next().unwrap_or_default();
        found.extend(tested.difference(on).map(|feature| (name.to_owned(), feature.clone())));
    }
    found
}
