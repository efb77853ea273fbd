//! The archive for Linux ARM64, and the bundle's library for it, under qemu.

use std::path::Path;
use std::process::Command;

use crate::dist::{Archive, component, unpack_bundle};
use crate::hosts;
use crate::support::Portal;

/// Where Debian has the C library of ARM64.
const SYSTEM: &str = "/usr/aarch64-linux-gnu";

fn under_qemu(program: &Path) -> Command {
    assert!(Path::new(SYSTEM).is_dir(), "{SYSTEM} is missing (Debian: libc6-arm64-cross)");
    let mut command = Command::new("qemu-aarch64");
    command.args(["-L", SYSTEM]).arg(program);
    command
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn every_function_of_it_does_what_the_header_says() {
    let archive = Archive::unpack("linux-aarch64");
    let host = hosts::ARM64.c_host(&archive);
    hosts::passes(under_qemu(&host).env("LD_LIBRARY_PATH", archive.path().join("lib")), &Portal::start());
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn the_component_of_the_bundle_works() {
    let bundle = unpack_bundle("B24Events-ARM64.zip");
    let host = hosts::ARM64.addin_host(&bundle);
    let mut command = under_qemu(&host);
    command.arg(component(&bundle, "Linux", "ARM64")).arg(hosts::CYCLES).arg("--no-rss");
    hosts::passes(&mut command, &Portal::start());
}
