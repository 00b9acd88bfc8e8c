# SPDX-License-Identifier: Apache-2.0
"""Idle guests and idle connections cost the daemon nothing."""

import select
import time

from harness.hybrid import HostStream
from harness.stage import Stage, Vm

_PORT = 5000
_CONNECTIONS = 20
_OBSERVED_SECONDS = 5.0
_MOST_OF_A_CORE = 0.02


def share_of_a_core(stage: Stage) -> float:
    """Measured over a few seconds in which nobody does anything."""
    start, before = time.monotonic(), stage.daemon.cpu_seconds()
    time.sleep(_OBSERVED_SECONDS)  # the measured interval itself
    return (stage.daemon.cpu_seconds() - before) / (time.monotonic() - start)


def test_two_idle_guests(pair: list[Vm], stage: Stage) -> None:
    del pair
    share = share_of_a_core(stage)
    print(f"idle, two guests: {share:.2%} of a core")
    assert share < _MOST_OF_A_CORE


def test_idle_connections(pair: list[Vm], stage: Stage) -> None:
    vm = pair[0]
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    streams = [vm.hybrid.dial(_PORT) for _ in range(_CONNECTIONS)]
    share = share_of_a_core(stage)
    print(f"idle, {_CONNECTIONS} connections: {share:.2%} of a core")
    for stream in streams:
        stream.close()
    assert share < _MOST_OF_A_CORE


def test_streams_to_guests_that_do_not_read(pair: list[Vm], stage: Stage) -> None:
    a, b = pair
    b.guest.serve(f"vsocktool ignore --listen {_PORT}")
    a.guest.start(f"vsocktool send --connect {b.at(_PORT)} --bytes 1G").await_report("connected", 10)
    with b.hybrid.dial(_PORT) as stream:
        fill(stream)
        share = share_of_a_core(stage)
    print(f"idle, two stalled streams: {share:.2%} of a core")
    assert share < _MOST_OF_A_CORE


def fill(stream: HostStream) -> None:
    """Writes until nothing is taken for a while."""
    stream.socket.setblocking(False)
    while select.select([], [stream.socket], [], 1.0)[1]:
        stream.socket.send(bytes(65536))
