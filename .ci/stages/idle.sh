#!/usr/bin/env bash
# an idle client for a minute, its system calls counted
source .ci/common.sh

packaging/install_packages.sh build-essential strace

cargo_test --test push_faults an_idle_client -- --ignored --nocapture
