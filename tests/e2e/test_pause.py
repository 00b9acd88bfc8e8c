# SPDX-License-Identifier: Apache-2.0
"""A VM is stopped and continued in the middle of a stream: nothing is lost, and nobody else waits."""

import time
import typing

import pytest

from harness.pattern import pattern
from harness.stage import Stage, Vm
from harness.traffic import exchange

_PORT = 5000
_SIZE = "256M"

# Longer than a guest waits for a connect (2 s).
_PAUSE_SECONDS = 3.0


@pytest.fixture(scope="module")
def trio(stage: Stage) -> list[Vm]:
    return stage.boot("a", "b", "c")


@pytest.fixture(autouse=True)
def quiet(trio: list[Vm]) -> typing.Iterator[None]:
    yield
    for vm in trio:
        vm.guest.quiet()


def pause_while_others_talk(stage: Stage, paused: Vm, one: Vm, other: Vm) -> None:
    """Stops a VM for a few seconds, in which the other two go on as if nothing had happened."""
    end = time.monotonic() + _PAUSE_SECONDS
    paused.guest.pause()
    stage.ctl.wait(paused.name, "SUSPENDED")
    while time.monotonic() < end:
        exchange(one, other, _PORT + 1)
    paused.guest.resume()
    stage.ctl.wait(paused.name, "ACTIVE")


@pytest.mark.parametrize("paused", ["sender", "receiver"])
def test_a_stream_survives_a_pause_of_either_end(stage: Stage, trio: list[Vm], paused: str) -> None:
    sender, receiver, bystander = trio
    receiving = receiver.guest.serve(f"vsocktool receive --listen {_PORT} --bytes {_SIZE} --seed 81")
    sending = sender.guest.start(f"vsocktool send --connect {receiver.at(_PORT)} --bytes {_SIZE} --seed 81")
    receiving.await_report("flowing", 30)

    sleeper, awake = (sender, receiver) if paused == "sender" else (receiver, sender)
    pause_while_others_talk(stage, sleeper, awake, bystander)

    assert receiving.status is None, "the stream was over before the pause: it proved nothing"
    sending.succeed(120)
    assert receiving.succeed(10)["verdict"] == "exact"


def test_a_stream_from_the_host_survives_a_pause(stage: Stage, trio: list[Vm]) -> None:
    sleeper, one, other = trio
    size = 256 << 20
    receiving = sleeper.guest.serve(f"vsocktool receive --listen {_PORT} --bytes {size} --seed 82")
    with sleeper.hybrid.dial(_PORT) as stream:
        sender = stream.send_in_background(pattern(82, size))
        receiving.await_report("flowing", 30)
        pause_while_others_talk(stage, sleeper, one, other)
        assert receiving.status is None, "the stream was over before the pause: it proved nothing"
        assert receiving.succeed(120)["verdict"] == "exact"
        sender.join(10)


def test_an_idle_connection_survives_a_pause(stage: Stage, trio: list[Vm]) -> None:
    sleeper, one, other = trio
    sleeper.guest.serve(f"vsocktool echo --listen {_PORT}")
    with sleeper.hybrid.dial(_PORT) as stream:
        pause_while_others_talk(stage, sleeper, one, other)
        stream.send(b"still there?")
        stream.finish_sending()
        assert stream.read_to_end() == b"still there?"
