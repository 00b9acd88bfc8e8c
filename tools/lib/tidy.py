# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy over our C++, and skips what it found clean before.

    tidy.py COMPILE_COMMANDS CACHE [FILE...]

A file is clean as long as its command line, the configuration, and every file of ours that it includes stay as they are.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys

_CLANG_TIDY = "clang-tidy"


@dataclasses.dataclass(frozen=True)
class Unit:
    """A file that is compiled."""

    directory: pathlib.Path
    file: pathlib.Path
    arguments: list[str]

    def key(self) -> str:
        """Changes with everything that the verdict on this file depends on."""
        digest = hashlib.sha256(json.dumps(self.arguments).encode())
        digest.update((self.directory / ".clang-tidy").read_bytes())
        for path in self._included():
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def _included(self) -> list[pathlib.Path]:
        """This file and the headers of ours below it, as the compiler finds them."""
        command = [word for word in self.arguments if word not in ("-Werror", "-c")]
        done = subprocess.run([*command, "-MM", "-w"], cwd=self.directory, capture_output=True, text=True, check=False)
        if done.returncode != 0:  # clang-tidy will say why
            return [self.file]
        words = done.stdout.replace("\\\n", " ").split(":", 1)[1].split()
        return sorted(self.directory / word for word in words)


def read_units(compile_commands: pathlib.Path, wanted: list[str]) -> list[Unit]:
    files = {pathlib.Path(name).resolve() for name in wanted}
    units = [Unit(pathlib.Path(entry["directory"]), pathlib.Path(entry["file"]), entry["arguments"])
             for entry in json.loads(compile_commands.read_text())]
    return [unit for unit in units if not files or unit.file in files]


def check(unit: Unit, compile_commands: pathlib.Path, cache: pathlib.Path) -> str:
    """What clang-tidy has to say of a file; "" if nothing."""
    stamp = cache / unit.key()
    if stamp.exists():
        return ""
    command = [_CLANG_TIDY, "--quiet", "-p", str(compile_commands.parent), str(unit.file)]
    done = subprocess.run(command, cwd=unit.directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    if done.returncode == 0:
        stamp.touch()
        return ""
    return done.stdout or f"{unit.file}: clang-tidy exited with {done.returncode}\n"


def main() -> int:
    compile_commands, cache = map(pathlib.Path, sys.argv[1:3])
    cache.mkdir(parents=True, exist_ok=True)
    units = read_units(compile_commands, sys.argv[3:])
    unclean = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = pool.map(lambda unit: check(unit, compile_commands, cache), units)
        for number, (unit, verdict) in enumerate(zip(units, verdicts), start=1):
            print(f"[{number}/{len(units)}] {unit.file.relative_to(unit.directory)}", flush=True)
            if verdict:
                unclean += 1
                print(verdict, flush=True)
    return 1 if unclean else 0


if __name__ == "__main__":
    sys.exit(main())
