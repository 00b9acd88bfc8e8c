# SPDX-License-Identifier: Apache-2.0
"""Writes initramfs archives: the "newc" form of cpio (kernel: Documentation/driver-api/early-userspace/buffer-format).

Written here because device nodes in an archive that cpio(1) makes would need root.
"""

import stat
import typing


class CpioWriter:
    """Adds one entry after the other to a binary file; close() ends the archive."""

    def __init__(self, out: typing.BinaryIO) -> None:
        self._out = out
        self._inode = 0

    def directory(self, path: str) -> None:
        self._entry(path, stat.S_IFDIR | 0o755)

    def file(self, path: str, content: bytes, *, executable: bool = False, private: bool = False) -> None:
        mode = 0o600 if private else 0o755 if executable else 0o644
        self._entry(path, stat.S_IFREG | mode, content)

    def symlink(self, path: str, target: str) -> None:
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path: str, major: int, minor: int) -> None:
        self._entry(path, stat.S_IFCHR | 0o600, device=(major, minor))

    def close(self) -> None:
        self._entry("TRAILER!!!", 0)

    def _entry(self, path: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        name = path.encode() + b"\0"
        self._inode += 1
        links, owner, group, time, disk, checksum = 1, 0, 0, 0, (0, 0), 0
        fields = (self._inode, mode, owner, group, links, time, len(content), *disk, *device, len(name), checksum)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        self._out.write(_padded(header + name))
        self._out.write(_padded(content))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
