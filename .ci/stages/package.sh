#!/usr/bin/env bash
# what is handed out (libraries, bundles for 1C, archives for C): built, packed, and checked file by file
source .ci/common.sh

# Those that building needs are installed by the script itself.
packaging/install_packages.sh build-essential binutils python3 unzip

step "build"
packaging/build.sh bundle

step "tests"
run_bundle_tests package
