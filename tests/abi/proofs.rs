//! The guard finds every break, and nothing else.

use super::{Additions, HEADER, b24_abi_version, judge};

/// In the format of the real header, which may change.
const SMALL: &str = r#"/*
 * A small header; #define B24_OLD 1
 */

#ifndef B24EVENTS_H
#define B24EVENTS_H

#include <stddef.h>
#include <stdint.h>

/**
 * Done.
 */
#define B24_OK 0

#define B24_TIMEOUT 1

#define B24_NAME "b24 // events"

#define B24EVENTS_VERSION "1.2.3"

typedef struct b24_client b24_client;

#if defined(__cplusplus)
enum b24_kind : int32_t
#elif __STDC_VERSION__ >= 202311L
enum b24_kind : int32_t;
typedef enum b24_kind b24_kind;
enum b24_kind : int32_t
#else
typedef int32_t b24_kind;
enum b24_kind_values
#endif
{
  /**
   * A good one.
   */
  B24_GOOD = 1,
  B24_BAD = -1,
};

typedef int32_t b24_status;

typedef void (*b24_log_fn)(void *user_data, b24_status level, const char *message);

/**
 * One record.
 */
typedef struct b24_record {
  /**
   * Its id; never NULL.
   */
  const char *id;
  uint64_t count;
  unsigned long long size;
  const void *reserved[4];
} b24_record;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

uint32_t b24_abi_version(void);

const char *b24_name(void);

b24_status b24_client_wait(struct b24_client *client,
                           int32_t timeout_ms,
                           struct b24_record *out);

b24_status b24_ack(struct b24_client *client, const char *const *ids, size_t count);

b24_status b24_log(struct b24_client *client, void (*callback)(void *user_data));

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* B24EVENTS_H */
"#;

fn record(header: &str) -> String {
    judge(header, 1, None, Additions::Recorded).unwrap().expect("a file to write")
}

/// The small header with one part changed.
fn with(old: &str, new: &str) -> String {
    assert_eq!(SMALL.matches(old).count(), 1, "{old}");
    SMALL.replace(old, new)
}

/// What the guard says about a change, in each of its modes.
#[track_caller]
fn is_refused(changed: &str, finding: &str) {
    let recorded = record(SMALL);
    for additions in [Additions::Allowed, Additions::Refused, Additions::Recorded] {
        let error = judge(changed, 1, Some(&recorded), additions).unwrap_err();
        assert!(error.contains(finding), "{error}");
        assert!(error.contains("raise B24_ABI_VERSION in src/ffi/library.rs"), "{error}");
    }
}

#[track_caller]
fn is_the_same(changed: &str) {
    judge(changed, 1, Some(&record(SMALL)), Additions::Refused).unwrap();
    assert_eq!(record(changed), record(SMALL));
}

#[test]
fn the_recorded_file_is_readable() {
    let expected = "\
# What programs that use version 1 of the ABI rely on: lines may be added, never removed or changed.
# Written by: B24_WRITE=1 cargo test --test abi

define B24EVENTS_VERSION (of each release)
define B24_NAME \"b24 // events\"
define B24_OK 0
define B24_TIMEOUT 1
enum b24_kind : int32_t
enumerator B24_BAD = -1 of b24_kind
enumerator B24_GOOD = 1 of b24_kind
fn uint32_t b24_abi_version(void)
fn b24_status b24_ack(b24_client *, const char *const *, size_t)
fn b24_status b24_client_wait(b24_client *, int32_t, b24_record *)
fn b24_status b24_log(b24_client *, void (*)(void *))
fn const char *b24_name(void)
opaque b24_client
struct b24_record { const char *id; uint64_t count; unsigned long long size; const void *reserved[4]; }
type b24_log_fn = void (*)(void *, b24_status, const char *)
type b24_status = int32_t
";
    assert_eq!(record(SMALL), expected);
}

#[test]
fn functions_stay() {
    is_refused(&with("const char *b24_name(void);", ""), "removed: fn const char *b24_name(void)\n");
    is_refused(
        &with("int32_t timeout_ms", "int64_t timeout_ms"),
        "  changed: fn b24_status b24_client_wait(b24_client *, int32_t, b24_record *)
       to: fn b24_status b24_client_wait(b24_client *, int64_t, b24_record *)\n",
    );
    is_refused(
        &with("uint32_t b24_abi_version", "uint64_t b24_abi_version"),
        "to: fn uint64_t b24_abi_version(void)\n",
    );
    is_refused(&with("const char *b24_name", "char *b24_name"), "to: fn char *b24_name(void)\n");
    is_refused(
        &with("b24_abi_version(void)", "b24_abi_version(int32_t of)"),
        "to: fn uint32_t b24_abi_version(int32_t)\n",
    );
    is_refused(&with(", size_t count", ""), "to: fn b24_status b24_ack(b24_client *, const char *const *)\n");
    is_refused(&with("const char *const *ids", "const char **ids"), "b24_ack(b24_client *, const char **, size_t)\n");
    is_refused(&with("*callback)(void *user", "*callback)(char *user"), "b24_log(b24_client *, void (*)(char *))\n");
}

#[test]
fn enumerations_stay() {
    is_refused(&with("  B24_BAD = -1,\n", ""), "removed: enumerator B24_BAD = -1 of b24_kind\n");
    is_refused(&with("B24_BAD = -1", "B24_BAD = -2"), "to: enumerator B24_BAD = -2 of b24_kind\n");
    is_refused(&SMALL.replace("b24_kind", "b24_sort"), "to: enumerator B24_BAD = -1 of b24_sort\n");
    let wider = SMALL.replace("b24_kind : int32_t", "b24_kind : int64_t");
    let wider = wider.replace("typedef int32_t b24_kind", "typedef int64_t b24_kind");
    is_refused(&wider, "to: enum b24_kind : int64_t\n");
    for (old, new) in [
        ("cplusplus)\nenum b24_kind : int32_t", "cplusplus)\nenum b24_kind"),
        ("enum b24_kind : int32_t\n#elif", "enum b24_kind : int64_t\n#elif"),
        ("typedef int32_t b24_kind;", "typedef int64_t b24_kind;"),
        ("enum b24_kind : int32_t;", "enum b24_kind : int64_t;"),
        ("typedef enum b24_kind b24_kind;", "typedef enum b24_kind b24_sort;"),
        ("typedef enum b24_kind b24_kind;\n", ""),
        ("enum b24_kind_values\n", "enum\n"),
        ("#endif\n{", "{"),
        ("B24_GOOD = 1,", "B24_GOOD,"),
        ("B24_GOOD = 1,", "B24_GOOD = B24_OK,"),
        ("B24_GOOD = 1,", "B24_GOOD = 1, B24_BETTER = 2,"),
        ("};\n\ntypedef int32_t b24_status", "typedef int32_t b24_status"),
    ] {
        let error = judge(&with(old, new), 1, None, Additions::Recorded).unwrap_err();
        assert!(error.contains("cannot read this line of the header: "), "{old}: {error}");
    }
}

#[test]
fn the_version_of_the_library_may_change() {
    is_the_same(&with("\"1.2.3\"", "\"1.2.4\""));
    is_refused(&with("#define B24EVENTS_VERSION \"1.2.3\"", ""), "removed: define B24EVENTS_VERSION");
}

#[test]
fn structs_stay() {
    let swapped = with("const char *id;\n  uint64_t count;", "uint64_t count;\n  const char *id;");
    is_refused(&swapped, "to: struct b24_record { uint64_t count; const char *id;");
    is_refused(&with("reserved[4];", "reserved[4];\n  int32_t more;"), "const void *reserved[4]; int32_t more; }\n");
    is_refused(&with("  uint64_t count;\n", ""), "to: struct b24_record { const char *id; unsigned");
    is_refused(&with("uint64_t count", "uint32_t count"), "uint32_t count;");
    is_refused(&with("unsigned long long size", "unsigned long size"), "unsigned long size;");
    is_refused(&with("uint64_t count", "uint64_t number"), "uint64_t number;");
    is_refused(&with("reserved[4]", "reserved[3]"), "const void *reserved[3]; }\n");
}

#[test]
fn types_stay() {
    let changed = with("b24_status level, const char *message", "const char *message");
    is_refused(&changed, "to: type b24_log_fn = void (*)(void *, const char *)\n");
    is_refused(
        &with("typedef void (*b24_log_fn)", "typedef int32_t (*b24_log_fn)"),
        "to: type b24_log_fn = int32_t (*)(",
    );
    is_refused(&with("typedef int32_t b24_status;", "typedef int64_t b24_status;"), "to: type b24_status = int64_t\n");
    is_refused(&with("typedef struct b24_client b24_client;", ""), "removed: opaque b24_client\n");
    let opened = with("typedef struct b24_client b24_client;", "typedef struct b24_client { int32_t fd; } b24_client;");
    is_refused(&opened, "  changed: opaque b24_client\n       to: struct b24_client { int32_t fd; }\n");
}

#[test]
fn constants_stay() {
    is_refused(
        &with("B24_TIMEOUT 1", "B24_TIMEOUT 2"),
        "  changed: define B24_TIMEOUT 1\n       to: define B24_TIMEOUT 2\n",
    );
    is_refused(&with("#define B24_TIMEOUT 1", ""), "removed: define B24_TIMEOUT 1\n");
    is_refused(&with("\"b24 // events\"", "\"b24 // event\""), "to: define B24_NAME \"b24 // event\"\n");
}

#[test]
fn an_addition_does_not_hide_a_removal() {
    is_refused(&with("B24_TIMEOUT 1", "B24_LATE 1"), "removed: define B24_TIMEOUT 1\n");
}

#[test]
fn names_of_parameters_comments_and_spaces_may_change() {
    is_the_same(&with("int32_t timeout_ms", "int32_t wait_ms"));
    is_the_same(&with("int32_t timeout_ms", "int32_t"));
    is_the_same(&with("*user_data, b24_status level", "*data, b24_status"));
    is_the_same(&with("(*callback)(void *user_data)", "(*)(void*)"));
    is_the_same(&with("uint32_t b24_abi_version(void);", "uint32_t\nb24_abi_version ( void ); // a number"));
    is_the_same(&with("Its id; never NULL.", "typedef int32_t b24_id;"));
    is_the_same(&with("struct b24_record *out", "b24_record /* or NULL */ *out"));
    is_the_same(&SMALL.replace('\n', "\r\n"));
}

#[test]
fn additions_pass_and_are_recorded() {
    let recorded = record(SMALL);
    for (place, added, line) in [
        ("#define B24_TIMEOUT 1", "#define B24_LATE -1", "define B24_LATE -1"),
        ("const char *b24_name(void);", "void b24_end(struct b24_client *client);", "fn void b24_end(b24_client *)"),
        ("typedef int32_t b24_status;", "typedef int32_t b24_mode;", "type b24_mode = int32_t"),
        ("typedef int32_t b24_status;", "typedef struct b24_new b24_new;", "opaque b24_new"),
        (
            "typedef int32_t b24_status;",
            "typedef struct b24_at {\n  int32_t x;\n} b24_at;",
            "struct b24_at { int32_t x; }",
        ),
    ] {
        let grown = with(place, &format!("{place}\n{added}"));
        assert_eq!(judge(&grown, 1, Some(&recorded), Additions::Allowed), Ok(None));
        let error = judge(&grown, 1, Some(&recorded), Additions::Refused).unwrap_err();
        assert!(error.contains(&format!("  added: {line}\n")) && error.contains("B24_WRITE=1"), "{error}");

        let recorded = judge(&grown, 1, Some(&recorded), Additions::Recorded).unwrap().unwrap();
        assert!(recorded.lines().any(|recorded| recorded == line), "{recorded}");
        judge(&grown, 1, Some(&recorded), Additions::Refused).unwrap();
        // From now on it is guarded, too.
        let error = judge(SMALL, 1, Some(&recorded), Additions::Recorded).unwrap_err();
        assert!(error.contains(&format!("  removed: {line}\n")), "{error}");
    }
}

#[test]
fn a_new_version_may_break_but_has_to_be_recorded() {
    let broken = with("const char *b24_name(void);", "");
    for additions in [Additions::Allowed, Additions::Refused] {
        let error = judge(&broken, 2, None, additions).unwrap_err();
        assert_eq!(error, "ABI version 2 has no tests/abi/v2.txt; record it with: B24_WRITE=1 cargo test --test abi");
    }
    let recorded = judge(&broken, 2, None, Additions::Recorded).unwrap().unwrap();
    assert!(recorded.contains("version 2") && !recorded.contains("b24_name"), "{recorded}");
    judge(&broken, 2, Some(&recorded), Additions::Refused).unwrap();
}

#[test]
fn what_is_not_understood_is_an_error() {
    let place = "const char *b24_name(void);";
    for strange in [
        "#pragma pack(1)",
        "#if defined(_WIN32)",
        "#include <stdbool.h>",
        "#define B24_EMPTY",
        "#define B24_MAX(a, b) a",
        "#define B24_LONG 1 \\",
        "#define B24_QUOTE \"\\\"\"",
        "#define B24_OK 0",
        "extern const int32_t b24_number;",
        "int32_t b24_number;",
        "int32_t *;",
        "void (*b24_hook)(void);",
        "enum b24_kind",
        "enum b24_kind b24_kind(void);",
        "typedef enum b24_kind { B24_A, B24_B } b24_kind;",
        "typedef union b24_any { int32_t a; } b24_any;",
        "struct b24_tag { int32_t a; };",
        "typedef struct b24_bits { int32_t a : 3; } b24_bits;",
        "typedef struct b24_unnamed { int32_t; } b24_unnamed;",
        "typedef struct b24_align { int32_t a; } __attribute__((packed)) b24_align;",
        "void b24_print(const char *format, ...);",
        "void b24_kind(enum b24_kind);",
        "void b24_one(void); void b24_two(void);",
        "void b24_open(void)",
        "__declspec(dllexport) void b24_export(void);",
        "void __stdcall b24_call(void);",
        "}",
    ] {
        let error = judge(&with(place, &format!("{strange}\n{place}")), 1, None, Additions::Recorded).unwrap_err();
        let expected = ["cannot read this line of the header: ", "two of this name: "];
        assert!(expected.iter().any(|expected| error.contains(expected)), "{strange}: {error}");
    }
    for cut in ["/* open", "#define B24_OPEN \"", "void b24_open(", "#if defined(__cplusplus)", "#ifdef __cplusplus"] {
        judge(&format!("{SMALL}{cut}\n"), 1, None, Additions::Recorded).unwrap_err();
    }
    let error = judge(SMALL, 1, Some("define B24_OK 0\nB24_TIMEOUT 1\n"), Additions::Recorded).unwrap_err();
    assert_eq!(error, "tests/abi/v1.txt: cannot read this recorded line: B24_TIMEOUT 1");
}

/// The guard notices every line that is removed from the real header, except for the lines around the declarations.
#[test]
fn every_line_of_the_header_is_guarded() {
    let version = b24_abi_version();
    let recorded = judge(HEADER, version, None, Additions::Recorded).unwrap().unwrap();
    let mut unguarded = Vec::new();
    let mut in_comment = false;
    for (number, line) in HEADER.lines().enumerate() {
        in_comment |= line.trim_start().starts_with("/*");
        if in_comment || line.is_empty() {
            in_comment &= !line.ends_with("*/");
            continue;
        }
        let without: Vec<_> =
            HEADER.lines().enumerate().filter(|(other, _)| *other != number).map(|(_, l)| l).collect();
        if judge(&without.join("\n"), version, Some(&recorded), Additions::Recorded).is_ok() {
            unguarded.push(line);
        }
    }
    let frame = [
        "#ifndef B24EVENTS_H",
        "#define B24EVENTS_H",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "extern \"C\" {",
        "}  // extern \"C\"",
        "#endif  // __cplusplus",
        "#endif  /* B24EVENTS_H */",
    ];
    assert_eq!(unguarded, frame);
}
