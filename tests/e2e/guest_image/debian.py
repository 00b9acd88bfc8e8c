# SPDX-License-Identifier: Apache-2.0
"""Programs of Debian packages in a guest, with the libraries that they need. Nothing is installed on this machine."""

import dataclasses
import io
import pathlib
import subprocess
import tempfile
import typing

from guest_image import packages
from guest_image.bundle import Directories
from guest_image.cpio import CpioWriter

# Where libraries are, for the only architecture that is booted here, and their linker.
_TRIPLET = "x86_64-linux-gnu"
_LINKER = "/lib64/ld-linux-x86-64.so.2"


@dataclasses.dataclass(frozen=True)
class Programs:
    """What to take: files of packages, with their paths."""

    packages: tuple[str, ...]
    paths: tuple[str, ...]


def layer(wanted: Programs, archive: pathlib.Path) -> bytes:
    """An initrd with these programs, for behind another one; made once and kept in `archive`."""
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix="programs-") as name:
            work = pathlib.Path(name)
            draft = work / "layer"
            draft.write_bytes(_pack(_fetch(wanted.packages, work), wanted.paths))
            draft.rename(archive)
    return archive.read_bytes()


def concatenate(archives: typing.Iterable[bytes], out: pathlib.Path) -> None:
    """The kernel unpacks them one after the other (Documentation/driver-api/early-userspace/buffer-format)."""
    with out.open("wb") as initrd:
        for archive in archives:
            initrd.write(archive + bytes(-len(archive) % 4))


def _fetch(names: typing.Iterable[str], work: pathlib.Path) -> pathlib.Path:
    """One tree of the files of these packages and of the libraries that they depend on."""
    download, tree = work / "packages", work / "tree"
    download.mkdir(mode=0o755)
    packages.run("apt-get", "download", "-qq", *sorted(_with_libraries(names)), cwd=download)
    for package in sorted(download.glob("*.deb")):
        packages.run("dpkg", "-x", str(package), str(tree))
    return tree


def _with_libraries(names: typing.Iterable[str]) -> set[str]:
    found = set(names)
    new = found
    while new:
        new = _libraries_of(new) - found
        found = found | new
    return found


def _libraries_of(names: typing.Iterable[str]) -> set[str]:
    """What the packages depend on; the first of alternatives. Pure virtual packages are in angle brackets."""
    listing = packages.run("apt-cache", "depends", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks",
                           "--no-replaces", "--no-enhances", *sorted(names))
    libraries = set()
    for line in listing.splitlines():
        relation, _, package = line.strip().partition(": ")
        if relation.endswith("Depends") and package.startswith(("lib", "zlib")) and not package.startswith("libpam-"):
            libraries.add(package)
    return libraries


def _pack(tree: pathlib.Path, paths: typing.Iterable[str]) -> bytes:
    out = io.BytesIO()
    cpio = CpioWriter(out)
    directories = Directories(cpio)
    linker = tree / "lib" / _TRIPLET / pathlib.Path(_LINKER).name
    files = {pathlib.PurePath(path): tree / path.lstrip("/") for path in paths}
    for program in list(files.values()):
        for library in _linked(program, tree, linker):
            files[pathlib.PurePath("/", library.relative_to(tree))] = library
    files[pathlib.PurePath(_LINKER)] = linker
    for path, source in sorted(files.items()):
        directories.make_for(path)
        cpio.file(str(path.relative_to("/")), source.read_bytes(), executable=True)
    cpio.close()
    return out.getvalue()


def _linked(program: pathlib.Path, tree: pathlib.Path, linker: pathlib.Path) -> list[pathlib.Path]:
    """The libraries of a program as the tree's own linker finds them there, as ldd(1) does."""
    path = ":".join(str(tree / directory / _TRIPLET) for directory in ("lib", "usr/lib"))
    listing = subprocess.run([linker, "--library-path", path, "--list", program], capture_output=True, text=True,
                             check=False)
    words = [word for line in listing.stdout.splitlines() for word in line.split() if word.startswith("/")]
    libraries = [pathlib.Path(word) for word in words if pathlib.Path(word).name != pathlib.Path(_LINKER).name]
    if listing.returncode != 0 or not all(library.is_relative_to(tree) for library in libraries):
        raise packages.PackageError(f"{program.name} misses libraries:\n{listing.stdout}{listing.stderr}")
    return libraries
