//! Whether the archives hold what they should, and nothing that should not leave this machine.

use std::collections::BTreeSet;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

use crate::dist::{Archive, SYSTEMS, VERSION, component, dist, root, unpack_bundle};
use crate::support::run;

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn the_sums_are_those_of_all_files() {
    let folder = dist("SHA256SUMS").parent().unwrap().to_owned();
    run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&folder), "sha256sum");
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let listed: BTreeSet<String> = sums.lines().filter_map(|line| Some(line.split_once("  ")?.1.to_owned())).collect();
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let present: BTreeSet<String> = entries.filter(|name| name != "SHA256SUMS").collect();
    assert_eq!(listed, present);
    let archives = SYSTEMS.map(|system| format!("b24events-{VERSION}-{system}.tar.gz"));
    for name in archives.iter().map(String::as_str).chain(["B24Events.zip", "B24Events-ARM64.zip"]) {
        assert!(present.contains(name), "{name} is missing: {present:?}");
    }
}

/// READMEs name the files as they are called, with this version.
#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn the_readmes_name_what_is_handed_out() {
    for readme in ["README.md", "README.ru.md", "examples_1c/README.ru.md"] {
        let text = fs::read_to_string(root().join(readme)).unwrap();
        let words = text.split(|letter: char| letter.is_whitespace() || "`()«»".contains(letter));
        let named: BTreeSet<&str> = words.filter(|word| word.ends_with(".zip") || word.ends_with(".tar.gz")).collect();
        assert!(named.contains("B24Events.zip"), "{readme}: {named:?}");
        for name in named {
            assert!(dist(name).is_file(), "{readme} names {name}");
        }
    }
}

/// Packing the same libraries again gives the same bytes.
#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn same_input_same_bytes() {
    let before = fs::read(dist("SHA256SUMS")).unwrap();
    let copy = crate::support::Folder::new();
    let packaging = root().join("target/packaging");
    for name in SYSTEMS.iter().copied().chain(["THIRD-PARTY-LICENCES.txt"]) {
        run(Command::new("cp").arg("-r").arg(packaging.join(name)).arg(copy.path()), "cp");
    }
    run(Command::new("/usr/bin/python3").arg(root().join("packaging/archives.py")).arg(copy.path()), "python3");
    assert_eq!(fs::read(copy.path().join("dist/SHA256SUMS")).unwrap(), before);
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn a_bundle_holds_what_its_manifest_names() {
    for (name, parts) in [
        ("B24Events.zip", vec![("Windows", "x86_64"), ("Windows", "i386"), ("Linux", "x86_64")]),
        (
            "B24Events-ARM64.zip",
            vec![("Windows", "x86_64"), ("Windows", "i386"), ("Linux", "x86_64"), ("Linux", "ARM64")],
        ),
    ] {
        let bundle = unpack_bundle(name);
        let manifest = fs::read_to_string(bundle.path().join("MANIFEST.XML")).unwrap();
        run(
            Command::new("python3")
                .args(["-c", "import sys, xml.dom.minidom as dom\nfor file in sys.argv[1:]: dom.parse(file)"])
                .arg(bundle.path().join("MANIFEST.XML"))
                .arg(bundle.path().join("INFO.XML")),
            "python3",
        );
        assert_eq!(manifest.matches("<component ").count(), parts.len(), "{manifest}");
        let beside = ["INFO.XML", "MANIFEST.XML", "LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-LICENCES.txt"];
        let mut expected = BTreeSet::from(beside.map(str::to_owned));
        for (os, arch) in parts {
            let library = component(&bundle, os, arch);
            assert!(library.is_file(), "{} is missing", library.display());
            let file = library.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(file.contains(&VERSION.replace('.', "_")), "{file}: 1C keeps libraries by their names");
            expected.insert(file);
        }
        let entries = fs::read_dir(bundle.path()).unwrap();
        let found: BTreeSet<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(found, expected);
    }
}

/// The libraries for 1C and for C are the same ones.
#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn both_ways_lead_to_the_same_library() {
    let bundle = unpack_bundle("B24Events-ARM64.zip");
    for (system, os, arch, path) in [
        ("linux-x86_64", "Linux", "x86_64", "lib/libb24events.so"),
        ("linux-aarch64", "Linux", "ARM64", "lib/libb24events.so"),
        ("windows-x86_64", "Windows", "x86_64", "bin/b24events.dll"),
        ("windows-x86", "Windows", "i386", "bin/b24events.dll"),
    ] {
        let archive = Archive::unpack(system);
        assert!(
            fs::read(archive.path().join(path)).unwrap() == fs::read(component(&bundle, os, arch)).unwrap(),
            "{system}"
        );
    }
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn an_archive_holds_what_a_c_programmer_needs() {
    for system in SYSTEMS {
        let archive = Archive::unpack(system);
        let same = [
            ("include/b24events.h", "include/b24events.h"),
            ("README.md", "README.md"),
            ("README.ru.md", "README.ru.md"),
            ("CONFIGURATION.md", "CONFIGURATION.md"),
            ("CHANGELOG.md", "CHANGELOG.md"),
            ("CONTRIBUTING.md", "CONTRIBUTING.md"),
            ("SECURITY.md", "SECURITY.md"),
            ("docs/ARCHITECTURE.md", "docs/ARCHITECTURE.md"),
            ("docs/protocol.md", "docs/protocol.md"),
            ("LICENSE-MIT", "LICENSE-MIT"),
            ("LICENSE-APACHE", "LICENSE-APACHE"),
            ("examples/quickstart.c", "tests/c/quickstart.c"),
            ("examples/quickstart.py", "tests/python/quickstart.py"),
            ("examples/b24events.py", "tests/python/b24events.py"),
            ("examples_1c/README.ru.md", "examples_1c/README.ru.md"),
        ];
        for (packed, source) in same {
            let packed_text = fs::read(archive.path().join(packed)).unwrap_or_else(|error| panic!("{packed}: {error}"));
            assert!(packed_text == fs::read(root().join(source)).unwrap(), "{system}: {packed} is not {source}");
        }
        for template in [
            "lib/pkgconfig/b24events.pc",
            "lib/cmake/b24events/b24eventsConfig.cmake",
            "lib/cmake/b24events/b24eventsConfigVersion.cmake",
        ] {
            let text = fs::read_to_string(archive.path().join(template)).unwrap();
            assert!(!text.contains('@'), "{system}: something is not filled in: {text}");
        }
        assert!(archive.path().join("lib/libb24events.a").is_file());
    }
}

/// Every package that cargo links into the library has its licence in the list.
#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn the_licences_of_all_packages_are_there() {
    let licences = fs::read_to_string(dist("THIRD-PARTY-LICENCES.txt")).unwrap();
    let entries: BTreeSet<&str> =
        licences.lines().filter_map(|line| line.strip_prefix("  ")?.split(',').next()).collect();
    // The text of a package without a file of its own has these.
    for placeholder in ["<year>", "<copyright holders>", "<owner>"] {
        assert!(!licences.contains(placeholder), "{placeholder}: a package is listed without its own text");
    }
    assert!(licences.contains("MinGW-w64") && licences.contains("The Rust Project Contributors"));
    for target in
        ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-pc-windows-gnu", "i686-pc-windows-gnu"]
    {
        let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let tree = run(
            Command::new(cargo)
                .args(["tree", "--locked", "--offline", "--edges", "normal,no-proc-macro", "--prefix", "none"])
                .args(["--format", "{p}", "--package", "b24events", "--target", target])
                .current_dir(root()),
            "cargo",
        );
        let packages: BTreeSet<String> = tree
            .lines()
            .filter_map(|line| {
                let (name, rest) = line.split_once(" v")?;
                Some(format!("{name} {}", rest.split_whitespace().next()?))
            })
            .collect();
        assert!(packages.len() > 20, "{tree}");
        for package in packages {
            assert!(
                entries.contains(package.as_str()),
                "{package} is linked for {target} and has no licence in the list"
            );
        }
    }
}

/// Neither the folders nor the registries of the machine that has built them.
#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn nothing_tells_of_the_machine_that_built_them() {
    let metadata = run(
        Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
            .args(["metadata", "--locked", "--offline", "--format-version", "1"])
            .current_dir(root()),
        "cargo",
    );
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    let ring = packages.iter().find(|package| package["name"] == "ring").expect("ring is one of them");
    let manifest = std::path::PathBuf::from(ring["manifest_path"].as_str().expect("each has a manifest"));
    // …/registry/src/NAME-HASH/ring-VERSION/Cargo.toml
    let registry = manifest.ancestors().nth(2).and_then(|path| path.to_str()).expect("it lies in cargo's folder");
    let traitors = [root().to_str().unwrap(), registry, "/registry/src/", "target/packaging", "/.cache/"];
    for system in SYSTEMS {
        let archive = Archive::unpack(system);
        let files = run(Command::new("find").arg(archive.path()).args(["-type", "f"]), "find");
        for file in files.lines() {
            let content = fs::read(file).unwrap();
            for traitor in traitors {
                let documentation = file.ends_with(".md") && traitor == "target/packaging";
                let found = memchr::memmem::find(&content, traitor.as_bytes()).is_some();
                assert!(!found || documentation, "{file} holds {traitor}");
            }
        }
    }
}
