#!/usr/bin/env bash
# format, scripts, workflows, clippy, documentation, unit tests, header and CONFIGURATION.md, record of the C ABI
source .ci/common.sh

step "format"
cargo fmt --all --check

step "Debian packages"
packaging/install_packages.sh build-essential binutils shellcheck python3 python3-venv

step "scripts"
# Not: expressions in single quotes (a script within a script), commas in an array (one argument of a linker).
shellcheck --external-sources --exclude=SC2016,SC2054 .ci/run .ci/deep .ci/*.sh .ci/stages/*.sh .ci/deep_stages/*.sh packaging/*.sh tests/bundle/*.sh

step "workflows"
[ -x target/actionlint/bin/python ] || python3 -m venv target/actionlint
target/actionlint/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement .ci/requirements.txt
# It hands the commands in them to shellcheck.
target/actionlint/bin/actionlint .github/workflows/*.yml

step "clippy"
cargo clippy --workspace --all-targets -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

step "unit tests, and files that are made from the source"
cargo_test --lib --test documents --test abi

step "each of the bundle's tests has a stage"
check_bundle_tests
