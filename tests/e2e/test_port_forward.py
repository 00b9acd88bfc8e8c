# SPDX-License-Identifier: Apache-2.0
"""Sockets of the host that are joined to ports of a real guest: the programs on both sides know of no handshake."""

import socket
import struct
import typing

import pytest

from harness.hybrid import HostStream
from harness.pattern import check, pattern
from harness.stage import Stage, Vm

_PORT = 5000
_HOST_CID = 2
_SIZE = 8 << 20
_SECONDS = 30

# PROXY protocol, version 2: its signature, and the TLVs that kinsock adds.
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_VSOCK_ADDRESSES = 0xE5
_VM_NAME = 0xE6
# What an address block has, by family and protocol.
_ADDRESS_BYTES = {0x11: 12, 0x21: 36, 0x31: 216}


@pytest.fixture(scope="module")
def booted(stage: Stage) -> Vm:
    return stage.boot("a")[0]


@pytest.fixture
def vm(booted: Vm) -> typing.Iterator[Vm]:
    yield booted
    booted.guest.quiet()


def _read(stream: HostStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = stream.socket.recv(size - len(data))
        assert more, f"ended after {len(data)} of {size} bytes"
        data += more
    return data


def _read_proxy_header(stream: HostStream) -> dict[int, bytes]:
    """The TLVs of the header that comes first; not a byte more is taken."""
    assert _read(stream, 12) == _SIGNATURE
    version_and_command, family, length = struct.unpack("!BBH", _read(stream, 4))
    assert version_and_command == 0x21
    rest = _read(stream, length)[_ADDRESS_BYTES[family]:]
    tlvs = {}
    while rest:
        kind, size = struct.unpack("!BH", rest[:3])
        tlvs[kind] = rest[3:3 + size]
        rest = rest[3 + size:]
    return tlvs


def test_a_unix_socket_of_the_host_is_a_port_of_the_guest(stage: Stage, vm: Vm) -> None:
    path = stage.scratch / "echo.sock"
    stage.ctl.text("forward", "create", "echo", f"{vm.name}:{_PORT}", "--listen", f"unix:{path}")
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_SECONDS)
    connection.connect(str(path))
    with HostStream(connection) as stream:
        sender = stream.send_in_background(pattern(81, _SIZE))
        check(stream.read_to_end(), 81, _SIZE)
        sender.join(10)
    status = stage.ctl.json("forward", "get", "echo")["status"]
    assert status["connects"] == "1"
    assert status["bytesToGuest"] == status["bytesToHost"] == str(_SIZE)
    stage.ctl.text("forward", "delete", "echo")
    assert not path.exists()


def test_a_tcp_port_of_the_host_is_where_a_guest_calls(stage: Stage, vm: Vm) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(_SECONDS)
        port = server.getsockname()[1]
        stage.ctl.text("forward", "create", "log", f"{vm.name}:514", "--target", f"tcp:127.0.0.1:{port}", "--proxy-v2")
        sending = vm.guest.start(f"vsocktool send --connect {_HOST_CID}:514 --bytes {_SIZE} --seed 82")
        with HostStream(server.accept()[0]) as stream:
            tlvs = _read_proxy_header(stream)
            check(stream.read_to_end(), 82, _SIZE)
        sending.succeed(_SECONDS)
    source, _, target, target_port = struct.unpack("!4I", tlvs[_VSOCK_ADDRESSES])
    assert (source, target, target_port) == (vm.cid, _HOST_CID, 514)
    assert tlvs[_VM_NAME] == f"vms/{vm.name}".encode()
    # Now nobody is there.
    refused = vm.guest.run(f"vsocktool refused --connect {_HOST_CID}:514")
    assert refused["errno"] == "ECONNRESET"
    status = stage.ctl.json("forward", "get", "log")["status"]
    assert status["refused"] == "1"
    assert status["lastRefusal"] == "NO_LISTENER"
