#!/usr/bin/env bash
# the 1C component and forked hosts under valgrind
source .ci/common.sh

packaging/install_packages.sh build-essential valgrind

B24_VALGRIND=1 B24_ADDIN_CYCLES=30 cargo_test --test addin_host -- --nocapture
B24_VALGRIND=1 cargo_test --test fork in_c
