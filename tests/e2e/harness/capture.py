# SPDX-License-Identifier: Apache-2.0
"""What `kinsockctl capture` writes while guests talk, as tshark reads it."""

import collections
import dataclasses
import os
import pathlib
import subprocess

from harness import programs
from harness.child import Child
from harness.deadline import wait_until
from harness.stage import Stage

_SECONDS = 30

REQUEST, RESPONSE, RST, SHUTDOWN, RW = 1, 2, 3, 4, 5  # virtio 1.3, 5.10.6.4
_FIELDS = ("frame.interface_name", "vsock.src_cid", "vsock.dst_cid", "vsock.dst_port", "vsock.virtio.op",
           "vsock.virtio.len", "vsock.payload")


@dataclasses.dataclass(frozen=True)
class Packet:
    interface: str
    src_cid: int
    dst_cid: int
    dst_port: int
    op: int
    length: int
    payload: bytes


class Capture:
    """A capture into a file. It has begun when it is made."""

    def __init__(self, stage: Stage, *flags: str) -> None:
        self.path: pathlib.Path = stage.scratch / "talk.pcapng"
        self.path.unlink(missing_ok=True)
        self._home = stage.scratch / "tshark"
        self._log: pathlib.Path = stage.scratch / "capture.log"
        command = [programs.kinsockctl(), "--endpoint", stage.ctl.endpoint, "capture", "-w", self.path, *flags]
        self._child = Child("kinsockctl capture", command, self._log)
        wait_until("the capture to begin", self._begun, _SECONDS)

    def _begun(self) -> bool:
        self._child.check_running()
        return self.path.exists() and self.path.stat().st_size > 0

    def end(self) -> dict[str, list[Packet]]:
        """Ends it as Ctrl-C does. Returns the packets of each interface, in their order."""
        status = self._child.stop()
        assert status == 0, self._log.read_text()
        assert ", 0 lost" in self._log.read_text()
        packets = collections.defaultdict(list)
        for packet in self._read():
            packets[packet.interface].append(packet)
        return packets

    def _read(self) -> list[Packet]:
        self._home.mkdir(exist_ok=True)
        command = [str(programs.tshark()), "-r", str(self.path), "-T", "fields", "-E", "separator=|"]
        for field in _FIELDS:
            command += ["-e", field]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False,
                              env={**os.environ, "HOME": str(self._home), "LC_ALL": "C"})
        assert done.returncode == 0, done.stderr
        return [_parse(line) for line in done.stdout.splitlines()]


def _parse(line: str) -> Packet:
    interface, *numbers, payload = line.split("|")
    return Packet(interface, *map(int, numbers), bytes.fromhex(payload))
