# SPDX-License-Identifier: Apache-2.0
"""Tests of Python code."""

def pytest_test(name, srcs, data = [], **kwargs):
    """A file of pytest cases, run by the system's Python with the modules beside it.

    Args:
      name: of the target.
      srcs: the file with the cases, then the modules that it imports.
      data: what else they read, from where Bazel runs them.
      **kwargs: for sh_test.
    """
    native.sh_test(
        name = name,
        size = "small",
        srcs = ["//tools/bazel:pytest.sh"],
        args = ["$(rootpath %s)" % srcs[0]],
        data = srcs + data,
        **kwargs
    )
