//! The archive for Linux x86-64 in the hands of a C programmer, and the bundle's library in those of 1C.

use std::fs;
use std::process::Command;

use b24events::ffi::b24_abi_version;

use crate::dist::{Archive, VERSION, component, root, unpack_bundle};
use crate::hosts::{self, JUST_BUILT};
use crate::support::{self, Portal, run};

const CMAKE: &str = "CMake (Debian: cmake)";

fn pkg_config(archive: &Archive, arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.args(arguments).arg("b24events").env("PKG_CONFIG_PATH", archive.path().join("lib/pkgconfig"));
    run(&mut command, "pkg-config (Debian: pkg-config)").split_whitespace().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn found_by_pkg_config() {
    let archive = Archive::unpack("linux-x86_64");
    assert_eq!(pkg_config(&archive, &["--modversion"]), [VERSION]);
    let source = archive.path().join("examples/quickstart.c");

    let program = archive.beside("with_shared");
    let flags = pkg_config(&archive, &["--cflags", "--libs"]);
    run(Command::new("cc").arg(&source).args(flags).arg("-o").arg(&program), "cc (Debian: gcc)");
    support::quickstart(Command::new(program).env("LD_LIBRARY_PATH", archive.path().join("lib")), JUST_BUILT);

    // Without the shared library the linker takes the static one.
    for name in ["libb24events.so".to_owned(), format!("libb24events.so.{}", b24_abi_version())] {
        fs::remove_file(archive.path().join("lib").join(name)).expect("the archive holds it");
    }
    let program = archive.beside("with_static");
    let flags = pkg_config(&archive, &["--static", "--cflags", "--libs"]);
    run(Command::new("cc").arg(&source).args(flags).arg("-o").arg(&program), "cc (Debian: gcc)");
    support::quickstart(&mut Command::new(program), JUST_BUILT);
}

fn cmake(archive: &Archive, version: &str) -> Command {
    let mut command = Command::new("cmake");
    command.arg("-S").arg(root().join("tests/bundle/cmake")).arg("-B").arg(archive.beside("cmake"));
    command.arg(format!("-DCMAKE_PREFIX_PATH={}", archive.path().display())).arg(format!("-DVERSION={version}"));
    command.arg(format!("-DSOURCE={}", archive.path().join("examples/quickstart.c").display()));
    command
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn found_by_cmake() {
    let archive = Archive::unpack("linux-x86_64");
    for version in ["99", "1"] {
        let refused = cmake(&archive, version).output().expect(CMAKE);
        assert!(!refused.status.success(), "version {version} was found");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("b24eventsConfig.cmake, version: "), "{refused:?}");
    }
    for other in ["linux-aarch64", "windows-x86_64", "windows-x86"] {
        let refused = cmake(&Archive::unpack(other), VERSION).output().expect(CMAKE);
        assert!(!refused.status.success(), "the library for {other} was found");
    }
    let short = VERSION.rsplit_once('.').expect("a version has dots").0;
    run(&mut cmake(&archive, short), CMAKE);
    run(Command::new("cmake").arg("--build").arg(archive.beside("cmake")), CMAKE);
    for program in ["with_shared", "with_static"] {
        support::quickstart(&mut Command::new(archive.beside("cmake").join(program)), JUST_BUILT);
    }
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn used_from_python() {
    let archive = Archive::unpack("linux-x86_64");
    let mut python = Command::new("python3");
    python.arg("-B").arg(archive.path().join("examples/quickstart.py"));
    support::quickstart(python.env("B24EVENTS_LIBRARY", archive.path().join("lib/libb24events.so")), "Python 3");
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn every_function_of_it_does_what_the_header_says() {
    let archive = Archive::unpack("linux-x86_64");
    let host = hosts::LINUX.c_host(&archive);
    hosts::passes(Command::new(host).env("LD_LIBRARY_PATH", archive.path().join("lib")), &Portal::start());
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn the_component_of_the_bundle_works() {
    let bundle = unpack_bundle("B24Events.zip");
    let host = hosts::LINUX.addin_host(&bundle);
    let mut command = Command::new(host);
    command.arg(component(&bundle, "Linux", "x86_64")).arg(hosts::CYCLES);
    hosts::passes(&mut command, &Portal::start());
}
