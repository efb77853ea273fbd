//! The archives for Windows, and the bundle's libraries for it, under wine.
//!
//! Debian 12 has wine for 64 bit among its packages; that for 32 bit runs in a folder of its own, see `wine32.sh`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::dist::{Archive, component, root, unpack_bundle};
use crate::hosts::{self, System};
use crate::support::{self, Folder, Portal, run};

/// An installation of Windows, as wine makes it. Ends all that runs in it, and goes, with its value.
struct Wine {
    /// The tree that holds wine for 32 bit; the one for 64 bit is installed.
    tree: Option<OsString>,
    folder: Folder,
}

impl Wine {
    fn new(bits: u32) -> Wine {
        let named = || env::var_os("B24_WINE32").expect("B24_WINE32 names the folder that wine32.sh has made");
        let wine = Wine { tree: (bits == 32).then(named), folder: Folder::new() };
        run(wine.program("wineboot").arg("--init"), "wine (Debian: wine, wine64), or its tree for 32 bit, see .ci/run");
        wine
    }

    /// A folder that both sides see, and that programs run in.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program for Windows, by its name in the folder.
    fn program(&self, name: &str) -> Command {
        let mut command = self.tool("wine");
        command.arg(name);
        command
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = match &self.tree {
            None => {
                let mut command = Command::new(name);
                command.env("WINEPREFIX", self.path("windows"));
                command
            }
            Some(tree) => {
                let mut command = Command::new(root().join("tests/bundle/wine32.sh"));
                command.arg("run").arg(tree).arg(self.folder.path()).arg(name);
                command
            }
        };
        command.current_dir(self.folder.path());
        // No word about what no program here needs, no question to install it, and no menus for the user.
        command.env("WINEDEBUG", "-all").env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=");
        command
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        // Fails only when nothing runs any more.
        let _ = self.tool("wineserver").arg("--kill").output();
    }
}

/// What a C programmer and what 1C get, in one installation, which takes some seconds to make.
fn works(bits: u32, system: &System, name: &str, arch: &str) {
    let wine = Wine::new(bits);
    let archive = Archive::unpack(name);
    fs::copy(archive.path().join("bin/b24events.dll"), wine.path("b24events.dll")).expect("the archive holds it");
    let program = |built: &Path, name: &str| {
        fs::copy(built, wine.path(name)).expect("the folder takes a file");
        wine.program(name)
    };

    hosts::passes(&mut program(&system.c_host(&archive), "host.exe"), &Portal::start());
    hosts::passes(&mut program(&system.cpp_host(&archive), "host_cpp.exe"), &Portal::start());

    let library = archive.path().join("lib");
    let include = format!("-I{}", archive.path().join("include").display());
    let quickstart = archive.path().join("examples/quickstart.c");
    let libraries = fs::read_to_string(archive.path().join("lib/pkgconfig/b24events.pc")).expect("it is there");
    let private = libraries.lines().find_map(|line| line.strip_prefix("Libs.private: ")).expect("it names libraries");
    let with = |file: &str| library.join(file).display().to_string();
    let (shared, microsofts, linked) = (with("libb24events.dll.a"), with("b24events.lib"), with("libb24events.a"));
    for (built, library, more) in
        [("shared.exe", shared, ""), ("microsofts.exe", microsofts, ""), ("static.exe", linked, private)]
    {
        let mut arguments = vec![include.as_str(), library.as_str(), "-static"];
        arguments.extend(more.split_whitespace());
        let path = archive.beside(built);
        system.c_program(&quickstart, &arguments, &path);
        support::quickstart(&mut program(&path, built), hosts::JUST_BUILT);
    }

    let bundle = unpack_bundle("B24Events.zip");
    let component = component(&bundle, "Windows", arch);
    let file = component.file_name().and_then(|name| name.to_str()).expect("a plain name");
    fs::copy(&component, wine.path(file)).expect("the folder takes a file");
    let mut host = program(&system.addin_host(&bundle), "addin_host.exe");
    hosts::passes(host.arg(file).arg(hosts::CYCLES), &Portal::start());
}

#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn the_64_bit_library_works() {
    works(64, &hosts::WINDOWS_X86_64, "windows-x86_64", "x86_64");
}

#[test]
#[ignore = "needs packaging/build.sh bundle and B24_WINE32"]
fn the_32_bit_library_works() {
    works(32, &hosts::WINDOWS_X86, "windows-x86", "i386");
}

/// What wine tells of the calls that a program makes shows two things that nothing else does: that a state is flushed
/// before and after its renaming, and that a renaming that another program prevents is tried again.
#[test]
#[ignore = "needs packaging/build.sh bundle"]
fn a_state_is_flushed_and_waits_for_whoever_holds_it_open() {
    let wine = Wine::new(64);
    let archive = Archive::unpack("windows-x86_64");
    fs::copy(archive.path().join("bin/b24events.dll"), wine.path("b24events.dll")).expect("the archive holds it");
    let include = format!("-I{}", archive.path().join("include").display());
    let library = archive.path().join("lib/libb24events.dll.a").display().to_string();
    let source = root().join("tests/c/windows_state.c");
    hosts::WINDOWS_X86_64.c_program(&source, &[&include, &library, "-static"], &wine.path("windows_state.exe"));

    let output = wine.program("windows_state.exe").arg("state").env("WINEDEBUG", "+relay").output();
    let output = output.expect("wine starts it");
    let relay = String::from_utf8_lossy(&output.stderr);
    let texts = || relay.lines().filter(|line| !line.contains("Call ") && !line.contains("Ret ")).collect::<Vec<_>>();
    assert!(output.status.success(), "{:?} {:?}", output.status, texts().last());
    let calls = calls_of_the_writer(&relay);
    let is = |call: &&str, name: &str| call.contains(name);
    let renamed: Vec<_> = (0..calls.len()).filter(|at| calls[*at].contains("MoveFileExW() retval=00000001")).collect();
    assert!(renamed.len() >= 2, "{} renamings", renamed.len());
    for at in renamed {
        let before = calls[..at].iter().rev().find(|call| !is(call, "MoveFileExW"));
        let after = calls[at + 1..].iter().find(|call| !is(call, "Ret "));
        assert!(before.is_some_and(|call| is(call, "FlushFileBuffers")), "before the renaming: {before:?}");
        assert!(after.is_some_and(|call| is(call, "FlushFileBuffers")), "after the renaming: {after:?}");
    }
    let failed = calls.iter().filter(|call| call.contains("MoveFileExW() retval=00000000")).count();
    println!("tried again {failed} times within a second");
    assert!(failed > 0, "nobody held the file");
}

/// The calls of the thread that renames the state, in their order, as far as they rename or flush.
fn calls_of_the_writer(relay: &str) -> Vec<&str> {
    let thread =
        relay.lines().find(|line| line.contains("Call KERNEL32.MoveFileExW")).and_then(|line| line.split(':').next());
    let thread = thread.expect("it renames");
    let lines = relay.lines().filter(|line| line.split(':').next() == Some(thread));
    lines
        .filter(|line| line.contains("KERNEL32.MoveFileExW") || line.contains("Call KERNEL32.FlushFileBuffers"))
        .collect()
}
