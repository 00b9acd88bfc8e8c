# SPDX-License-Identifier: Apache-2.0
"""What `kinsockctl explain` says, and doing what it says."""

import dataclasses
import json
import os
import pathlib
import shlex
import subprocess
import typing

from harness import programs
from harness.stage import Stage, Vm

_SECONDS = 60


@dataclasses.dataclass
class Explanation:
    """One answer, in both of its forms."""

    status: int
    text: str
    reason: str
    cause: str
    # Where (a VM's name, or "host") and what.
    next: list[tuple[str, str]]

    def lines(self) -> list[str]:
        return [line for _, line in self.next]


class Newcomer:
    """Knows nothing but explain: asks it, believes it, does what it says."""

    def __init__(self, stage: Stage, *vms: Vm) -> None:
        self._stage = stage
        self._vms = {vm.name: vm for vm in vms}

    def asks(self, source: str, target: str, wrapper: typing.Sequence[str] = ()) -> Explanation:
        """`wrapper`: a command that runs kinsockctl. What is asked and answered is kept with the test's outputs."""
        command = [*wrapper, str(programs.kinsockctl()), "--endpoint", self._stage.ctl.endpoint, "explain", source,
                   target]
        said, shown = (subprocess.run([*command, *form], capture_output=True, text=True, timeout=_SECONDS, check=False)
                       for form in (("-o", "json"), ()))
        assert (said.stderr, shown.stderr) == ("", "")
        answer = json.loads(said.stdout)
        assert answer.get("exitCode", 0) == said.returncode == shown.returncode
        _keep(f"$ kinsockctl explain {source} {target}\n{shown.stdout}exit code {shown.returncode}\n\n")
        steps = [(next.get("vm", "host").removeprefix("vms/"), self._short(next["line"]))
                 for next in answer.get("next", [])]
        return Explanation(said.returncode, shown.stdout, answer.get("reason", ""), answer.get("cause", ""), steps)

    def hears(self, source: str, target: str, reason: str, status: int, *causes: str) -> Explanation:
        """Asks, and is told why; nothing is in the way for the reason ""."""
        found = self.asks(source, target)
        assert (found.reason, found.status) == (reason, status), found.text
        for cause in causes:
            assert cause in found.text, found.text
        assert found.next, "somebody who knows nothing else is left alone"
        return found

    def obeys(self, found: Explanation) -> list[str]:
        """Runs each of the commands where it belongs. Returns what they printed."""
        return [self._run(where, line) for where, line in found.next]

    def _short(self, line: str) -> str:
        """A line of kinsockctl without the daemon, which is the one that was asked."""
        if "kinsockctl " not in line:
            return line
        daemon = f" --endpoint {self._stage.ctl.endpoint} "
        assert daemon in line, line
        return line.replace(daemon, " ", 1)

    def _run(self, where: str, line: str) -> str:
        if where != "host":
            process = self._vms[where].guest.start(line).wait(_SECONDS)
            assert process.status == 0, process.describe()
            return process.out
        words = shlex.split(line.removeprefix("sudo "))  # who runs this test may do it
        if words[0] == "kinsockctl":
            return self._stage.ctl.text(*words[1:])
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout


def _keep(text: str) -> None:
    directory = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
    if directory is None:
        print(text, end="")
        return
    with (pathlib.Path(directory) / "explain.txt").open("a") as transcript:
        transcript.write(text)
