#!/usr/bin/env bash
# Builds the libraries as they are handed out.
#
#   packaging/build.sh linux     target/packaging/libb24events.so, for Linux x86-64
#
# The standard library is built along, for size and without its own way of printing backtraces: that takes a tenth off
# the library. It needs the compiler's source, so this uses Debian 12's packages rustc-web, cargo-web and rust-web-src
# (as root they are installed when missing).
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,5p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }

install_compiler() {
  local missing=() package
  for package in rustc-web cargo-web rust-web-src; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ "${#missing[@]}" = 0 ] && return
  local as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Building the standard library and leaving the places of panics out are not stable features yet, hence RUSTC_BOOTSTRAP.
build() {
  local target=$1
  RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTFLAGS=-Zlocation-detail=none CARGO_TARGET_DIR=target/packaging/build /usr/bin/cargo rustc \
    --quiet --locked --release --lib --crate-type cdylib --target "$target" \
    -Zbuild-std=std,panic_unwind -Zbuild-std-features=optimize_for_size
}

[ "$#" = 1 ] || usage
case "$1" in
  linux)
    install_compiler
    build x86_64-unknown-linux-gnu
    cp target/packaging/build/x86_64-unknown-linux-gnu/release/libb24events.so target/packaging/
    ls -l target/packaging/libb24events.so
    ;;
  *) usage ;;
esac
