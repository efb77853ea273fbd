//! Hosts in C99 and C++17 against the header and both libraries; `tests/c` holds them.
//!
//! They use POSIX and `/proc`, so they are programs for Linux.
#![cfg(target_os = "linux")]

mod support;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use b24events::ffi::B24_ABI_VERSION;
use support::{C_HOST, Folder, Portal, run, shared_library, static_library};

/// What `cargo rustc --lib -- --print native-static-libs` says that the static library needs.
const NATIVE_LIBRARIES: [&str; 7] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];
const JUST_BUILT: &str = "nothing, it was just built";
const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

struct Language {
    compiler: &'static str,
    /// Names another compiler.
    variable: &'static str,
    standard: &'static str,
    needs: &'static str,
}

const C: Language = Language {
    compiler: "cc",
    variable: "CC",
    standard: "-std=c99",
    needs: "a C compiler (Debian: gcc), or its name in CC",
};
const CPP: Language = Language {
    compiler: "c++",
    variable: "CXX",
    standard: "-std=c++17",
    needs: "a C++ compiler (Debian: g++), or its name in CXX",
};

#[derive(Clone, Copy)]
enum Link {
    Shared,
    Static,
}

const QUICKSTART: &[&str] = &["quickstart.c"];
const HOST_CPP: &[&str] = &["host.cpp"];

impl Language {
    fn compile(&self, arguments: impl FnOnce(&mut Command) -> &mut Command) {
        let compiler = env::var(self.variable).unwrap_or_else(|_| self.compiler.to_owned());
        let mut words = compiler.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or(self.compiler));
        command.args(words).arg(self.standard).args(WARNINGS).arg("-I").arg(root().join("include"));
        run(arguments(&mut command), self.needs);
    }

    /// Compiles and links a program of `tests/c`.
    fn build(&self, folder: &Folder, sources: &[&str], link: Link) -> PathBuf {
        let program = folder.path().join("host");
        self.compile(|command| {
            command.args(sources.iter().map(|source| root().join("tests/c").join(source)));
            command.arg("-pthread").arg("-o").arg(&program);
            match link {
                Link::Shared => {
                    install(&shared_library(), folder.path());
                    let rpath = format!("-Wl,-rpath,{}", folder.path().display());
                    command.arg("-L").arg(folder.path()).arg("-lb24events").arg(rpath)
                }
                Link::Static => command.arg(static_library()).args(NATIVE_LIBRARIES),
            }
        });
        program
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The host that calls every function, on this system.
fn c_host() -> Vec<&'static str> {
    C_HOST.into_iter().chain(["system_linux.c"]).collect()
}

/// Like a package: the linker finds the plain name, the loader the one with the version of the ABI.
fn install(library: &Path, folder: &Path) {
    for name in ["libb24events.so", &format!("libb24events.so.{B24_ABI_VERSION}")] {
        symlink(library, folder.join(name)).expect("a new folder takes a link");
    }
}

fn quickstart(link: Link) {
    let folder = Folder::new();
    let program = C.build(&folder, QUICKSTART, link);
    support::quickstart(&mut Command::new(program), JUST_BUILT);
}

/// Runs a test host to its end and returns the portal it ran against.
fn host(language: &Language, sources: &[&str], link: Link) -> Portal {
    let folder = Folder::new();
    let program = language.build(&folder, sources, link);
    let portal = Portal::start();
    let mut command = Command::new(program);
    portal.describe_to(&mut command);
    let output = run(&mut command, JUST_BUILT);
    assert!(output.ends_with("all parts passed\n"), "{output}");
    portal
}

#[test]
fn quickstart_with_the_shared_library() {
    quickstart(Link::Shared);
}

#[test]
fn quickstart_with_the_static_library() {
    quickstart(Link::Static);
}

#[test]
fn c_host_with_the_shared_library() {
    host(&C, &c_host(), Link::Shared);
}

#[test]
fn c_host_with_the_static_library() {
    host(&C, &c_host(), Link::Static);
}

#[test]
fn cpp_host_with_the_shared_library() {
    assert_eq!(host(&CPP, HOST_CPP, Link::Shared).emulator.queue(""), []);
}

#[test]
fn cpp_host_with_the_static_library() {
    assert_eq!(host(&CPP, HOST_CPP, Link::Static).emulator.queue(""), []);
}

#[test]
fn the_header_compiles_alone_and_with_stricter_warnings() {
    let header = root().join("include/b24events.h");
    C.compile(|command| command.args(["-Wstrict-prototypes", "-Wc++-compat", "-fsyntax-only", "-x", "c"]).arg(&header));
    for standard in ["-std=c++11", CPP.standard] {
        CPP.compile(|command| command.args([standard, "-Wold-style-cast", "-fsyntax-only", "-x", "c++"]).arg(&header));
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The functions of the header: name and parameters.
fn functions() -> Vec<(String, String)> {
    let header = read("include/b24events.h");
    let starts = header.match_indices('\n').map(|(at, _)| &header[at + 1..]);
    let declarations = starts.filter(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase()));
    let functions: Vec<_> = declarations
        .filter_map(|rest| {
            let (before, parameters) = rest.split_once(';')?.0.strip_suffix(')')?.split_once('(')?;
            let name = before.rsplit([' ', '*']).next().filter(|name| name.starts_with("b24_"))?;
            Some((name.to_owned(), parameters.to_owned()))
        })
        .collect();
    assert!(functions.len() > 40, "the header's declarations are not found: {functions:?}");
    functions
}

/// Reminds whoever adds a function to call it from C, with a valid handle and with an invalid one.
#[test]
fn the_c_host_uses_every_function() {
    let host: String = C_HOST.iter().map(|source| read(&format!("tests/c/{source}"))).collect();
    let unused: Vec<_> =
        functions().into_iter().filter(|(name, _)| !host.contains(&format!("{name}("))).map(|(name, _)| name).collect();
    assert!(unused.is_empty(), "not called in tests/c: {unused:?}");
}

/// Reminds whoever adds an out-parameter to set it before anything can fail.
#[test]
fn every_out_parameter_is_tried_with_an_invalid_handle() {
    let is_out = |parameter: &str| {
        let parameter = parameter.trim();
        let to_value = ["size_t *", "int32_t *", "struct b24_notification *", "struct b24_record *"];
        !parameter.contains("const")
            && (parameter.contains("**") || to_value.iter().any(|to| parameter.starts_with(to)))
    };
    let source = read("tests/c/handles.c");
    let part = source.split_once("static void out_parameters_with_invalid_handle(").expect("handles.c has it").1;
    let part = part.split_once("void invalid_handles(").expect("handles.c has it").0;
    let with_out: Vec<_> = functions()
        .into_iter()
        .filter(|(_, parameters)| parameters.split(',').any(is_out))
        .map(|(name, _)| name)
        .collect();
    assert!(with_out.len() > 13, "out-parameters are not found: {with_out:?}");
    let untried: Vec<_> = with_out.iter().filter(|name| !part.contains(&format!("{name}("))).collect();
    assert!(untried.is_empty(), "not tried in tests/c/handles.c: {untried:?}");
}
