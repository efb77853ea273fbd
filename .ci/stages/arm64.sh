#!/usr/bin/env bash
# the bundle on Linux ARM64, under qemu (needs package)
source .ci/common.sh
need_bundle

packaging/install_packages.sh build-essential unzip qemu-user gcc-aarch64-linux-gnu g++-aarch64-linux-gnu

run_bundle_tests arm64
