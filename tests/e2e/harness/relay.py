# SPDX-License-Identifier: Apache-2.0
"""A place between a client and a daemon at which their connections can be cut."""

import contextlib
import pathlib
import socket
import threading


class Relay:
    """Listens at one path and passes everything on to another, both ways, until it is cut or closed."""

    def __init__(self, path: pathlib.Path, target: pathlib.Path) -> None:
        self.path = path
        self._target = target
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._cut = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(16)
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def cut(self) -> None:
        """Ends all connections, and new ones at once, until `mend`."""
        with self._lock:
            self._cut = True
            ends, self._ends = self._ends, []
        for end in ends:
            _shut(end)

    def mend(self) -> None:
        with self._lock:
            self._cut = False

    def close(self) -> None:
        self.cut()
        _shut(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self._join(caller)

    def _join(self, caller: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with self._lock:
            if self._cut:
                caller.close()
                server.close()
                return
            try:
                server.connect(str(self._target))
            except OSError:
                caller.close()
                server.close()
                return
            self._ends += [caller, server]
        for source, sink in ((caller, server), (server, caller)):
            threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _shut(source)
    _shut(sink)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
