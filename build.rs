//! Generates the C header into `OUT_DIR`; `tests/documents.rs` compares `include/b24events.h` with it.

use std::env;
use std::fs;
use std::path::PathBuf;

fn main() {
    for path in ["src/ffi", "cbindgen.toml", "build.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let mut builder = cbindgen::Builder::new().with_config(config);
    // In the order in which a reader needs them.
    for file in ["status", "library", "config", "client", "handler", "batch"] {
        builder = builder.with_src(root.join("src/ffi").join(file).with_extension("rs"));
    }
    let header = out.join("b24events.h");
    builder.generate().expect("src/ffi can be bound").write_to_file(&header);

    // The name that programs linked against the library ask the loader for: it changes with the ABI only.
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        let header = fs::read_to_string(&header).expect("it was just written");
        let version = header.lines().find_map(|line| line.strip_prefix("#define B24_ABI_VERSION "));
        let version = version.expect("src/ffi/library.rs has it");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libb24events.so.{version}");
        // Once loaded, the library stays mapped, though 1C unloads it at will: threads of the host keep values of the
        // Rust runtime, and their destructors must be there when such a thread ends. From glibc 2.18 on the loader sees
        // to that by itself; on older systems (1C servers run on 2.17) the thread would jump into the void.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
