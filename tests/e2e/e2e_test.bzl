# SPDX-License-Identifier: Apache-2.0
"""Tests with real guests."""

_PROGRAMS = {
    "KINSOCKCTL": "//cli:kinsockctl",
    "KINSOCKD": "//server:kinsockd",
    "VSOCKTOOL": "//tests/e2e/guest:vsocktool",
}

def e2e_test(
        name,
        programs = _PROGRAMS,
        timeout = "moderate",
        data = [],
        stage = "e2e",
        runner = "run.sh"):
    """One file of pytest cases with real guests.

    They start virtual machines, so they run one at a time and outside of the sandbox.

    Args:
      name: the file without its suffix.
      programs: what it runs: environment variable to target (harness/programs.py).
      data: files that it reads, besides the programs.
      stage: of tools/test. "package" needs more than Bazel builds, and is left out of "//...".
      runner: the script that starts it: own_root.sh for a machine of its own.
      timeout: as for every test; each wait inside has a deadline of its own.
    """
    native.sh_test(
        name = name,
        size = "large",
        timeout = timeout,
        srcs = [runner],
        args = [name + ".py"],
        data = ["main.py", "conftest.py", name + ".py", "//tests/e2e/harness"] + data + programs.values(),
        env = {variable: "$(rootpath %s)" % program for variable, program in programs.items()},
        tags = [stage, "exclusive", "local"] + (["manual"] if stage != "e2e" else []),
    )
