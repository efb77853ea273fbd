//! Generates the C header into `OUT_DIR`; `tests/documents.rs` compares `include/b24events.h` with it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// What the table of keys is made of.
#[allow(dead_code)] // Only a part is used here.
#[path = "src/config/key.rs"]
mod key;
/// The table of keys.
#[allow(dead_code)]
#[path = "src/config/keys.rs"]
mod keys;

/// The groups of functions in the order in which a reader needs them: files of `src/ffi` with their headings.
const GROUPS: [(&str, &str); 10] = [
    ("library", "Library"),
    ("config", "Configuration"),
    ("client", "Client"),
    ("events", "Events"),
    ("records", "Records"),
    ("state", "State and tokens"),
    ("rest", "REST"),
    ("handler", "Handler"),
    ("diagnosis", "Diagnosis"),
    ("batch", "Batches"),
];

fn main() {
    for path in [
        "src/ffi",
        "src/error.rs",
        "src/log.rs",
        "src/config/key.rs",
        "src/config/keys.rs",
        "cbindgen.toml",
        "build.rs",
    ] {
        println!("cargo::rerun-if-changed={path}");
    }
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let header = header(&root);
    fs::write(out.join("b24events.h"), &header).expect("OUT_DIR can be written");

    // The name that programs linked against the library ask the loader for. It changes with the ABI only.
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        let version = header.lines().find_map(|line| line.strip_prefix("#define B24_ABI_VERSION "));
        let version = version.expect("src/ffi/library.rs has it");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libb24events.so.{version}");
        // Once loaded, the library stays mapped even if the host (1C) unloads it: threads of the host hold values of
        // the Rust runtime, whose destructors must be there when such a thread ends. From glibc 2.18 on the loader
        // makes sure of that. On older systems (1C servers run on 2.17) the thread would jump to unmapped memory.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}

fn header(root: &Path) -> String {
    let file = |group: &str| root.join("src/ffi").join(group).with_extension("rs");
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    config.after_includes = Some(version_macros());
    let mut builder = cbindgen::Builder::new().with_config(config);
    // Statuses and log levels are defined where they are used.
    for source in ["src/error.rs", "src/log.rs"] {
        builder = builder.with_src(root.join(source));
    }
    for (group, _) in GROUPS {
        builder = builder.with_src(file(group));
    }
    let mut bytes = Vec::new();
    builder.generate().expect("src/ffi can be bound").write(&mut bytes);
    let mut header = String::from_utf8(bytes).expect("cbindgen writes UTF-8");
    // cbindgen puts the name of the type before each enumerator.
    header = header.replace("B24_STATUS_", "B24_").replace("B24_LOG_LEVEL_", "B24_LOG_");
    for name in ["b24_status", "b24_log_level"] {
        header = with_plain_enum(&header, name);
    }
    for (group, heading) in GROUPS {
        let source = fs::read_to_string(file(group)).expect("cbindgen has read it");
        let function = source.split_once("extern \"C\" fn ").and_then(|(_, rest)| rest.split_once('('));
        let (function, _) = function.expect("each group has a function");
        // The comment at the top of the header shows some calls, too.
        let at = header.rfind(&format!("{function}(")).and_then(|at| header[..at].rfind("/**"));
        let keys = if group == "config" { list_of_keys() } else { String::new() };
        header.insert_str(
            at.expect("each function has a comment"),
            &format!("/* {:-<110} */\n\n{keys}", format!("{heading} ")),
        );
    }
    header
}

/// Gives the enumeration a tag of its own in C before C23, where the type is a plain number: in C++ a tag and a type of
/// one name have to be the same, and compilers of C can be told to warn if they are not.
fn with_plain_enum(header: &str, name: &str) -> String {
    const TYPED: &str = "defined(__cplusplus) || __STDC_VERSION__ >= 202311L";
    const C23: &str = "__STDC_VERSION__ >= 202311L";
    let head = format!("enum {name}\n#if {TYPED}\n  : int32_t\n#endif // {TYPED}\n {{\n");
    let tail = format!(
        "#ifndef __cplusplus\n#if {C23}\ntypedef enum {name} {name};\n#else\ntypedef int32_t {name};\n#endif // {C23}\n\
         #endif // __cplusplus\n"
    );
    assert!(header.contains(&head) && header.contains(&tail), "cbindgen writes {name} in another way");
    let plain = format!(
        "#if defined(__cplusplus)\nenum {name} : int32_t\n#elif {C23}\nenum {name} : int32_t;\n\
         typedef enum {name} {name};\nenum {name} : int32_t\n#else\n\
         typedef int32_t {name}; /* a debugger shows the name for (enum {name}_values) */\n\
         enum {name}_values\n#endif\n{{\n"
    );
    header.replace(&head, &plain).replace(&tail, "")
}

/// The keys of b24_config_set, as a comment.
fn list_of_keys() -> String {
    let mut lines = vec![
        " * The keys of b24_config_set. CONFIGURATION.md has the same list. Its \"tokens callback\" is b24_tokens_fn."
            .to_owned(),
        " *".to_owned(),
    ];
    for key in keys::KEYS {
        let allowed = match key.kind {
            key::Kind::Text | key::Kind::Secret => "text".to_owned(),
            key::Kind::Address | key::Kind::Proxy => "an address".to_owned(),
            kind => kind.allowed(),
        };
        let default = match key.default {
            _ if key.required => "required".to_owned(),
            None | Some("") => "default empty".to_owned(),
            Some(value) => format!("default {value}"),
        };
        lines.push(format!(" * {} ({allowed}; {default})", key.name));
        let mut line = " *  ".to_owned();
        for word in key.text.split(' ') {
            if line.chars().count() + 1 + word.chars().count() > 120 {
                lines.push(std::mem::replace(&mut line, " *  ".into()));
            }
            line = format!("{line} {word}");
        }
        lines.push(line);
    }
    format!("/*\n{}\n */\n\n", lines.join("\n"))
}

fn version_macros() -> String {
    let variable = |name: &str| env::var(format!("CARGO_PKG_VERSION{name}")).expect("cargo sets it");
    format!(
        "\n/**\n * The version of the library that this header belongs to; see b24_version.\n */\n\
         #define B24EVENTS_VERSION \"{}\"\n#define B24EVENTS_VERSION_MAJOR {}\n#define B24EVENTS_VERSION_MINOR {}\n\
         #define B24EVENTS_VERSION_PATCH {}",
        variable(""),
        variable("_MAJOR"),
        variable("_MINOR"),
        variable("_PATCH")
    )
}
