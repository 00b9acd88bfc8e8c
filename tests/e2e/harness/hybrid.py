# SPDX-License-Identifier: Apache-2.0
"""Host programs that talk to guests over AF_UNIX, with the protocol that Firecracker introduced."""

import pathlib
import re
import socket
import threading

_SECONDS = 30
_ANSWER = re.compile(rb"OK (\d+)\n")


class NotConnected(AssertionError):
    """The socket was closed instead of answered with OK."""


class HostStream:
    """A connected stream to a guest. Closed on exit."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        connection.settimeout(_SECONDS)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_in_background(self, data: bytes) -> threading.Thread:
        """For when the other end answers before it has read everything. Ends with a half-close."""
        def run() -> None:
            self.send(data)
            self.finish_sending()

        sender = threading.Thread(target=run, daemon=True)
        sender.start()
        return sender

    def finish_sending(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def read_to_end(self) -> bytes:
        """Everything until the guest has finished sending."""
        received = bytearray()
        while data := self.socket.recv(1 << 20):
            received += data
        return bytes(received)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "HostStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class HybridSocket:
    """The host side of one VM: `path` leads to its ports, `path`_PORT is where a guest finds host programs."""

    def __init__(self, path: str | pathlib.Path) -> None:
        self.path = pathlib.Path(path)

    def dial(self, port: int, *, verb: str = "CONNECT", early: bytes = b"") -> HostStream:
        """Asks for a guest's port. `early` goes out in the same write as the command."""
        connection = self.open()
        connection.sendall(f"{verb} {port}\n".encode() + early)
        answer = read_line(connection)
        if not _ANSWER.fullmatch(answer):
            connection.close()
            raise NotConnected(f"{verb} {port} on {self.path} was answered with {answer!r}")
        return HostStream(connection)

    def open(self) -> socket.socket:
        """Connected, and nothing said yet."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_SECONDS)
        connection.connect(str(self.path))
        return connection

    def listen(self, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> "HostListener":
        return HostListener(self.path.with_name(f"{self.path.name}_{port}"), kind)


class HostListener:
    """A host program that waits for a guest. Its socket file is removed on exit."""

    def __init__(self, path: pathlib.Path, kind: socket.SocketKind) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, kind)
        self._socket.bind(str(path))
        self._socket.listen(128)
        self._socket.settimeout(_SECONDS)

    def accept(self) -> HostStream:
        return HostStream(self._socket.accept()[0])

    def __enter__(self) -> "HostListener":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)


def read_line(connection: socket.socket) -> bytes:
    """One line and not a byte more; what came of it if the other end closes (or resets) first."""
    line = b""
    try:
        while not line.endswith(b"\n") and (byte := connection.recv(1)):
            line += byte
    except ConnectionResetError:
        pass
    return line


def is_closed(connection: socket.socket) -> bool:
    """Waits for the other end to close. False if it says something instead."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


