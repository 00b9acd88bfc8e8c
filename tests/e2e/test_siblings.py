# SPDX-License-Identifier: Apache-2.0
"""Two guests that share a group talk to each other over plain AF_VSOCK."""

import pytest

from harness.stage import Vm

_PORT = 5000
_SIZE = "64M"


def test_each_guest_knows_the_cid_that_the_api_says(pair: list[Vm]) -> None:
    for vm in pair:
        assert vm.guest.cid() == vm.cid


@pytest.mark.parametrize(("sender", "receiver"), [(0, 1), (1, 0)], ids=["a-to-b", "b-to-a"])
def test_a_large_stream_arrives_byte_for_byte(pair: list[Vm], sender: int, receiver: int) -> None:
    source, sink = pair[sender], pair[receiver]
    receiving = sink.guest.serve(f"vsocktool receive --listen {_PORT} --bytes {_SIZE} --seed 11 --sha256")
    sent = source.guest.run(f"vsocktool send --connect {sink.at(_PORT)} --bytes {_SIZE} --seed 11 --sha256", 120)
    received = receiving.succeed(10)
    assert received["verdict"] == "exact"
    assert received["sha256"] == sent["sha256"]
    assert int(received["bytes"]) == int(sent["bytes"]) == 64 << 20


def test_streams_in_both_directions_do_not_mix(pair: list[Vm]) -> None:
    a, b = pair
    one = b.guest.serve(f"vsocktool receive --listen {_PORT} --bytes 16M --seed 21")
    other = a.guest.serve(f"vsocktool receive --listen {_PORT} --bytes 16M --seed 22")
    senders = [a.guest.start(f"vsocktool send --connect {b.at(_PORT)} --bytes 16M --seed 21"),
               b.guest.start(f"vsocktool send --connect {a.at(_PORT)} --bytes 16M --seed 22")]
    for process in (*senders, one, other):
        process.succeed(120)


def test_two_hundred_short_connections(pair: list[Vm]) -> None:
    a, b = pair
    b.guest.serve(f"vsocktool echo --listen {_PORT}")
    visited = a.guest.run(f"vsocktool visits --connect {b.at(_PORT)} --count 200 --bytes 1000", 60)
    assert visited["count"] == "200"


def test_thirty_two_connections_at_once(pair: list[Vm]) -> None:
    a, b = pair
    b.guest.serve(f"vsocktool echo --listen {_PORT}")
    crowded = a.guest.run(f"vsocktool crowd --connect {b.at(_PORT)} --count 32 --bytes 1M", 120)
    assert crowded["count"] == "32"


@pytest.mark.parametrize(("asker", "teller"), [(0, 1), (1, 0)], ids=["a-asks", "b-asks"])
def test_a_half_closed_stream_still_carries_the_answer(pair: list[Vm], asker: int, teller: int) -> None:
    answering = pair[teller].guest.serve(f"vsocktool answer --listen {_PORT} --bytes 1M --seed 31")
    question = f"vsocktool ask --connect {pair[teller].at(_PORT)} --bytes 1M --seed 31"
    assert pair[asker].guest.run(question)["bytes"] == str(1 << 20)
    answering.succeed(10)


def test_the_accepting_side_may_finish_first(pair: list[Vm]) -> None:
    a, b = pair
    asking = b.guest.serve(f"vsocktool ask --listen {_PORT} --bytes 1M --seed 41")
    a.guest.run(f"vsocktool answer --connect {b.at(_PORT)} --bytes 1M --seed 41")
    asking.succeed(10)
