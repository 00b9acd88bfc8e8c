# SPDX-License-Identifier: Apache-2.0
"""Programs of the host in a guest, with the libraries that they need."""

import pathlib
import subprocess
import tempfile
import typing

from guest_image.cpio import CpioWriter


def extend_initrd(initrd: pathlib.Path, programs: typing.Mapping[str, pathlib.Path], out: pathlib.Path) -> None:
    """Writes an initrd that has, besides what is in `initrd`, these programs in /bin: name to file.

    The kernel unpacks archives that follow one another (Documentation/driver-api/early-userspace/buffer-format).
    """
    content = initrd.read_bytes()
    with out.open("wb") as extended:
        extended.write(content + bytes(-len(content) % 4))
        cpio = CpioWriter(extended)
        libraries: set[pathlib.Path] = set()
        for name, program in programs.items():
            libraries |= _libraries(program)
            cpio.file(f"bin/{name}", _without_debug_information(program), executable=True)
        directories = Directories(cpio)
        for library in sorted(libraries):
            directories.make_for(library)
            cpio.file(str(library.relative_to("/")), library.read_bytes(), executable=True)
        cpio.close()


class Directories:
    """Those of the files in an archive, each made once."""

    def __init__(self, cpio: CpioWriter) -> None:
        self._cpio = cpio
        self._made: set[pathlib.PurePath] = set()

    def make_for(self, file: pathlib.PurePath) -> None:
        """All above `file`, an absolute path in the guest."""
        for directory in reversed(file.parents[:-1]):
            if directory not in self._made:
                self._cpio.directory(str(directory.relative_to("/")))
                self._made.add(directory)


def _libraries(program: pathlib.Path) -> set[pathlib.Path]:
    """Where the dynamic linker finds them, and the linker itself."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    words = [word for line in listing.splitlines() for word in line.split() if word.startswith("/")]
    return {pathlib.Path(word) for word in words}


def _without_debug_information(program: pathlib.Path) -> bytes:
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(["strip", "--strip-debug", "-o", stripped.name, program], check=True)
        return pathlib.Path(stripped.name).read_bytes()
