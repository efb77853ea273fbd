# shellcheck shell=bash
# What the stages share: each reads this first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The paths below, and some of the tests, know where the products are.
export CARGO_TERM_COLOR=never CARGO_TARGET_DIR=$PWD/target
# Skips are failures here, and so is an addition to the C ABI that nobody has recorded.
export B24_REQUIRE_NGINX=1 B24_REQUIRE_PROXIES=1 B24_ABI_RECORDED=1
mkdir -p target

step() { printf '\n--- %s\n' "$*"; }

# For a part of the workspace cargo would build packages anew, with other features.
cargo_test() { cargo test --workspace "$@"; }

# Which stage runs which of the bundle's tests: the beginnings of their names.
declare -A bundle_tests=(
  [package]='contents:: libraries::'
  [linux]='linux::'
  [arm64]='arm64::'
  [windows]='windows::'
)

# For stages that use what the stage package has made; to be asked before anything is installed.
need_bundle() {
  if [ ! -f target/packaging/dist/SHA256SUMS ]; then
    echo "target/packaging/dist is missing: run the stage package first (.ci/run package)" >&2
    exit 1
  fi
}

# The bundle's tests of a stage: run_bundle_tests STAGE [ARGUMENT]…
run_bundle_tests() {
  local names
  read -ra names <<<"${bundle_tests[$1]}"
  shift
  cargo_test --test bundle -- --ignored --show-output --test-threads=1 "${names[@]}" "$@"
}

# How many of the bundle's tests the names select, all of them without a name.
count_bundle_tests() {
  cargo_test --quiet --test bundle -- --ignored --list --format terse "$@" | grep -c ': test$'
}

# Nobody would notice a test that no stage runs, nor a stage that runs none.
check_bundle_tests() {
  local stage names count all sum=0
  all=$(count_bundle_tests)
  for stage in "${!bundle_tests[@]}"; do
    read -ra names <<<"${bundle_tests[$stage]}"
    count=$(count_bundle_tests "${names[@]}") || { echo "the stage $stage has no test of the bundle" >&2; exit 1; }
    echo "$stage: $count"
    sum=$((sum + count))
  done
  echo "all: $all"
  [ "$sum" = "$all" ] || { echo "the stages run $sum of the bundle's tests, there are $all; see .ci/common.sh" >&2; exit 1; }
}
