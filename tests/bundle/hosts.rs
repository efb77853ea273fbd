//! The test hosts of `tests/c`, built for the systems of the bundle.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::dist::{Archive, root};
use crate::support::{C_HOST, Folder, Portal, run};

pub const JUST_BUILT: &str = "nothing, it was just built";
/// How often the host of the 1C component loads, uses and unloads it: more often than a Windows process has room for if
/// each load leaves something behind.
pub const CYCLES: &str = "150";

/// How programs for a system are built.
pub struct System {
    pub c: &'static str,
    pub cpp: &'static str,
    /// What answers `system.h` there.
    source: &'static str,
    /// What the linker takes for the shared library, in the archive.
    shared: &'static str,
    /// What the hosts are linked with besides the library.
    libraries: &'static [&'static str],
    needs: &'static str,
}

pub const LINUX: System = System {
    c: "cc",
    cpp: "c++",
    source: "system_linux.c",
    shared: "lib/libb24events.so",
    libraries: &["-pthread", "-ldl"],
    needs: "a C and a C++ compiler (Debian: gcc, g++)",
};
pub const ARM64: System = System {
    c: "aarch64-linux-gnu-gcc",
    cpp: "aarch64-linux-gnu-g++",
    needs: "compilers for ARM64 (Debian: gcc-aarch64-linux-gnu, g++-aarch64-linux-gnu)",
    ..LINUX
};
pub const WINDOWS_X86_64: System = System {
    c: "x86_64-w64-mingw32-gcc-posix",
    cpp: "x86_64-w64-mingw32-g++-posix",
    source: "system_windows.c",
    shared: "lib/libb24events.dll.a",
    // Statically linked, so that the programs need no DLL of MinGW.
    libraries: &["-static", "-pthread", "-lws2_32", "-lpsapi"],
    needs: "MinGW with threads (Debian: gcc-mingw-w64-x86-64-posix, g++-mingw-w64-x86-64-posix)",
};
pub const WINDOWS_X86: System = System {
    c: "i686-w64-mingw32-gcc-posix",
    cpp: "i686-w64-mingw32-g++-posix",
    needs: "MinGW with threads (Debian: gcc-mingw-w64-i686-posix, g++-mingw-w64-i686-posix)",
    ..WINDOWS_X86_64
};

impl System {
    /// The host that tries every function, linked with the shared library of the archive.
    pub fn c_host(&self, archive: &Archive) -> PathBuf {
        let program = archive.beside("host.exe");
        let mut command = Command::new(self.c);
        command
            .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
            .arg(archive.path().join("include"));
        command.args(C_HOST.iter().map(|source| sources().join(source))).arg(sources().join(self.source));
        command.arg(archive.path().join(self.shared)).args(self.libraries);
        run(command.arg("-o").arg(&program), self.needs);
        program
    }

    /// The host in C++17, linked likewise.
    pub fn cpp_host(&self, archive: &Archive) -> PathBuf {
        let program = archive.beside("host_cpp.exe");
        let mut command = Command::new(self.cpp);
        command
            .args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
            .arg(archive.path().join("include"));
        command.arg(sources().join("host.cpp")).arg(archive.path().join(self.shared)).args(self.libraries);
        run(command.arg("-o").arg(&program), self.needs);
        program
    }

    /// A program of one C file, linked as the arguments say.
    pub fn c_program(&self, source: &Path, arguments: &[&str], program: &Path) {
        run(Command::new(self.c).arg(source).args(arguments).arg("-o").arg(program), self.needs);
    }

    /// The host that loads the 1C component.
    pub fn addin_host(&self, folder: &Folder) -> PathBuf {
        let object = folder.path().join("system.o");
        run(
            Command::new(self.c)
                .args(["-std=c99", "-O1", "-c"])
                .arg(sources().join(self.source))
                .arg("-o")
                .arg(&object),
            self.needs,
        );
        let program = folder.path().join("addin_host.exe");
        let mut command = Command::new(self.cpp);
        command.args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-O1"]);
        command.arg(sources().join("addin_host.cpp")).arg(object).args(self.libraries);
        run(command.arg("-o").arg(&program), self.needs);
        program
    }
}

fn sources() -> PathBuf {
    root().join("tests/c")
}

/// Runs a test host to its end against the portal.
pub fn passes(host: &mut Command, portal: &Portal) {
    portal.describe_to(host);
    let output = run(host, JUST_BUILT);
    // Programs for Windows end their lines in their own way.
    print!("{output}");
    assert!(output.trim_end().ends_with("all parts passed"), "{output}");
}
