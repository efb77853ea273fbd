# shellcheck shell=bash
# What both stages that fuzz share: a few seconds in .ci/run, hours in .ci/deep.

build_fuzz_targets() {
  local version=0.13.2
  packaging/install_packages.sh build-essential
  step "cargo-fuzz $version"
  [ "$(target/tools/bin/cargo-fuzz --version 2>&1)" = "cargo-fuzz $version" ] ||
    cargo install --quiet --root target/tools --locked "cargo-fuzz@$version"
  export PATH=$PWD/target/tools/bin:$PATH
  # The fuzzer needs flags that a stable compiler has, but does not accept otherwise.
  export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$PWD/target/fuzz
  step "build"
  cargo fuzz build --fuzz-dir fuzz
}

fuzz_targets() { cargo fuzz list --fuzz-dir fuzz; }

# Runs a target for some seconds, from what is known and what earlier runs have found, and says how much it tried.
fuzz_target() {
  local target=$1 seconds=$2 log=target/fuzz/$1.log known=(fuzz/corpus/"$1") status=0
  [ ! -d "fuzz/cases/$target" ] || known+=("fuzz/cases/$target")
  mkdir -p "target/fuzz/corpus/$target"
  # Found cases go into fuzz/artifacts.
  cargo fuzz run --fuzz-dir fuzz "$target" "target/fuzz/corpus/$target" "${known[@]}" -- \
    -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 -timeout=20 >"$log" 2>&1 || status=$?
  if [ "$status" != 0 ]; then
    { echo "$target has found something:"; tail -60 "$log"; } >&2
    return 1
  fi
  echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions in $seconds s"
}
