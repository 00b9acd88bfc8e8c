# SPDX-License-Identifier: Apache-2.0
"""Where the programs under test are.

Each can be named by an environment variable (KINSOCKD, KINSOCKCTL, VSOCKTOOL, GRPCURL); else it is the one that Bazel
built, as a test's runfile or in bazel-bin.
"""

import os
import pathlib
import pwd
import shutil

_ROOT = pathlib.Path(__file__).resolve().parents[3]


class Missing(AssertionError):
    """A program is not there. The message says how to get it."""


def kinsockd() -> pathlib.Path:
    return _built("KINSOCKD", "server/kinsockd", "bazel build //server:kinsockd")


def kinsockctl() -> pathlib.Path:
    return _built("KINSOCKCTL", "cli/kinsockctl", "bazel build //cli:kinsockctl")


def vsocktool() -> pathlib.Path:
    return _built("VSOCKTOOL", "tests/e2e/guest/vsocktool", "bazel build //tests/e2e/guest:vsocktool")


def forward_stories() -> pathlib.Path:
    return _built("FORWARD_STORIES", "tests/e2e/nested/forward_stories",
                  "bazel build //tests/e2e/nested:forward_stories")


def qemu() -> pathlib.Path:
    return _installed("qemu-system-x86_64", None)


def chromium() -> pathlib.Path:
    return _installed("chromium", os.environ.get("CHROMIUM"))


def tshark() -> pathlib.Path:
    return _installed("tshark")


def grpcurl() -> pathlib.Path:
    return _installed("grpcurl", os.environ.get("GRPCURL"), cache_directory() / "bin/grpcurl")


def go() -> pathlib.Path:
    return _installed("go", None, cache_directory() / "bin/go")


def cache_directory() -> pathlib.Path:
    """What is kept from run to run, where tools/setup keeps it too. Under Bazel, tests have no HOME to go by."""
    own_home = None if "TEST_TMPDIR" in os.environ else os.environ.get("HOME")
    home = own_home or pwd.getpwuid(os.getuid()).pw_dir
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or f"{home}/.cache") / "kinsock"


def _built(variable: str, path: str, how: str) -> pathlib.Path:
    for candidate in (os.environ.get(variable), _ROOT / path, _ROOT / "bazel-bin" / path):
        if candidate and pathlib.Path(candidate).is_file():
            return pathlib.Path(candidate).resolve()
    raise Missing(f"{path} is not built: set {variable}, or run: {how}")


def _installed(name: str, *candidates: str | pathlib.Path | None) -> pathlib.Path:
    for candidate in (*candidates, shutil.which(name)):
        if candidate and pathlib.Path(candidate).is_file():
            return pathlib.Path(candidate)
    raise Missing(f"{name} is not installed; run tools/setup")
