#!/usr/bin/env bash
# the bundle on Linux x86-64: C by pkg-config and CMake, Python, 1C's component, the demo (needs package)
source .ci/common.sh
need_bundle

packaging/install_packages.sh build-essential python3 cmake pkg-config unzip

step "tests"
run_bundle_tests linux

step "the demo with the library that is handed out"
rm -rf target/packaging/unpacked
tar -xzf target/packaging/dist/b24events-*-linux-x86_64.tar.gz -C target/packaging --strip-components=1 --one-top-level=unpacked
B24EVENTS_LIBRARY=$PWD/target/packaging/unpacked/lib/libb24events.so cargo run --quiet -p b24-emulator -- demo
