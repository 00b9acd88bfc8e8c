# SPDX-License-Identifier: Apache-2.0
"""Runs the test files named on the command line with pytest; the entry point of the Bazel targets."""

import os
import pathlib
import sys

_HERE = pathlib.Path(__file__).absolute().parent
sys.path.insert(0, str(_HERE))

import pytest  # noqa: E402  (after the path is set)


def main() -> int:
    files = [str(_HERE / name) for name in sys.argv[1:]]
    junit = os.environ.get("XML_OUTPUT_FILE")
    report = [f"--junitxml={junit}"] if junit else []
    return pytest.main(["-v", "-rs", "-p", "no:cacheprovider", "--rootdir", str(_HERE), *report, *files])


if __name__ == "__main__":
    sys.exit(main())
