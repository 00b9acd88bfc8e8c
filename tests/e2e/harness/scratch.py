# SPDX-License-Identifier: Apache-2.0
"""A directory for one daemon and its guests."""

import pathlib
import shutil
import tempfile


class Scratch:
    """A new directory with a name so short that socket paths in it fit into sun_path; removed on exit."""

    def __init__(self) -> None:
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="kin-", dir="/tmp"))

    def __truediv__(self, name: str) -> pathlib.Path:
        return self.path / name

    def __enter__(self) -> "Scratch":
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
