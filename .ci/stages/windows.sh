#!/usr/bin/env bash
# the bundle on Windows, 64 and 32 bit, under wine (needs package, and root)
source .ci/common.sh
need_bundle

packaging/install_packages.sh build-essential unzip wine wine64 debootstrap \
  gcc-mingw-w64-x86-64-posix g++-mingw-w64-x86-64-posix gcc-mingw-w64-i686-posix g++-mingw-w64-i686-posix

step "wine for 32 bit"
export B24_WINE32=$PWD/target/wine32
for attempt in 1 2 3; do
  [ ! -d "$B24_WINE32" ] || break
  echo "attempt $attempt"
  tests/bundle/wine32.sh make "$B24_WINE32" >target/wine32.log 2>&1 || tail -3 target/wine32.log
done
skip=()
# It takes root, Debian's packages for i386 and a kernel that runs them. Without it the 32-bit library is built and its tables
# are checked, no more, as README says.
if ! tests/bundle/wine32.sh run "$B24_WINE32" "$PWD/target" wine --version; then
  echo "NOT RUN, ONLY BUILT: the 32-bit library for Windows, as wine for 32 bit does not run here"
  skip=(--skip the_32_bit_library_works)
fi

step "tests"
run_bundle_tests windows "${skip[@]}"
