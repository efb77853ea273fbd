#!/usr/bin/env bash
# format, clippy, documentation, unit tests, header and CONFIGURATION.md, record of the C ABI
source .ci/common.sh

step "format"
cargo fmt --all --check

step "Debian packages"
packaging/install_packages.sh build-essential binutils

step "clippy"
cargo clippy --workspace --all-targets -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

step "unit tests, and files that are made from the source"
cargo_test --lib --test documents --test abi

step "each of the bundle's tests has a stage"
check_bundle_tests
