# SPDX-License-Identifier: Apache-2.0
"""Writes compile_commands.json of our C++ for tools that read it, from Bazel's own command lines.

    compile_commands.py DIRECTORY

Run from the top of the tree, after a build: generated headers are where the build left them.
"""

import json
import pathlib
import re
import subprocess
import sys

# What only Bazel or newer compilers understand, or what no analysis needs.
_DROPPED = re.compile(r"-M[DF]|-frandom-seed=.*|-fno-canonical-system-headers|-fcolor-diagnostics")
_WITH_VALUE = {"-MF", "-o"}
# Bazel's own places, which are not below the top of the tree.
_INSIDE_BAZEL = re.compile(r"^(-iquote|-isystem|-I)?((?:bazel-out|external)/.*)$")


def bazel(*arguments: str) -> str:
    return subprocess.run(["bazel", *arguments], stdout=subprocess.PIPE, check=True, text=True).stdout


def actions() -> list[dict]:
    query = 'mnemonic("CppCompile", //...)'
    flags = ("--output=jsonproto", "--noshow_progress", "--ui_event_filters=-info")
    return json.loads(bazel("aquery", *flags, query)).get("actions", [])


def command(arguments: list[str], execution_root: str) -> list[str]:
    kept = []
    words = iter(arguments)
    for word in words:
        if word in _WITH_VALUE:
            next(words)
        elif not _DROPPED.fullmatch(word):
            kept.append(_INSIDE_BAZEL.sub(lambda match: f"{match[1] or ''}{execution_root}/{match[2]}", word))
    return kept


def source(arguments: list[str]) -> str:
    return arguments[arguments.index("-c") + 1]


def main() -> None:
    top = pathlib.Path.cwd()
    execution_root = bazel("info", "execution_root").strip()
    entries = {}
    for action in actions():
        file = source(action["arguments"])
        if (top / file).is_file():
            entries[file] = {"directory": str(top), "file": str(top / file),
                             "arguments": command(action["arguments"], execution_root)}
    out = pathlib.Path(sys.argv[1]) / "compile_commands.json"
    out.write_text(json.dumps(list(entries.values()), indent=1) + "\n")


if __name__ == "__main__":
    main()
