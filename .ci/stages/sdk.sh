#!/usr/bin/env bash
# the vendor's own SDKs, in JavaScript and Python, against the emulator
source .ci/common.sh

packaging/install_packages.sh build-essential python3 python3-venv

step "the emulator"
cargo build --package b24-emulator
export B24_EMULATOR=$PWD/target/debug/b24-emulator

step "JavaScript"
npm ci --prefix tests/js --no-audit --no-fund --silent
npm test --prefix tests/js

step "JavaScript, a portal on-premise"
B24_ON_PREMISE=1 npm test --prefix tests/js

step "Python"
[ -x target/python_sdk/bin/python ] || python3 -m venv target/python_sdk
target/python_sdk/bin/pip install --quiet --disable-pip-version-check --requirement tests/python_sdk/requirements.txt
target/python_sdk/bin/python -B -m unittest discover --start-directory tests/python_sdk

step "Python, a portal on-premise"
B24_ON_PREMISE=1 target/python_sdk/bin/python -B -m unittest discover --start-directory tests/python_sdk
