//! What the libraries want from the system that loads them, and what they show to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use b24events::ffi::b24_abi_version;

use crate::dist::{Archive, SYSTEMS, root};
use crate::support::{NATIVE_API, run};

/// DLLs that every Windows has since Windows 7.
const WINDOWS_DLLS: [&str; 7] =
    ["advapi32.dll", "bcrypt.dll", "crypt32.dll", "kernel32.dll", "msvcrt.dll", "ntdll.dll", "ws2_32.dll"];

/// Functions that the DLLs may ask Windows for. Before a name is added, the vendor's documentation has to say that Windows 7
/// has it: a DLL that asks for a missing one is not loaded.
const WINDOWS_7: &str = include_str!("windows_7.txt");

fn shared(archive: &Archive) -> std::path::PathBuf {
    let names = ["bin/b24events.dll", "lib/libb24events.so"].map(|name| archive.path().join(name));
    names.into_iter().find(|path| path.exists()).expect("each archive has a shared library")
}

/// What the header promises, and what 1C looks for.
fn promised() -> BTreeSet<String> {
    let record = fs::read_to_string(root().join(format!("tests/abi/v{}.txt", b24_abi_version()))).unwrap();
    let functions = record.lines().filter(|line| line.starts_with("fn "));
    let names = functions.filter_map(|line| Some(line.split_once('(')?.0.rsplit([' ', '*']).next()?.to_owned()));
    names.chain(NATIVE_API.map(str::to_owned)).collect()
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn each_is_under_two_and_a_half_mib() {
    for system in SYSTEMS {
        let archive = Archive::unpack(system);
        let library = shared(&archive);
        // Follows the link on Linux.
        let size = fs::metadata(&library).unwrap().len();
        println!("{system}: {size} bytes");
        assert!(size < 2_621_440, "{system}: {size} bytes");
    }
}

fn dynamic_symbols(library: &Path, defined: &str) -> String {
    let symbols =
        run(Command::new("readelf").args(["--dyn-syms", "--wide"]).arg(library), "readelf (Debian: binutils)");
    symbols
        .lines()
        .filter(|line| line.contains(" UND ") == (defined == "wanted"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn linux_of_2012_is_enough() {
    for system in SYSTEMS.into_iter().filter(|system| system.starts_with("linux")) {
        let archive = Archive::unpack(system);
        let library = shared(&archive);
        let wanted = dynamic_symbols(&library, "wanted");
        let versions: BTreeSet<(u32, u32)> = wanted
            .split("@GLIBC_")
            .skip(1)
            .map(|rest| {
                let version = rest.split([' ', '\n']).next().unwrap_or_default();
                let mut numbers = version.split('.').map(|number| number.parse().expect("GLIBC_ has numbers"));
                (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
            })
            .collect();
        println!("{system}: glibc {versions:?}");
        let newest = versions.last().expect("it uses glibc");
        assert!(*newest <= (2, 17), "{system} wants glibc {newest:?}");
        // Those without a version are looked up at run time, and may be missing.
        let unversioned = wanted.lines().filter(|line| line.contains("UND") && !line.contains('@'));
        for line in unversioned.filter(|line| line.split_whitespace().count() > 7) {
            assert!(line.contains(" WEAK "), "{system} cannot do without {line}");
        }

        let tags = run(Command::new("readelf").args(["--dynamic", "--wide"]).arg(&library), "readelf");
        let needed = tags.lines().filter(|line| line.contains("(NEEDED)"));
        let needed: Vec<&str> = needed.filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']'))).collect();
        let of_glibc = |name: &&str| {
            ["libc.so.", "libpthread.so.", "libdl.so.", "ld-linux"].iter().any(|start| name.starts_with(start))
        };
        assert!(needed.iter().all(of_glibc), "{system} needs {needed:?}");
        assert!(tags.contains("NODELETE"), "{system}: threads of the host outlive an unloaded library");
    }
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn only_the_two_doors_are_exported() {
    for system in SYSTEMS {
        let archive = Archive::unpack(system);
        let library = shared(&archive);
        let exported: BTreeSet<String> = if system.starts_with("linux") {
            let symbols = dynamic_symbols(&library, "given");
            let rows = symbols.lines().filter(|line| line.contains(" GLOBAL ") || line.contains(" WEAK "));
            rows.filter_map(|line| line.split_whitespace().last().map(str::to_owned)).collect()
        } else {
            let headers = headers(&library);
            let table = headers.split("[Ordinal/Name Pointer] Table").nth(1).expect("a DLL has exports");
            let rows = table.lines().skip(1).take_while(|line| !line.trim().is_empty());
            rows.filter_map(|line| line.split_whitespace().last().map(str::to_owned)).collect()
        };
        // On 32 bit neither an underscore in front nor @ and a number behind.
        assert_eq!(exported, promised(), "{system}");
        if system.starts_with("windows") {
            let definition = fs::read_to_string(archive.path().join("lib/b24events.def")).unwrap();
            let functions: BTreeSet<&str> = definition.lines().skip(2).collect();
            let linkable = exported.iter().map(String::as_str).filter(|name| name.starts_with("b24_"));
            assert_eq!(functions, linkable.collect(), "{system}: b24events.def");
        }
    }
}

/// `objdump` for either processor.
fn headers(library: &Path) -> String {
    run(
        Command::new("x86_64-w64-mingw32-objdump").arg("--private-headers").arg(library),
        "x86_64-w64-mingw32-objdump (Debian: binutils-mingw-w64-x86-64)",
    )
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn windows_7_is_enough() {
    for (system, machine) in [("windows-x86_64", "pei-x86-64"), ("windows-x86", "pei-i386")] {
        let archive = Archive::unpack(system);
        let headers = headers(&shared(&archive));
        assert!(headers.contains(&format!("file format {machine}")), "{system}");
        let imported: BTreeSet<String> = headers
            .lines()
            .filter_map(|line| line.split_once("DLL Name: "))
            .map(|(_, name)| name.to_lowercase())
            .collect();
        println!("{system}: {imported:?}");
        let strange: Vec<_> = imported.iter().filter(|name| !WINDOWS_DLLS.contains(&name.as_str())).collect();
        assert!(strange.is_empty(), "{system} needs {strange:?}");
        assert!(imported.contains("kernel32.dll"), "{system}: the imports are not found");
        let allowed: BTreeSet<&str> = WINDOWS_7.lines().collect();
        let functions = imported_functions(&headers);
        assert!(functions.contains("CreateThread"), "{system}: the imports are not found");
        let strange: Vec<_> = functions.difference(&allowed).collect();
        assert!(strange.is_empty(), "{system} imports what windows_7.txt does not have: {strange:?}");
        assert!(
            headers.contains("Thu Jan  1 00:00:00 1970"),
            "{system}: the time of the build makes each build another file"
        );
    }
}

/// The names in the import tables: lines of three columns, of which the last is the name.
fn imported_functions(headers: &str) -> BTreeSet<&str> {
    let tables = headers.split("DLL Name: ").skip(1).flat_map(|table| table.lines().skip(2));
    let rows = tables.map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() == 3 && row.iter().take(1).all(|place| u64::from_str_radix(place, 16).is_ok()))
        .filter_map(|row| row.last().copied())
        .collect()
}
