# SPDX-License-Identifier: Apache-2.0
"""The program behind tools/guest-image."""

import argparse
import os
import pathlib
import sys

from guest_image import image
from guest_image.packages import PackageError

_TREE = pathlib.Path(__file__).resolve().parents[3]


def main() -> int:
    parser = argparse.ArgumentParser(prog="guest-image", description="Makes, or finds, the guest's kernel and initrd.")
    parser.add_argument("--tool", type=pathlib.Path, default=_TREE / "bazel-bin/tests/e2e/guest/vsocktool",
                        help="the vsocktool to put in (default: the one that Bazel built)")
    parser.add_argument("--refresh", action="store_true", help="look for newer packages")
    arguments = parser.parse_args()
    if not arguments.tool.is_file():
        print(f"guest-image: no {arguments.tool}; run: bazel build //tests/e2e/guest:vsocktool", file=sys.stderr)
        return 1
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kinsock/guest"
    try:
        made = image.find_or_make(arguments.tool, cache, refresh=arguments.refresh)
    except PackageError as error:
        print(f"guest-image: {error}", file=sys.stderr)
        return 1
    print(f"kernel {made.kernel}")
    print(f"initrd {made.initrd}")
    return 0
