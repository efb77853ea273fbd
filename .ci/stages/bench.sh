#!/usr/bin/env bash
# benchmarks: printed, not judged
source .ci/common.sh

packaging/install_packages.sh build-essential

cargo bench --bench signal
cargo bench --bench addin
cargo bench --bench objects
