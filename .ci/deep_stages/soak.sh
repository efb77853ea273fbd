#!/usr/bin/env bash
# a million events through a thousand faults and ten thousand kills (B24_SOAK_EVENTS, _FAULTS, _KILLS, _LANES)
source .ci/common.sh

packaging/install_packages.sh build-essential util-linux

export B24_SOAK_EVENTS=${B24_SOAK_EVENTS-1000000} B24_SOAK_FAULTS=${B24_SOAK_FAULTS-1000}
export B24_SOAK_KILLS=${B24_SOAK_KILLS-10000} B24_SOAK_LANES=${B24_SOAK_LANES-5}

# Hours without a line look like a hang.
cargo_test --test soak -- --nocapture
