# SPDX-License-Identifier: Apache-2.0
"""Runs commands in a guest, several at a time, over a channel that is not vsock (tests/e2e/guest/agent.cc)."""

import itertools
import signal
import socket
import threading
import typing

from harness import report
from harness.deadline import Deadline, Overdue


class GuestProcess:
    """A command that runs, or ran, in a guest."""

    def __init__(self, control: "Control", ident: str, command: str) -> None:
        self._control = control
        self._ident = ident
        self.command = command
        self.out = ""
        self.err = ""
        self.status: int | None = None
        self.lost = ""  # why its end will never be known

    def wait(self, seconds: float) -> "GuestProcess":
        """Until it has ended, whatever its status."""
        self._control.wait(f"{self.command!r} to end", lambda: self.status is not None, seconds, self)
        return self

    def ends_within(self, seconds: float) -> bool:
        """Waits so long at most, and says whether it has ended."""
        try:
            self.wait(seconds)
        except Overdue:
            if self.lost or self._control.closed:
                raise
        return self.status is not None

    def succeed(self, seconds: float) -> report.Report:
        """Until it has ended with status 0. Returns the last thing it reported."""
        self.wait(seconds)
        if self.status != 0:
            raise AssertionError(f"in {self._control.title}: {self.describe()}")
        reports = report.parse(self.out)
        return reports[-1] if reports else report.Report("", {})

    def await_report(self, event: str, seconds: float) -> report.Report:
        """Until it has reported `event`. An end without that is an error."""
        awaited = f"{self.command!r} to report {event!r}"

        def ready() -> bool:
            return self.status is not None or any(known.event == event for known in report.parse(self.out))

        self._control.wait(awaited, ready, seconds, self)
        for known in report.parse(self.out):
            if known.event == event:
                return known
        raise AssertionError(f"in {self._control.title}: {awaited}, but: {self.describe()}")

    def kill(self) -> None:
        """SIGKILL to it and everything it started."""
        if self.status is None and not self.lost:
            self._control.signal(self._ident, signal.SIGKILL)

    def describe(self) -> str:
        how = self.lost or ("runs" if self.status is None else f"status {self.status}")
        return f"{self.command!r}: {how}, out {self.out[-1000:]!r}, err {self.err[-1000:]!r}"


class Control:
    """The harness's end of the channel. A thread reads it; everything public may be called from any thread."""

    def __init__(self, title: str, connection: socket.socket) -> None:
        self.title = title
        self._connection = connection
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._boots: list[str] = []
        self._closed = False
        self._ids = itertools.count(1)
        self._processes: dict[str, GuestProcess] = {}
        self._reader = threading.Thread(target=self._read, name=f"control-{title}", daemon=True)
        self._reader.start()

    @property
    def boots(self) -> int:
        """How often the guest has come up."""
        with self._changed:
            return len(self._boots)

    @property
    def closed(self) -> bool:
        """The guest is gone for good."""
        with self._changed:
            return self._closed

    def start(self, command: str) -> GuestProcess:
        with self._changed:
            ident = str(next(self._ids))
            process = self._processes[ident] = GuestProcess(self, ident, command)
        self._send("run", ident, command.encode().hex())
        return process

    def kill_all(self, seconds: float) -> None:
        """Ends whatever still runs in the guest on our behalf."""
        with self._changed:
            running = list(self._processes.values())
        for process in running:
            process.kill()
        for process in running:
            if not process.lost:
                process.wait(seconds)

    def signal(self, ident: str, number: int) -> None:
        self._send("signal", ident, str(int(number)))

    def wait(self, awaited: str, ready: typing.Callable[[], bool], seconds: float,
             process: GuestProcess | None = None) -> None:
        """Until `ready`; an error at once if the guest dies first, or forgets the process."""
        deadline = Deadline(seconds, f"{awaited} in {self.title}")
        with self._changed:
            while not ready():
                if self._closed:
                    raise deadline.hopeless("the guest is gone")
                if process is not None and process.lost:
                    raise deadline.hopeless(process.describe())
                self._wait_for_change(deadline, process)

    def close(self) -> None:
        self._connection.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._connection.close()

    def _wait_for_change(self, deadline: Deadline, process: GuestProcess | None) -> None:
        try:
            self._changed.wait(deadline.left())
        except Overdue:
            raise deadline.overdue(process.describe() if process else "") from None

    def _send(self, verb: str, *words: str) -> None:
        with self._changed:
            line = " ".join([verb, self._boots[-1], *words])
        with self._sending:
            self._connection.sendall(line.encode() + b"\n")

    def _read(self) -> None:
        rest = b""
        while data := self._receive():
            *lines, rest = (rest + data).split(b"\n")
            with self._changed:
                for line in lines:
                    self._take(line.decode(errors="replace"))
                self._changed.notify_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(65536)
        except OSError:
            return b""

    def _take(self, line: str) -> None:
        match line.split(" "):
            case ["hello", boot]:
                self._boots.append(boot)
                self._forget_processes()
            case ["out" | "err" as kind, ident, data] if ident in self._processes:
                process = self._processes[ident]
                setattr(process, kind, getattr(process, kind) + bytes.fromhex(data).decode(errors="replace"))
            case ["exit", ident, status] if ident in self._processes:
                self._processes.pop(ident).status = int(status)

    def _forget_processes(self) -> None:
        for process in self._processes.values():
            process.lost = "its guest has rebooted"
        self._processes.clear()
