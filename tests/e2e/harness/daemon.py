# SPDX-License-Identifier: Apache-2.0
"""A running kinsockd."""

import pathlib
import socket

from harness import logbook, programs
from harness.child import Child
from harness.deadline import Overdue, wait_until
from harness.kinsockctl import Kinsockctl
from harness.scratch import Scratch

_READY_SECONDS = 10


class Daemon:
    """Started in the constructor, ready when that returns. Construct it in the main thread (see Child)."""

    def __init__(self, scratch: Scratch, *arguments: str) -> None:
        self.api_socket = scratch / "api.sock"
        command = [str(programs.kinsockd()), "--api", f"unix:{self.api_socket}", *arguments]
        runtime = {"XDG_RUNTIME_DIR": str(scratch.path)}  # sockets whose path nobody names go there too
        self._process = Child("kinsockd", command, scratch / "kinsockd.log", env=runtime)
        self.ctl = Kinsockctl(self.api_socket)
        try:
            wait_until("kinsockd to answer on its API socket", self._answers, _READY_SECONDS)
        except Overdue as overdue:
            self._process.kill()
            raise AssertionError(f"{overdue}; its log:\n{logbook.tail(self._process.log)}") from None

    def _answers(self) -> bool:
        self._process.check_running()
        return accepts(self.api_socket)

    @property
    def pid(self) -> int:
        return self._process.pid

    def check_running(self) -> None:
        self._process.check_running()

    def log_tail(self) -> str:
        return logbook.tail(self._process.log)

    def cpu_seconds(self) -> float:
        return self._process.cpu_seconds()

    def stop(self) -> int:
        """SIGTERM. Returns the exit status."""
        return self._process.stop()

    def crash(self) -> None:
        """kill -9: it is given no chance to tidy up."""
        self._process.kill()

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        logbook.forget(self._process.log)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free, or was a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts(path: pathlib.Path) -> bool:
    """Somebody accepts connections on this AF_UNIX socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
