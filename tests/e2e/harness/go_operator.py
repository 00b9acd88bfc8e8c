# SPDX-License-Identifier: Apache-2.0
"""The operator of examples/go, built as its users build it, and the directory that it reads."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import typing

from harness import go, logbook
from harness.child import Child
from harness.deadline import wait_until
from harness.scratch import Scratch

_HERE = pathlib.Path(__file__).absolute().parents[3]
_BUILD_SECONDS = 900  # the first time it compiles gRPC
_SECONDS = 60


def build(directory: pathlib.Path) -> pathlib.Path:
    """Makes the client and the program in a copy, without a network: tools/setup has fetched the modules."""
    example = directory / "go"
    shutil.copytree(_HERE / "examples/go", example, ignore=shutil.ignore_patterns("kinsock", "operator"))
    environment = {**os.environ, **go.environment(), "KINSOCK_API": str(_HERE / "api")}
    environment.pop("GOROOT", None)
    for command in (["./generate"], ["go", "vet", "."], ["go", "build", "-o", "operator", "."]):
        done = subprocess.run(command, cwd=example, env=environment, capture_output=True, text=True,
                              timeout=_BUILD_SECONDS, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} in examples/go: {done.stdout}{done.stderr}")
    return example / "operator"


class Operator:
    """A running operator. What it logs tells what it did."""

    def __init__(self, program: pathlib.Path, scratch: Scratch, api_socket: pathlib.Path, owner: str = "test") -> None:
        self.owner = owner
        self.directory = scratch / f"desired-{owner}"
        self.directory.mkdir(exist_ok=True)
        command = [program, "-endpoint", f"unix:{api_socket}", "-desired", self.directory, "-owner", owner,
                   "-interval", "200ms"]
        self._process = Child(f"operator {owner}", command, scratch / f"operator-{owner}.log")

    def want(self, name: str, **vm: typing.Any) -> None:
        """Asks for a VM. In one step, as a file is to be replaced that somebody reads."""
        new = self.directory / f".{name}.new"
        new.write_text(json.dumps(vm))
        new.rename(self.directory / f"{name}.json")

    def want_no_more(self, name: str) -> None:
        (self.directory / f"{name}.json").unlink()

    def log(self) -> str:
        return self._process.log.read_text()

    def count(self, pattern: str) -> int:
        """How many lines of its log match."""
        return len(re.findall(pattern, self.log()))

    def await_log(self, pattern: str, times: int = 1) -> None:
        self.await_that(f"the operator to log {pattern!r} {times} times", lambda: self.count(pattern) >= times)

    def await_that(self, awaited: str, condition: typing.Callable[[], bool]) -> None:
        def reached() -> bool:
            self._process.check_running()
            return condition()

        wait_until(awaited, reached, _SECONDS)

    def freeze(self) -> None:
        """It misses everything from now on."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM. Returns the exit status."""
        status = self._process.stop()
        logbook.forget(self._process.log)
        return status
