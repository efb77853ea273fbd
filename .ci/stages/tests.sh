#!/usr/bin/env bash
# README's command, with the sizes that were promised
source .ci/common.sh

packaging/install_packages.sh build-essential binutils python3 nginx libnginx-mod-nchan \
  squid tinyproxy microsocks openssl

# The counts that the tests print are part of the record.
step "a portal in the cloud"
B24_KILLS=200 B24_CASES=2000 B24_RECORDS=20000 B24_DRAIN=100000 B24_SEQUENCES=100000 B24_TOKEN_KILLS=500 cargo_test -- --show-output

step "disks that are full, read-only, or cannot flush a folder"
cargo_test --test disks -- --include-ignored

step "a portal on-premise"
B24_ON_PREMISE=1 B24_RECORDS=20000 cargo_test --test end_to_end --test durability -- --show-output
