# SPDX-License-Identifier: Apache-2.0
"""Fetches and unpacks the Debian packages that a guest is made of, without installing them."""

import dataclasses
import pathlib
import shutil
import subprocess
import tempfile

_KERNEL_METAPACKAGE = "linux-image-cloud-amd64"
_BUSYBOX_PACKAGE = "busybox-static"

# Loaded in the guest, besides whatever they depend on. af_alg and its hashes compute the checksums; vsock_loopback and
# vhost_vsock let a test see what a guest does that has them. vsock_diag is what ss asks.
_MODULES = ("virtio_pci", "virtio_console", "vmw_vsock_virtio_transport", "algif_hash", "vsock_loopback", "vhost_vsock",
            "vsock_diag")


class PackageError(Exception):
    """A package could not be had; says which command failed and what to do."""


@dataclasses.dataclass(frozen=True)
class Packages:
    """The unpacked parts of a guest.

    directory: holds vmlinuz, busybox, and modules/lib/modules/<release> with the needed modules and modules.dep.
    """

    directory: pathlib.Path

    @property
    def vmlinuz(self) -> pathlib.Path:
        return self.directory / "vmlinuz"

    @property
    def busybox(self) -> pathlib.Path:
        return self.directory / "busybox"

    @property
    def modules(self) -> pathlib.Path:
        return self.directory / "modules"


def fetch(destination: pathlib.Path) -> Packages:
    """Downloads the current packages and leaves what a guest needs of them in `destination`, all or nothing."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix="fetch-") as name:
        work = pathlib.Path(name)
        kernel = _unpack(_kernel_package(), work)
        busybox = _unpack(_BUSYBOX_PACKAGE, work)
        result = work / "result"
        result.mkdir()
        shutil.copy(busybox / "bin/busybox", result / "busybox")
        shutil.copy(next((kernel / "boot").glob("vmlinuz-*")), result / "vmlinuz")
        _copy_modules(kernel, result)
        shutil.rmtree(destination, ignore_errors=True)
        result.rename(destination)
    return Packages(destination)


def run(*command: str, cwd: pathlib.Path | None = None) -> str:
    """What a command prints."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PackageError(f"{' '.join(command)} failed:\n{done.stderr.strip()}\n(is apt-get update needed?)")
    return done.stdout


def _kernel_package() -> str:
    """The package of the kernel itself, e.g. linux-image-6.1.0-50-cloud-amd64."""
    listing = run("apt-cache", "depends", "--no-recommends", "--no-suggests", _KERNEL_METAPACKAGE)
    for line in listing.splitlines():
        relation, _, package = line.strip().partition(": ")
        if relation == "Depends":
            return package
    raise PackageError(f"apt-cache knows no {_KERNEL_METAPACKAGE}; run apt-get update")


def _unpack(package: str, work: pathlib.Path) -> pathlib.Path:
    download = work / package
    download.mkdir(mode=0o755)
    run("apt-get", "download", "-qq", package, cwd=download)
    tree = work / f"{package}.tree"
    run("dpkg", "-x", str(next(download.glob("*.deb"))), str(tree))
    return tree


def _copy_modules(kernel: pathlib.Path, result: pathlib.Path) -> None:
    release = next((kernel / "lib/modules").iterdir()).name
    source = kernel / "lib/modules" / release
    target = result / "modules/lib/modules" / release
    _depmod(result, kernel, release)
    for module in _with_dependencies(source / "modules.dep"):
        (target / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / module, target / module)
    for index in ("modules.builtin", "modules.order"):
        shutil.copy(source / index, target / index)
    _depmod(result, result / "modules", release)


def _depmod(result: pathlib.Path, root: pathlib.Path, release: str) -> None:
    run(str(result / "busybox"), "depmod", "-b", str(root.resolve()), release)


def _with_dependencies(modules_dep: pathlib.Path) -> set[str]:
    """The paths of _MODULES and of all they need. A module that is missing here is built into the kernel."""
    needed: set[str] = set()
    for line in modules_dep.read_text().splitlines():
        module, _, dependencies = line.partition(":")
        if pathlib.Path(module).name.removesuffix(".ko").replace("-", "_") in _MODULES:
            needed.update([module, *dependencies.split()])
    return needed
