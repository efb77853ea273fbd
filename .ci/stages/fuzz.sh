#!/usr/bin/env bash
# fuzzing with the address sanitizer: a few seconds for each target of fuzz/, or B24_FUZZ_SECONDS
source .ci/common.sh

seconds=${B24_FUZZ_SECONDS-7}
version=0.13.2

packaging/install_packages.sh build-essential

step "cargo-fuzz $version"
[ "$(target/tools/bin/cargo-fuzz --version 2>&1)" = "cargo-fuzz $version" ] ||
  cargo install --quiet --root target/tools --locked "cargo-fuzz@$version"
export PATH=$PWD/target/tools/bin:$PATH
# The fuzzer needs flags that a stable compiler has, but does not accept otherwise.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$PWD/target/fuzz

step "build"
cargo fuzz build --fuzz-dir fuzz

for target in $(cargo fuzz list --fuzz-dir fuzz); do
  step "$target, $seconds s"
  mkdir -p "target/fuzz/corpus/$target"
  seeds=()
  [ ! -d "fuzz/seeds/$target" ] || seeds=("fuzz/seeds/$target")
  # Found cases go into fuzz/artifacts; what the fuzzer says of them is all there is to see.
  cargo fuzz run --fuzz-dir fuzz "$target" "target/fuzz/corpus/$target" "${seeds[@]}" -- \
    -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 -timeout=20 2>&1 |
    tee "target/fuzz/$target.log" | grep -E 'number_of_executed|panicked|SUMMARY|ERROR|artifacts' ||
    { tail -40 "target/fuzz/$target.log" >&2; exit 1; }
done
