"""Packs what build.sh has built: python3 archives.py FOLDER

For 1C two bundles (a ZIP with the libraries and MANIFEST.XML), for other hosts one .tar.gz a system, and the sums of all of
them, into FOLDER/dist. Same input, same bytes: the order is fixed, and so are times and owners.
"""

import gzip
import hashlib
import io
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]

# Folder of the build; what 1C calls the system and its processor; size of a pointer; what CMake may call the processor of
# a computer that it builds for: on Windows that of the computer, also for a program of 32 bit.
LINUX = ("linux-x86_64", "Linux", "x86_64", 8, "x86_64|amd64")
LINUX_ARM64 = ("linux-aarch64", "Linux", "ARM64", 8, "aarch64|arm64")
WINDOWS = ("windows-x86_64", "Windows", "x86_64", 8, "AMD64|x86_64")
WINDOWS_X86 = ("windows-x86", "Windows", "i386", 4, "AMD64|x86_64|x86|X86|i[3-6]86")

# An older 1C may not know ARM64, so there is a manifest that does not speak of it.
BUNDLES = {
    "B24Events.zip": [WINDOWS, WINDOWS_X86, LINUX],
    "B24Events-ARM64.zip": [WINDOWS, WINDOWS_X86, LINUX, LINUX_ARM64],
}
SYSTEMS = [LINUX, LINUX_ARM64, WINDOWS, WINDOWS_X86]


def library(built: Path, system: str) -> Path:
    return built / ("b24events.dll" if system == "Windows" else "libb24events.so")


def bundle(folder: Path, parts: list) -> dict[str, bytes]:
    """The files of a bundle for 1C."""
    files = {}
    lines = []
    for name, system, arch, *_ in parts:
        source = library(folder / name, system)
        # 1C keeps libraries by their names, also while a new version of the bundle comes in.
        target = f"B24Events_{VERSION.replace('.', '_')}_{name.replace('-', '_')}{source.suffix}"
        files[target] = source.read_bytes()
        lines.append(f'  <component os="{system}" path="{target}" type="native" arch="{arch}"/>')
    manifest = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<bundle xmlns="http://v8.1c.ru/8.2/addin/bundle" name="B24Events">',
        *lines,
        "</bundle>",
    ]
    # The library of standard subsystems reads this when a bundle is put into its list of components.
    info = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<info>",
        "  <progid>B24Events</progid>",
        "  <name>Bitrix24 Events</name>",
        f"  <version>{VERSION}</version>",
        "</info>",
    ]
    files["MANIFEST.XML"] = text(manifest)
    files["INFO.XML"] = text(info)
    return files | licences(folder)


def licences(folder: Path) -> dict[str, bytes]:
    files = {name: (ROOT / name).read_bytes() for name in ("LICENSE-MIT", "LICENSE-APACHE")}
    return files | {"THIRD-PARTY-LICENCES.txt": (folder / "THIRD-PARTY-LICENCES.txt").read_bytes()}


def tree(folder: Path, part: tuple) -> dict[str, bytes | str]:
    """The files of an archive for C programmers; a text instead of bytes is the target of a link."""
    name, system, _, pointer, processors = part
    built = folder / name
    libraries = (built / "native-static-libs").read_text().split()
    files: dict[str, bytes | str] = {"lib/libb24events.a": (built / "libb24events.a").read_bytes()}
    if system == "Windows":
        shared = "bin/b24events.dll"
        for file in ("b24events.def", "b24events.lib", "libb24events.dll.a"):
            files[f"lib/{file}"] = (built / file).read_bytes()
    else:
        shared = f"lib/{soname(built / 'libb24events.so')}"
        files["lib/libb24events.so"] = Path(shared).name
    files[shared] = library(built, system).read_bytes()
    values = {
        "VERSION": VERSION,
        "SHARED_LIBRARY": shared,
        "NATIVE_STATIC_LIBS": " ".join(libraries),
        "NATIVE_STATIC_LIBS_LIST": ";".join(libraries),
        "POINTER_BYTES": str(pointer),
        "SYSTEM": system,
        "PROCESSORS": processors,
    }
    for template, target in (
        ("b24events.pc.in", "lib/pkgconfig/b24events.pc"),
        ("b24eventsConfig.cmake.in", "lib/cmake/b24events/b24eventsConfig.cmake"),
        ("b24eventsConfigVersion.cmake.in", "lib/cmake/b24events/b24eventsConfigVersion.cmake"),
    ):
        files[target] = filled(ROOT / "packaging" / template, values)
    files["include/b24events.h"] = (ROOT / "include/b24events.h").read_bytes()
    # README links to these.
    for file in ("README.md", "README.ru.md", "CONFIGURATION.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        files[file] = (ROOT / file).read_bytes()
    for linked in ("docs", "examples_1c"):
        for file in (ROOT / linked).iterdir():
            files[f"{linked}/{file.name}"] = file.read_bytes()
    files["examples/quickstart.c"] = (ROOT / "tests/c/quickstart.c").read_bytes()
    for file in ("b24events.py", "quickstart.py"):
        files[f"examples/{file}"] = (ROOT / "tests/python" / file).read_bytes()
    return files | licences(folder)


def filled(template: Path, values: dict[str, str]) -> bytes:
    return re.sub("@([A-Z_]+)@", lambda name: values[name[1]], template.read_text()).encode()


def soname(library: Path) -> str:
    headers = subprocess.run(["readelf", "--dynamic", "--wide", library], capture_output=True, text=True, check=True)
    return re.search(r"Library soname: \[(.+)\]", headers.stdout)[1]


def text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name)  # 1980-01-01, the first day of ZIP
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, compresslevel=9)
    return packed.getvalue()


def tarred(top: str, files: dict[str, bytes | str]) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, packed, mtime=0) as stream, tarfile.open(None, "w", stream) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{top}/{name}")
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                entry.mode = 0o755 if re.search(r"\.(dll|so\.\d+)$", name) else 0o644
                archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def main(folder: Path) -> None:
    packed = {name: zipped(bundle(folder, parts)) for name, parts in BUNDLES.items()}
    for part in SYSTEMS:
        top = f"b24events-{VERSION}-{part[0]}"
        packed[f"{top}.tar.gz"] = tarred(top, tree(folder, part))
    packed["THIRD-PARTY-LICENCES.txt"] = (folder / "THIRD-PARTY-LICENCES.txt").read_bytes()
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in sorted(packed.items())]
    packed["SHA256SUMS"] = text(sums)
    out = folder / "dist"
    out.mkdir(exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    for name, content in sorted(packed.items()):
        (out / name).write_bytes(content)
        print(f"{len(content):>9}  {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
