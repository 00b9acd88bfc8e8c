# SPDX-License-Identifier: Apache-2.0
"""Connections of type SOCK_SEQPACKET: each message arrives as it was sent, between guests and to host programs."""

import socket

import pytest

from harness.deadline import wait_until
from harness.messages import messages
from harness.stage import Stage, Vm

_PORT = 5000
_MOST = 64 << 10
_COUNT = 40
_OPTIONS = f"--count {_COUNT} --bytes {_MOST} --seed 7"


@pytest.mark.parametrize(("teller", "hearer"), [(0, 1), (1, 0)], ids=["a-to-b", "b-to-a"])
def test_messages_between_guests_keep_their_boundaries(pair: list[Vm], teller: int, hearer: int) -> None:
    hearing = pair[hearer].guest.serve(f"vsocktool hear --listen {_PORT} {_OPTIONS}")
    told = pair[teller].guest.run(f"vsocktool tell --connect {pair[hearer].at(_PORT)} {_OPTIONS}", 60)
    assert told["count"] == str(_COUNT)
    assert hearing.succeed(10)["count"] == str(_COUNT)


def test_the_accepting_guest_may_tell(pair: list[Vm]) -> None:
    a, b = pair
    telling = b.guest.serve(f"vsocktool tell --listen {_PORT} {_OPTIONS}")
    a.guest.run(f"vsocktool hear --connect {b.at(_PORT)} {_OPTIONS}", 60)
    telling.succeed(10)


def test_many_small_messages(pair: list[Vm]) -> None:
    a, b = pair
    options = "--count 5000 --bytes 100 --seed 9"
    hearing = b.guest.serve(f"vsocktool hear --listen {_PORT} {options}")
    a.guest.run(f"vsocktool tell --connect {b.at(_PORT)} {options}", 60)
    hearing.succeed(10)


def test_messages_to_a_host_program(pair: list[Vm], stage: Stage) -> None:
    vm = pair[0]
    with vm.hybrid.listen(_PORT, socket.SOCK_SEQPACKET) as listener:
        telling = vm.guest.start(f"vsocktool tell --connect 2:{_PORT} {_OPTIONS}")
        with listener.accept() as program:
            [connection] = [known for known in stage.ctl.connections() if known["target"]["cid"] == 2]
            assert connection["type"] == "SEQPACKET"
            for message in messages(7, _COUNT, _MOST):
                assert program.socket.recv(_MOST + 1) == message
            assert program.socket.recv(1) == b""
        telling.succeed(10)


def test_messages_from_a_host_program(pair: list[Vm], stage: Stage) -> None:
    vm = pair[0]
    with vm.hybrid.listen(_PORT, socket.SOCK_SEQPACKET) as listener:
        hearing = vm.guest.start(f"vsocktool hear --connect 2:{_PORT} {_OPTIONS}")
        with listener.accept() as program:
            for message in messages(7, _COUNT, _MOST):
                assert program.socket.send(message) == len(message)
            program.finish_sending()
            hearing.succeed(60)
    wait_until("the connection to leave the list",
               lambda: all(known["state"] == "CLOSED" for known in stage.ctl.connections()), 10)


def test_a_listener_of_the_other_type_refuses_at_once(pair: list[Vm]) -> None:
    vm = pair[0]
    with vm.hybrid.listen(_PORT):
        refused = vm.guest.run(f"vsocktool refused --connect 2:{_PORT} --seqpacket")
    assert refused["errno"] == "ECONNRESET"
    with vm.hybrid.listen(_PORT, socket.SOCK_SEQPACKET):
        refused = vm.guest.run(f"vsocktool refused --connect 2:{_PORT}")
    assert refused["errno"] == "ECONNRESET"
