# SPDX-License-Identifier: Apache-2.0
"""VMs that are given on the command line or in a file, as users of the existing vsock daemon write them."""

import typing

import pytest

from harness.daemon import Daemon
from harness.guest import Guest, qemu_vsock_arguments
from harness.hybrid import HybridSocket
from harness.scratch import Scratch

_PORT = 5000
_CIDS = {"a": 31, "b": 32, "stranger": 33}
_GROUPS = {"a": "one+two", "b": "two+three", "stranger": "four"}


def as_options(scratch: Scratch) -> list[str]:
    words = []
    for name, cid in _CIDS.items():
        words += ["--vm", f"guest-cid={cid},socket={scratch / name}.vhost,uds-path={scratch / name}.uds,"
                          f"groups={_GROUPS[name]}"]
    return words


def as_file(scratch: Scratch) -> list[str]:
    lines = ["vms:"]
    for name, cid in _CIDS.items():
        lines += [f"    - guest_cid: {cid}", f"      socket: {scratch / name}.vhost",
                  f"      uds_path: {scratch / name}.uds", "      tx_buffer_size: 65536", "      queue_size: 1024",
                  f"      groups: {_GROUPS[name]}"]
    (scratch / "vms.yaml").write_text("\n".join(lines) + "\n")
    return ["--config", str(scratch / "vms.yaml")]


@pytest.mark.parametrize("written", [as_options, as_file])
def test_guests_talk_as_their_groups_say(written: typing.Callable[[Scratch], list[str]]) -> None:
    with Scratch() as scratch, Daemon(scratch, *written(scratch)) as daemon:
        guests = {name: Guest(name, scratch, qemu_vsock_arguments(f"{scratch / name}.vhost")) for name in _CIDS}
        try:
            assert_connected_as_written(guests, scratch)
        finally:
            for guest in guests.values():
                guest.close()
        daemon.check_running()


def assert_connected_as_written(guests: dict[str, Guest], scratch: Scratch) -> None:
    for name, guest in guests.items():
        assert guest.wait_booted().cid() == _CIDS[name]
        guest.serve(f"vsocktool echo --listen {_PORT}")
    guests["a"].run(f"vsocktool visits --connect {_CIDS['b']}:{_PORT} --count 3 --bytes 100000")
    guests["b"].run(f"vsocktool visits --connect {_CIDS['a']}:{_PORT} --count 3 --bytes 100000")
    refused = guests["stranger"].run(f"vsocktool refused --connect {_CIDS['a']}:{_PORT}")
    assert refused["errno"] == "ECONNRESET"
    with HybridSocket(f"{scratch / 'a'}.uds").dial(_PORT) as stream:
        stream.send(b"from the host")
        stream.finish_sending()
        assert stream.read_to_end() == b"from the host"
