# SPDX-License-Identifier: Apache-2.0
"""Host programs and guests talk through AF_UNIX sockets, with the protocol that Firecracker introduced."""

import typing

import pytest

from harness.hybrid import NotConnected, is_closed
from harness.pattern import check, pattern, sha256
from harness.stage import Stage, Vm

_PORT = 5000
_UNUSED_PORT = 5999
_HOST_CID = 2
_MIB = 1 << 20
_LARGE = 64 * _MIB


@pytest.fixture(scope="module")
def booted(stage: Stage) -> Vm:
    return stage.boot("a")[0]


@pytest.fixture
def vm(booted: Vm) -> typing.Iterator[Vm]:
    yield booted
    booted.guest.quiet()


def test_the_host_reaches_a_guest_port(vm: Vm) -> None:
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    with vm.hybrid.dial(_PORT) as stream:
        stream.send(b"who is there?")
        stream.finish_sending()
        assert stream.read_to_end() == b"who is there?"


def test_the_command_may_be_in_lower_case(vm: Vm) -> None:
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    with vm.hybrid.dial(_PORT, verb="connect") as stream:
        stream.finish_sending()
        assert stream.read_to_end() == b""


def test_bytes_behind_the_command_in_the_same_write_are_the_streams_first(vm: Vm) -> None:
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    with vm.hybrid.dial(_PORT, early=b"early and ") as stream:
        stream.send(b"late")
        stream.finish_sending()
        assert stream.read_to_end() == b"early and late"


def test_the_command_may_come_in_pieces(vm: Vm) -> None:
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    with vm.hybrid.open() as connection:
        for byte in f"CONNECT {_PORT}\n".encode():
            connection.sendall(bytes([byte]))
        assert connection.recv(3) == b"OK "


def test_a_guest_port_on_which_nobody_listens_closes_the_socket(vm: Vm) -> None:
    with pytest.raises(NotConnected):
        vm.hybrid.dial(_UNUSED_PORT)


_NONSENSE = {"another-verb": b"HELLO 5000\n", "no-port": b"CONNECT\n", "negative": b"CONNECT -1\n",
             "too-large": b"CONNECT 4294967296\n", "hexadecimal": b"CONNECT 0x10\n", "empty-line": b"\n",
             "zeros": bytes(64), "no-end": b"CONNECT 5000" + b" " * 64}


@pytest.mark.parametrize("nonsense", _NONSENSE.values(), ids=_NONSENSE.keys())
def test_what_is_no_command_closes_the_socket(vm: Vm, nonsense: bytes) -> None:
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    with vm.hybrid.open() as connection:
        connection.sendall(nonsense)
        assert is_closed(connection)
    vm.hybrid.dial(_PORT).close()


def test_an_end_before_the_newline_is_no_command(vm: Vm) -> None:
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    with vm.hybrid.open() as connection:
        connection.sendall(f"CONNECT {_PORT}".encode())
        connection.shutdown(1)
        assert is_closed(connection)


def test_a_large_stream_from_host_to_guest(vm: Vm) -> None:
    receiving = vm.guest.serve(f"vsocktool receive --listen {_PORT} --bytes {_LARGE} --seed 51 --sha256")
    data = pattern(51, _LARGE)
    with vm.hybrid.dial(_PORT) as stream:
        stream.send(data)
        stream.finish_sending()
        received = receiving.succeed(120)
    assert received["verdict"] == "exact"
    assert received["sha256"] == sha256(data)


def test_a_large_stream_from_guest_to_host(vm: Vm) -> None:
    with vm.hybrid.listen(_PORT) as listener:
        sending = vm.guest.start(f"vsocktool send --connect {_HOST_CID}:{_PORT} --bytes {_LARGE} --seed 52 --sha256")
        with listener.accept() as stream:
            data = stream.read_to_end()
    check(data, 52, _LARGE)
    assert sending.succeed(30)["sha256"] == sha256(data)


def test_large_streams_both_ways_on_one_connection(vm: Vm) -> None:
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    with vm.hybrid.dial(_PORT) as stream:
        sender = stream.send_in_background(pattern(53, _LARGE))
        check(stream.read_to_end(), 53, _LARGE)
        sender.join(10)
        assert not sender.is_alive()


def test_the_host_half_closes_and_still_gets_the_answer(vm: Vm) -> None:
    vm.guest.serve(f"vsocktool answer --listen {_PORT} --bytes {_MIB} --seed 61")
    with vm.hybrid.dial(_PORT) as stream:
        stream.send(pattern(61, _MIB))
        stream.finish_sending()
        check(stream.read_to_end(), 62, _MIB)


def test_the_guest_half_closes_and_still_gets_the_answer(vm: Vm) -> None:
    with vm.hybrid.listen(_PORT) as listener:
        asking = vm.guest.start(f"vsocktool ask --connect {_HOST_CID}:{_PORT} --bytes {_MIB} --seed 71")
        with listener.accept() as stream:
            check(stream.read_to_end(), 71, _MIB)
            stream.send(pattern(72, _MIB))
    asking.succeed(10)


def test_without_a_host_listener_the_guest_is_reset(vm: Vm) -> None:
    refused = vm.guest.run(f"vsocktool refused --connect {_HOST_CID}:{_UNUSED_PORT}")
    assert refused["errno"] == "ECONNRESET"
    assert refused.number("ms") < 1000


def test_a_host_program_that_goes_away_is_seen_by_the_guest(vm: Vm) -> None:
    with vm.hybrid.listen(_PORT) as listener:
        holding = vm.guest.start(f"vsocktool hold --connect {_HOST_CID}:{_PORT}")
        with listener.accept() as stream:
            stream.socket.recv(_MIB)
    assert holding.await_report("ended", 10)["send_errno"] in ("ECONNRESET", "EPIPE")


def test_fifty_host_programs_at_once(vm: Vm) -> None:
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    streams = [vm.hybrid.dial(_PORT) for _ in range(50)]
    for number, stream in enumerate(streams):
        stream.send(f"program {number}".encode())
        stream.finish_sending()
    for number, stream in enumerate(streams):
        with stream:
            assert stream.read_to_end() == f"program {number}".encode()
