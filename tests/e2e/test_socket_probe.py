# SPDX-License-Identifier: Apache-2.0
"""Whoever pokes at a VM's vhost-user socket harms nobody."""

import socket

import pytest

from harness.stage import Stage, Vm
from harness.traffic import exchange, flow

_PORT = 5000

# vhost-user: request, flags, size. GET_FEATURES is right; the others are not.
_GET_FEATURES = (1).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(4)
_UNKNOWN_REQUEST = (999).to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(4)
_HUGE_SIZE = (1).to_bytes(4, "little") + (1).to_bytes(4, "little") + (0xFFFFFFFF).to_bytes(4, "little")
_PROBES = {"nothing": b"", "half-a-header": _GET_FEATURES[:7], "a-question": _GET_FEATURES,
           "an-unknown-request": _UNKNOWN_REQUEST, "a-huge-size": _HUGE_SIZE, "noise": bytes(range(256)) * 16}


def probe(path: str, message: bytes) -> None:
    """Connects, says it, and hangs up. Being refused or cut off is fine."""
    with socket.socket(socket.AF_UNIX) as prober:
        try:
            prober.connect(path)
            prober.sendall(message)
        except (ConnectionError, BlockingIOError):
            pass


@pytest.mark.parametrize("message", _PROBES.values(), ids=_PROBES.keys())
def test_before_the_vmm_comes(own_stage: Stage, message: bytes) -> None:
    created = own_stage.create("probed")
    for _ in range(20):
        probe(created["status"]["vhostUserSocket"], message)
    own_stage.ctl.wait("probed", "LISTENING")
    vm = own_stage.launch(created)
    own_stage.await_active(vm)
    assert vm.guest.cid() == vm.cid


def test_while_the_guest_works(pair: list[Vm]) -> None:
    a, b = pair
    traffic = flow(a, b, _PORT)
    for message in _PROBES.values():
        for _ in range(20):
            probe(b.vhost_user_socket, message)
    assert traffic.running()
    exchange(b, a, _PORT + 1)


def test_a_silent_visitor_does_not_keep_the_vmm_out(own_stage: Stage) -> None:
    created = own_stage.create("visited")
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(created["status"]["vhostUserSocket"])
        vm = own_stage.launch(created)
        own_stage.await_active(vm)
        assert vm.guest.cid() == vm.cid
