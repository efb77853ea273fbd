#!/usr/bin/env bash
# the address, leak and thread sanitizers: unit tests, end_to_end, hosts in C and C++
source .ci/common.sh

host=x86_64-unknown-linux-gnu
# What sanitizers need is in a stable compiler, which does not accept it otherwise.
export RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_DEBUG=line-tables-only
tests=(--package b24events --lib --test end_to_end)

packaging/install_packages.sh build-essential

step "addresses and leaks: the library"
# A target, so that build scripts and macros are built without. What a static still refers to at the end is no leak.
export CARGO_TARGET_DIR=$PWD/target/asan RUSTFLAGS=-Zsanitizer=address
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1
start=$SECONDS
cargo test --target "$host" "${tests[@]}"
echo "took $((SECONDS - start)) s"

step "addresses and leaks: hosts in C and C++, linked to the library"
# The library expects the sanitizer in the program, as rustc's linker does it for programs in Rust.
runtime=$(rustc --print sysroot)/lib/rustlib/$host/lib/librustc-stable_rt.asan.a
[ -f "$runtime" ] || { echo "not there: $runtime" >&2; exit 1; }
link="-Wl,--whole-archive $runtime -Wl,--no-whole-archive -Wl,--export-dynamic -lm -ldl -lrt -lpthread"
# For the tests only: in the environment of cargo, CC would have everything built anew.
with_runtime=$CARGO_TARGET_DIR/with_runtime
printf '#!/bin/sh\nCC="cc %s" CXX="c++ %s" exec "$@"\n' "$link" "$link" >"$with_runtime"
chmod +x "$with_runtime"
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$with_runtime
start=$SECONDS
cargo test --target "$host" --package b24events --test c_hosts
# What the parent's threads owned is lost in a forked child, which has no such threads: it is left alone on purpose.
ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 cargo test --target "$host" --package b24events --test fork in_c
unset CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER
echo "took $((SECONDS - start)) s"

step "threads"
rustup component add rust-src
# The standard library too, for its locks and channels are what the sanitizer has to see.
export CARGO_TARGET_DIR=$PWD/target/tsan RUSTFLAGS=-Zsanitizer=thread
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
start=$SECONDS
cargo test -Zbuild-std --target "$host" "${tests[@]}"
echo "took $((SECONDS - start)) s"
