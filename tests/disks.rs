//! State and tokens on real disks: one that is full, one that is read-only, one that cannot make a renaming durable.
//!
//! Each test starts this executable again, in a mount namespace of its own. That needs a system which allows it, so
//! these tests are ignored unless CI asks for them.
#![cfg(target_os = "linux")]

mod support;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use b24_emulator::Options;
use b24events::client::{Client, Hooks};
use b24events::error::Error;

use support::{Folder, Portal, config_of};

/// The folder that a test's disk is mounted on.
const DISK: &str = "B24_TEST_DISK";

/// Runs a test of this file where `setup`, a shell command, has prepared a disk in the folder `$B24_TEST_DISK`.
fn run_on(setup: &str, test: &str) {
    let disk = Folder::new();
    let script = format!("{setup} && exec \"$0\" --exact {test} --include-ignored --nocapture");
    let id = Command::new("id").arg("-u").output().unwrap();
    let namespaces: &[&str] = if id.stdout == b"0\n" { &["--mount"] } else { &["--map-root-user", "--mount"] };
    let output = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(DISK, disk.path())
        .output()
        .unwrap();
    let said = [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// The disk of this process; `None` in the process that has still to prepare it.
fn disk() -> Option<PathBuf> {
    std::env::var_os(DISK).map(PathBuf::from)
}

/// A client whose token has to be renewed before the first call, with its state and a tokens file on the disk.
fn client(portal: &Portal, disk: &Path) -> Result<Client, Error> {
    let mut keys = portal.unlimited_keys("OneC");
    keys.push(("auth.expires", "1".into()));
    keys.push(("state.dir", disk.join("state").to_str().unwrap().into()));
    keys.push(("auth.tokens_file", disk.join("tokens.json").to_str().unwrap().into()));
    Client::new(&config_of(&keys), Hooks::default())
}

/// Another program takes all the space that is left.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("filler");
    let mut filler = File::create(&path).unwrap();
    let error = std::iter::repeat_with(|| filler.write_all(&[0; 512])).find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    path
}

#[test]
#[ignore = "mounts a disk"]
fn a_full_disk_costs_no_tokens() {
    let Some(disk) = disk() else {
        return run_on("mount -t tmpfs -o size=64k none \"$B24_TEST_DISK\"", "a_full_disk_costs_no_tokens");
    };
    let portal = Portal::with(Options::default());
    let client = client(&portal, &disk).unwrap();
    let filler = fill(&disk);
    for _ in 0..3 {
        let error = client.call("profile", "").unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::State(_)), "{text}");
        assert!(text.contains(disk.to_str().unwrap()) && text.contains("free disk space"), "{text}");
    }
    assert_eq!(portal.emulator.counters().renewals, 0, "nothing is bought that cannot be stored");
    // The administrator authorizes anew meanwhile: what cannot be stored is used all the same.
    let tokens = portal.emulator.issue_tokens(b24_emulator::ADMINISTRATOR);
    let error = client.set_tokens(&tokens.access_token, &tokens.refresh_token, 0).unwrap_err();
    assert!(matches!(error, Error::State(_)), "{error}");
    client.call("profile", "").unwrap();
    fs::remove_file(filler).unwrap();
    client.set_tokens(&tokens.access_token, &tokens.refresh_token, 0).unwrap();
    let stored = fs::read_to_string(disk.join("tokens.json")).unwrap();
    assert!(stored.contains(&tokens.refresh_token));
}

#[test]
#[ignore = "mounts a disk"]
fn a_read_only_disk_is_named_and_says_what_to_do() {
    let Some(disk) = disk() else {
        let setup = "mount -t tmpfs none \"$B24_TEST_DISK\"";
        return run_on(setup, "a_read_only_disk_is_named_and_says_what_to_do");
    };
    let portal = Portal::start();
    drop(client(&portal, &disk).unwrap());
    let before = fs::read(disk.join("tokens.json")).unwrap();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk).status().unwrap();
    assert!(remounted.success());
    let error = client(&portal, &disk).err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, Error::State(_)) && text.contains(disk.to_str().unwrap()), "{text}");
    assert!(text.contains("write access"), "{text}");
    assert_eq!(fs::read(disk.join("tokens.json")).unwrap(), before);
}

#[test]
#[ignore = "compiles a library that fails calls of the system"]
fn a_disk_that_cannot_make_a_renaming_durable_is_refused() {
    let test = "a_disk_that_cannot_make_a_renaming_durable_is_refused";
    let Some(disk) = disk() else {
        const SHIM: &str = r#"
            #include <errno.h>
            #include <sys/stat.h>
            #include <sys/syscall.h>
            #include <unistd.h>
            int fsync(int fd) {
                struct stat about;
                if (fstat(fd, &about) == 0 && S_ISDIR(about.st_mode)) {
                    errno = EINVAL;
                    return -1;
                }
                return syscall(SYS_fsync, fd);
            }"#;
        let folder = Folder::new();
        let (source, shim) = (folder.path().join("shim.c"), folder.path().join("shim.so"));
        fs::write(&source, SHIM).unwrap();
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&shim, &source]).status().unwrap();
        assert!(compiled.success());
        return run_on(&format!("export LD_PRELOAD='{}'", shim.display()), test);
    };
    let portal = Portal::start();
    let error = client(&portal, &disk).err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, Error::State(_)) && text.contains(disk.to_str().unwrap()), "{text}");
    assert!(text.contains("check the disk"), "{text}");
    let left: Vec<_> = fs::read_dir(disk.join("state")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
