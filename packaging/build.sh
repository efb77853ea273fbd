#!/usr/bin/env bash
# Builds the libraries as they are handed out, and packs them.
#
#   packaging/build.sh linux     for Linux x86-64 and ARM64, glibc 2.17 and newer
#   packaging/build.sh windows   for Windows x86-64 and x86, Windows 7 and newer
#   packaging/build.sh bundle    both, and all that is handed out, into target/packaging/dist
#
# Needs Debian 12; as root it installs the packages that it misses. What it builds lies in target/packaging.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/target/packaging

usage() { sed -n '2,7p' "$0" | sed 's/^# \{0,1\}//'; exit 2; }

# The standard library is built along: for size, and without its own way of printing backtraces. That is no stable feature
# yet, and neither is leaving the places of panics out; both work with the compiler and the source that Debian pins.
export RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO=/usr/bin/cargo CARGO_TARGET_DIR=$out/build
flags=(-Zlocation-detail=none)
compiler=(rustc-web cargo-web rust-web-src)

# A tool written in Rust, into target/packaging/tools/bin.
install_tool() {
  local name=$1 version=$2
  shift 2
  RUSTFLAGS='' CARGO_TARGET_DIR=$out/tools/build "$CARGO" install --quiet --locked --root "$out/tools" "$@" "$name@$version"
}

# Zig's linker knows every version of glibc.
install_zig() {
  packaging/install_packages.sh python3-venv
  install_tool cargo-zigbuild 0.24.1
  [ -x "$out/tools/python/bin/python" ] || python3 -m venv "$out/tools/python"
  "$out/tools/python/bin/pip" install --quiet --disable-pip-version-check --requirement packaging/requirements.txt
  export CARGO_ZIGBUILD_PYTHON_PATH=$out/tools/python/bin/python
  # Nothing is kept outside of this folder.
  export CARGO_ZIGBUILD_CACHE_DIR=$out/tools/cargo-zigbuild ZIG_GLOBAL_CACHE_DIR=$out/tools/zig
}

# Builds both libraries for a target of Rust's with the given cargo command, and puts them into target/packaging/NAME, beside
# a note of what the static library wants to be linked with.
build() {
  local name=$1 target=$2 file files
  shift 2
  rm -rf "${out:?}/$name"
  mkdir -p "$out/$name"
  # The C code of one of the packages is compiled with debug information otherwise, which tells the folders of this machine.
  if ! env "CFLAGS_${target//-/_}=-g0" RUSTFLAGS="${flags[*]}" "$@" \
    --locked --release --lib --crate-type cdylib,staticlib -Zbuild-std=std,panic_unwind \
    -Zbuild-std-features=optimize_for_size -- --print native-static-libs >"$out/$name/build.log" 2>&1; then
    cat "$out/$name/build.log" >&2
    exit 1
  fi
  sed -n 's/^note: native-static-libs: //p' "$out/$name/build.log" >"$out/$name/native-static-libs"
  [ -s "$out/$name/native-static-libs" ] || { echo "rustc did not tell what libb24events.a needs" >&2; exit 1; }
  case $name in
    linux-*) files=(libb24events.so libb24events.a) ;;
    windows-*) files=(b24events.dll libb24events.dll.a libb24events.a) ;;
  esac
  for file in "${files[@]}"; do
    cp "$out/build/$target/release/$file" "$out/$name/"
  done
}

linux() {
  packaging/install_packages.sh "${compiler[@]}" binutils
  install_zig
  local architecture
  for architecture in x86_64 aarch64; do
    build "linux-$architecture" "$architecture-unknown-linux-gnu" \
      "$out/tools/bin/cargo-zigbuild" rustc --target "$architecture-unknown-linux-gnu.2.17"
  done
}

# Rust's targets for Windows 7: their standard library asks for nothing that came with a later Windows.
windows() {
  packaging/install_packages.sh "${compiler[@]}" gcc-mingw-w64-x86-64-win32 gcc-mingw-w64-i686-win32
  install_zig
  local architecture mingw target
  for architecture in x86_64 i686; do
    target=$architecture-win7-windows-gnu
    mingw=$architecture-w64-mingw32
    # Those with threads of their own ("posix") would want a DLL of MinGW.
    export "CC_${target//-/_}=$mingw-gcc-win32" "AR_${target//-/_}=$mingw-ar" \
      "CARGO_TARGET_$(tr a-z- A-Z_ <<<"$target")_LINKER=$mingw-gcc-win32"
  done
  # Same input, same bytes.
  flags+=(-Clink-arg=-Wl,--no-insert-timestamp)
  build windows-x86_64 x86_64-win7-windows-gnu "$CARGO" rustc --target x86_64-win7-windows-gnu
  # For 32 bit Rust wants two objects of its own around each program, which come with the standard library elsewhere.
  local object source
  source=$(dirname "$(readlink -f "$("$RUSTC" --print sysroot)/lib/rustlib/src/rust/library/Cargo.toml")")
  for object in rsbegin rsend; do
    "$RUSTC" --target i686-win7-windows-gnu --emit=obj -o "$out/tools/$object.o" "$source/rtstartup/$object.rs"
  done
  # Relative, as a folder's name may have spaces, which part flags here; the linker is started where Cargo.toml is.
  flags+=(-Lnative=target/packaging/tools -Clink-self-contained=no)
  build windows-x86 i686-win7-windows-gnu "$CARGO" rustc --target i686-win7-windows-gnu
  import_library windows-x86_64 i386:x86-64
  import_library windows-x86 i386
}

# What Microsoft's linker needs. MinGW's own import library came with the DLL.
import_library() {
  local name=$1 machine=$2
  {
    echo 'LIBRARY b24events.dll'
    echo EXPORTS
    grep -oE '\bb24_[a-z0-9_]+\(' include/b24events.h | tr -d '(' | sort -u
  } >"$out/$name/b24events.def"
  "$CARGO_ZIGBUILD_PYTHON_PATH" -m ziglang dlltool -m "$machine" -d "$out/$name/b24events.def" -l "$out/$name/b24events.lib"
}

bundle() {
  linux
  windows
  licences
  # Debian's own Python, as another one may compress in another way.
  /usr/bin/python3 packaging/archives.py "$out"
}

licences() {
  install_tool cargo-about 0.9.3 --features cli
  "$CARGO" fetch --quiet --locked # also the packages of systems that nothing is built for: it looks at all
  "$out/tools/bin/cargo-about" generate --fail --offline --locked --config packaging/about.toml packaging/licences.hbs \
    --output-file "$out/THIRD-PARTY-LICENCES.txt"
  cat /usr/share/doc/mingw-w64-common/copyright >>"$out/THIRD-PARTY-LICENCES.txt"
}

[ "$#" = 1 ] || usage
case "$1" in
  linux | windows | bundle) "$1" ;;
  *) usage ;;
esac
