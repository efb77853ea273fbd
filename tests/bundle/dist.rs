//! The files that are handed out, unpacked.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Folder, run};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");
pub const SYSTEMS: [&str; 4] = ["linux-x86_64", "linux-aarch64", "windows-x86_64", "windows-x86"];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of `target/packaging/dist`.
pub fn dist(name: &str) -> PathBuf {
    let path = root().join("target/packaging/dist").join(name);
    assert!(path.exists(), "{} is missing; run packaging/build.sh bundle first", path.display());
    path
}

/// The archive of a system for C programmers. Unpacks it, and goes with its value.
pub struct Archive {
    folder: Folder,
    top: String,
}

impl Archive {
    pub fn unpack(system: &str) -> Archive {
        let top = format!("b24events-{VERSION}-{system}");
        let folder = Folder::new();
        let archive = dist(&format!("{top}.tar.gz"));
        run(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()), "tar");
        Archive { folder, top }
    }

    /// What the archive holds.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.top)
    }

    /// A place beside it for what a test makes of it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Unpacks a bundle for 1C.
pub fn unpack_bundle(name: &str) -> Folder {
    let folder = Folder::new();
    run(Command::new("unzip").arg("-q").arg(dist(name)).arg("-d").arg(folder.path()), "unzip (Debian: unzip)");
    folder
}

/// The library that MANIFEST.XML of an unpacked bundle names for a system, as 1C finds it.
pub fn component(bundle: &Folder, os: &str, arch: &str) -> PathBuf {
    let manifest = std::fs::read_to_string(bundle.path().join("MANIFEST.XML")).expect("a bundle has a manifest");
    let attribute = |line: &str, name: &str| {
        let (_, value) = line.split_once(&format!(" {name}=\""))?;
        Some(value.split_once('"')?.0.to_owned())
    };
    let line = manifest
        .lines()
        .find(|line| attribute(line, "os").as_deref() == Some(os) && attribute(line, "arch").as_deref() == Some(arch));
    let path = line.and_then(|line| attribute(line, "path")).unwrap_or_else(|| panic!("no {os} {arch} in {manifest}"));
    bundle.path().join(path)
}
