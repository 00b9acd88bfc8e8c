# SPDX-License-Identifier: Apache-2.0
"""Tests of simulated guests on the real data plane, in one process."""

def integration_test(name, deps = [], **kwargs):
    """A test in `<name>.cc` on the fixture //tests/support:switch_test.

    Args:
      name: of the test and its source, without ".cc".
      deps: what it needs besides the fixture.
      **kwargs: passed to cc_test.
    """
    native.cc_test(
        name = name,
        size = kwargs.pop("size", "medium"),
        srcs = [name + ".cc"],
        tags = ["integration"],
        deps = ["//tests/support:switch_test", "@system//:gmock_main"] + deps,
        **kwargs
    )
