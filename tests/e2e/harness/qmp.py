# SPDX-License-Identifier: Apache-2.0
"""QEMU's machine protocol (QEMU: docs/interop/qmp-spec), as much of it as the tests use."""

import json
import socket
import typing

from harness.deadline import Deadline

_REPLY_SECONDS = 30

Message = dict[str, typing.Any]


class Qmp:
    """One session. Thread: the caller's, one at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._greeted = False

    def command(self, name: str, **arguments: typing.Any) -> typing.Any:
        """Runs a command and returns what it returned; raises if QEMU refuses it."""
        if not self._greeted:
            self._greeted = True
            self._read("the greeting", lambda message: "QMP" in message)
            self.command("qmp_capabilities")
        request = {"execute": name, "arguments": arguments}
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        reply = self._read(f"QMP {name}", lambda message: "return" in message or "error" in message)
        if "error" in reply:
            raise AssertionError(f"QMP {name}: {reply['error']}")
        return reply["return"]

    def close(self) -> None:
        self._connection.close()

    def _read(self, awaited: str, wanted: typing.Callable[[Message], bool]) -> Message:
        deadline = Deadline(_REPLY_SECONDS, awaited)
        while True:
            line, newline, rest = self._received.partition(b"\n")
            if not newline:
                self._receive(deadline)
                continue
            self._received = rest
            message: Message = json.loads(line)
            if wanted(message):  # events come in between
                return message

    def _receive(self, deadline: Deadline) -> None:
        self._connection.settimeout(deadline.left())
        try:
            data = self._connection.recv(65536)
        except TimeoutError:
            raise deadline.overdue() from None
        if not data:
            raise deadline.hopeless("QEMU is gone")
        self._received += data
