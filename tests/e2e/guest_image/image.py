# SPDX-License-Identifier: Apache-2.0
"""Puts a guest together and keeps it in the cache."""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing

from guest_image import packages
from guest_image.cpio import CpioWriter

_HERE = pathlib.Path(__file__).resolve().parent
_INIT = _HERE / "init"
_FETCHER = _HERE / "packages.py"

# What an image depends on besides its parts: the programs that put it together.
_RECIPE = (_HERE / "cpio.py", _FETCHER, _HERE / "image.py", _INIT)

# Each build of vsocktool makes a new image of a few megabytes; older ones are removed.
_KEPT_IMAGES = 4

_DIRECTORIES = ("bin", "dev", "etc", "lib", "proc", "root", "sbin", "sys", "tmp", "usr", "usr/bin", "usr/sbin")


@dataclasses.dataclass(frozen=True)
class Image:
    kernel: pathlib.Path
    initrd: pathlib.Path


def find_or_make(tool: pathlib.Path, cache: pathlib.Path, *, refresh: bool = False) -> Image:
    """The image with this vsocktool in it; made if the cache has none. Safe to call from several programs at once."""
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        parts = packages.Packages(cache / f"packages-{_digest([_FETCHER])}")
        if refresh or not parts.vmlinuz.exists():
            parts = packages.fetch(parts.directory)
        home = cache / _digest((*_RECIPE, parts.vmlinuz, parts.busybox, tool))
        if not home.exists():
            _build(home, parts, tool)
            _remove_old_images(cache, keep=home)
        os.utime(home)
        return Image(home / "vmlinuz", home / "initrd")


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> typing.Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(paths: typing.Iterable[pathlib.Path]) -> str:
    together = hashlib.sha256()
    for path in paths:
        together.update(hashlib.sha256(path.read_bytes()).digest())
    return together.hexdigest()[:16]


def _build(home: pathlib.Path, parts: packages.Packages, tool: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="build-") as name:
        work = pathlib.Path(name) / "image"
        work.mkdir()
        os.link(parts.vmlinuz, work / "vmlinuz")
        with (work / "initrd").open("wb") as out:
            _write_initrd(CpioWriter(out), parts, tool)
        work.rename(home)


def _write_initrd(cpio: CpioWriter, parts: packages.Packages, tool: pathlib.Path) -> None:
    for directory in _DIRECTORIES:
        cpio.directory(directory)
    cpio.character_device("dev/console", 5, 1)
    cpio.file("init", _INIT.read_bytes(), executable=True)
    cpio.file("bin/busybox", parts.busybox.read_bytes(), executable=True)
    cpio.file("bin/vsocktool", tool.read_bytes(), executable=True)
    applets = subprocess.run([parts.busybox, "--list-full"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        if applet != "bin/busybox" and str(pathlib.Path(applet).parent) in _DIRECTORIES:
            cpio.symlink(applet, "/bin/busybox")
    _write_modules(cpio, parts.modules)
    cpio.close()


def _write_modules(cpio: CpioWriter, root: pathlib.Path) -> None:
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file():
            cpio.file(name, path.read_bytes())
        elif name not in _DIRECTORIES:
            cpio.directory(name)


def _remove_old_images(cache: pathlib.Path, keep: pathlib.Path) -> None:
    images = [path.parent for path in cache.glob("*/initrd") if path.parent != keep]
    images.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in images[_KEPT_IMAGES - 1 :]:
        shutil.rmtree(old)
