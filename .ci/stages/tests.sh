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

# Everything that uses a portal, but for the emulator's own tests, which start both kinds, and the bundle's, which run the
# same hosts. Numbers are smaller where the kind of the portal makes no difference.
step "a portal on-premise"
mapfile -t tests < <(grep -rlE '(Portal::(start|with)|Emulator::start)\(' tests --include='*.rs' |
  grep -vE '^tests/(support|emulator|bundle)/' | cut -d/ -f2 | sed 's/\.rs$//' | sort -u)
echo "${tests[*]}"
B24_ON_PREMISE=1 B24_RECORDS=20000 B24_ADDIN_CYCLES=100 cargo_test "${tests[@]/#/--test=}" -- --show-output
