# SPDX-License-Identifier: Apache-2.0
"""Endless checked traffic between two guests, to have something to break."""

import dataclasses

from harness.control import GuestProcess
from harness.stage import Vm

# From the event to the report of the guest, both under emulation on a busy machine. Without a reset a stream would
# just stand still.
PROMPT_SECONDS = 2.0

_START_SECONDS = 30


@dataclasses.dataclass
class Traffic:
    """A connection that carries bytes both ways until something ends it."""

    caller: GuestProcess
    listener: GuestProcess

    def running(self) -> bool:
        return self.caller.status is None and self.listener.status is None

    def assert_cut(self, process: GuestProcess) -> None:
        """At this end the connection is promptly over, in both directions; every byte before that was right.

        That is how Linux shows the reset of an established stream: the input ends and output fails with EPIPE
        (virtio_transport_do_close; only a connect fails with ECONNRESET).
        """
        assert process.await_report("broken", PROMPT_SECONDS)["errno"] == "EOF"
        assert process.await_report("ended", PROMPT_SECONDS)["send_errno"] == "EPIPE"
        process.succeed(PROMPT_SECONDS)


def flow(caller: Vm, listener: Vm, port: int, seed: int = 1) -> Traffic:
    """Returns when at least a megabyte has come through in each direction."""
    listening = listener.guest.serve(f"vsocktool hold --listen {port} --seed {seed}")
    calling = caller.guest.start(f"vsocktool hold --connect {listener.at(port)} --seed {seed}")
    for process in (calling, listening):
        process.await_report("flowing", _START_SECONDS)
    return Traffic(calling, listening)


def exchange(caller: Vm, listener: Vm, port: int) -> None:
    """A few short conversations, checked: the two reach each other."""
    listening = listener.guest.serve(f"vsocktool echo --listen {port}")
    caller.guest.run(f"vsocktool visits --connect {listener.at(port)} --count 5 --bytes 10000")
    listening.kill()
    listening.wait(PROMPT_SECONDS)
