#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures vhost-user vsock back-ends side by side.

    bench/compare.py --ours bazel-bin/server/kinsockd --peer ~/.cargo/bin/vhost-device-vsock

Every round measures each row once for each back-end and once for the limit of the machine, in turn, so that a
machine whose speed drifts is fair to all. Reported are medians over the rounds, and ratios of medians. --peer may be left
out. Results go to standard output as a table and, with --json FILE, to a file with every single figure.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

_GUESTS = 3
_FIRST_CID = 3


@dataclasses.dataclass(frozen=True)
class Row:
    """One measurement: what vsock_load is told, which figure counts, and what limits it."""

    title: str
    command: str
    figure: str
    options: tuple[str, ...] = ()
    guests: int = 2
    host: bool = False
    limit: tuple[str, ...] = ()
    peer_can: bool = True  # the peer loses sibling packets that are larger than the receiver's buffers


_BIG_BUFFERS = ("--rx-buffer", "65580")
ROWS = [
    Row("sibling 64 B, Gbit/s", "sibling", "gbit_per_s", ("--write", "64")),
    Row("sibling 64 B, Gbit per CPU-second", "sibling", "gbit_per_cpu_s", ("--write", "64")),
    Row("sibling 2 KiB, Gbit/s", "sibling", "gbit_per_s", ("--write", "2048")),
    Row("sibling 2 KiB, Gbit per CPU-second", "sibling", "gbit_per_cpu_s", ("--write", "2048")),
    Row("sibling 64 KiB, 64 KiB buffers, Gbit/s", "sibling", "gbit_per_s", _BIG_BUFFERS, limit=("memcpy", "gbit_per_s")),
    Row("the same per CPU-second", "sibling", "gbit_per_cpu_s", _BIG_BUFFERS, limit=("memcpy", "gbit_per_s")),
    Row("sibling 64 KiB, Linux's buffers, Gbit/s", "sibling", "gbit_per_s", limit=("memcpy", "gbit_per_s"), peer_can=False),
    Row("the same per CPU-second", "sibling", "gbit_per_cpu_s", limit=("memcpy", "gbit_per_s"), peer_can=False),
    Row("8 connections, per CPU-second", "sibling", "gbit_per_cpu_s", ("--connections", "8"), limit=("memcpy", "gbit_per_s"), peer_can=False),
    Row("sibling round trip, us", "sibling-latency", "p50_us", limit=("eventfd", "p50_us")),
    Row("sibling connections per second", "sibling-connects", "connections_per_s"),
    Row("A to C beside 8 live flows to B, % of alone", "fairness", "share_percent", ("--write", "2048"), guests=3),
    Row("A to C beside a stalled B, % of alone", "stalled", "share_percent", ("--write", "2048"), guests=3),
    Row("10,000 quiet connections: bytes each", "quiet", "bytes_each", ("--connections", "10000")),
    Row("10,000 quiet connections: opened per second", "quiet", "connections_per_s", ("--connections", "10000")),
] + [
    Row(f"{title} {size}, Gbit/s", command, "gbit_per_s", ("--write", str(size)), guests=1, host=True, limit=("unix", "gbit_per_s"))
    for title, command in (("host to guest", "host-to-guest"), ("guest to host", "guest-to-host"))
    for size in (64, 4096, 65536)
] + [
    Row("host round trip, us", "host-latency", "p50_us", guests=1, host=True, limit=("eventfd", "p50_us")),
    Row("host connections per second", "host-connects", "connections_per_s", guests=1, host=True),
]


class Backend:
    """A back-end process with a few VMs of one group."""

    def __init__(self, program: str, extra: list[str]):
        self._scratch = tempfile.TemporaryDirectory(prefix="vsock-")
        self._directory = pathlib.Path(self._scratch.name)
        command = [program, *extra]
        for cid in range(_FIRST_CID, _FIRST_CID + _GUESTS):
            command += ["--vm", f"guest-cid={cid},socket={self.socket(cid)},uds-path={self.uds(cid)},groups=bench"]
        self._log = open(self._directory / "log", "wb")
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        self._wait_listening()

    def socket(self, cid: int) -> pathlib.Path:
        return self._directory / f"{cid}.sock"

    def uds(self, cid: int) -> pathlib.Path:
        return self._directory / f"{cid}.uds"

    def _wait_listening(self) -> None:
        deadline = time.monotonic() + 10
        while not all(self.socket(cid).exists() for cid in range(_FIRST_CID, _FIRST_CID + _GUESTS)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the back-end does not listen:\n{(self._directory / 'log').read_text()}")
            time.sleep(0.05)

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()
        self._scratch.cleanup()


def load(program: str, arguments: list[str]) -> dict[str, float]:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        print(f"  {' '.join(arguments)}: {done.stderr.strip()}", file=sys.stderr)
        return {}
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def measure(options: argparse.Namespace, row: Row, program: str, extra: list[str]) -> float | None:
    # A back-end of its own for each measurement: nothing is left over from the one before.
    backend = Backend(program, extra)
    try:
        arguments = [row.command, "--backend", str(backend.process.pid), "--milliseconds", str(options.milliseconds)]
        for cid in range(_FIRST_CID, _FIRST_CID + row.guests):
            arguments += ["--socket", str(backend.socket(cid))]
        if row.host:
            arguments += ["--uds-path", str(backend.uds(_FIRST_CID))]
        return load(options.load, arguments + list(row.options)).get(row.figure)
    finally:
        backend.close()


def measure_limit(options: argparse.Namespace, row: Row) -> float | None:
    if not row.limit:
        return None
    command, figure = row.limit
    return load(options.load, [command, "--milliseconds", str(options.milliseconds), *row.options]).get(figure)


def median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def ratio(a: float | None, b: float | None) -> str:
    return "-" if a is None or not b else f"{a / b:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default="bazel-bin/server/kinsockd", help="kinsockd (%(default)s)")
    parser.add_argument("--ours-args", default="", help="further arguments for it, in one word")
    parser.add_argument("--peer", help="vhost-device-vsock, or anything that takes its --vm")
    parser.add_argument("--load", default="bazel-bin/bench/vsock_load", help="the load generator (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (%(default)s)")
    parser.add_argument("--milliseconds", type=int, default=1000, help="of each measurement (%(default)s)")
    parser.add_argument("--rows", default="", help="only rows whose title contains this")
    parser.add_argument("--json", help="a file for every figure")
    options = parser.parse_args()
    rows = [row for row in ROWS if options.rows in row.title]
    results: dict[str, dict[str, list[float | None]]] = {row.title + row.figure + str(row.options): {"ours": [], "peer": [], "limit": []} for row in rows}
    for number in range(1, options.rounds + 1):
        for row in rows:
            print(f"\rround {number} of {options.rounds}: {row.title:60}", end="", file=sys.stderr, flush=True)
            figures = results[row.title + row.figure + str(row.options)]
            figures["ours"].append(measure(options, row, options.ours, options.ours_args.split()))
            if options.peer and row.peer_can:
                figures["peer"].append(measure(options, row, options.peer, []))
            figures["limit"].append(measure_limit(options, row))
    print(file=sys.stderr)
    print(f"medians of {options.rounds} rounds, {os.cpu_count()} CPUs\n")
    print("| measure | kinsockd | peer | limit | to peer | to limit |\n|---|---|---|---|---|---|")
    for row in rows:
        figures = results[row.title + row.figure + str(row.options)]
        ours, peer, limit = (median(figures[who]) for who in ("ours", "peer", "limit"))
        print(f"| {row.title} | {cell(ours)} | {cell(peer)} | {cell(limit)} | {ratio(ours, peer)} | {ratio(ours, limit)} |")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
