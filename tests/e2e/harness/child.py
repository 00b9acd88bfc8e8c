# SPDX-License-Identifier: Apache-2.0
"""A program that is started, watched and ended here."""

import contextlib
import os
import pathlib
import signal
import subprocess
import typing

from harness import logbook
from harness.deadline import wait_until

_STOP_SECONDS = 10


class Child:
    """A process in a group of its own that dies with us, even if we are killed.

    Start it from the main thread: the kernel ends it when the thread that started it ends.
    """

    def __init__(self, title: str, command: typing.Sequence[str | pathlib.Path], log: pathlib.Path,
                 pass_fds: typing.Sequence[int] = (), env: dict[str, str] | None = None) -> None:
        self.title = title
        self.log = log
        self.command = [str(word) for word in command]
        logbook.register(title, log)
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.command], stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, pass_fds=pass_fds, env={**os.environ, **(env or {})}, start_new_session=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def check_running(self) -> None:
        if not self.running():
            how = f"{self.title} ended with status {self._process.returncode}"
            raise AssertionError(f"{how}:\n{logbook.tail(self.log)}")

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM, and SIGKILL if that is not enough. Returns the exit status."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._signal(signal.SIGKILL)  # whatever else is in its group
        return self._process.returncode

    def wait_ended(self, seconds: float) -> int:
        wait_until(f"{self.title} to end", lambda: not self.running(), seconds)
        return self._process.returncode

    def cpu_seconds(self) -> float:
        """User and system time so far, all threads."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        utime, stime = int(fields[11]), int(fields[12])  # proc(5): fields 14 and 15
        return (utime + stime) / os.sysconf("SC_CLK_TCK")

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
