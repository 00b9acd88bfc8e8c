# SPDX-License-Identifier: Apache-2.0
"""The programs in a guest are ready: it calls the host, it is probed, or it says so as systemd does."""

import pytest

from harness.kinsockctl import Json, Kinsockctl
from harness.stage import Stage, Vm

_PORT = 5000


def _guest_ready(ctl: Kinsockctl, vm: Vm) -> Json:
    [condition] = [known for known in ctl.vm(vm.name)["status"]["conditions"] if known["type"] == "GuestReady"]
    found: Json = condition
    return found


def _boot(stage: Stage, ready_when: str) -> Vm:
    [vm] = stage.boot("a", options=["--ready-when", ready_when])
    assert _guest_ready(stage.ctl, vm)["status"] == "FALSE"
    return vm


def test_the_guest_calls_a_port_of_the_host(own_stage: Stage) -> None:
    vm = _boot(own_stage, f"connects:{_PORT}")
    assert vm.guest.run(f"vsocktool refused --connect 2:{_PORT}")["errno"] == "ECONNRESET"
    own_stage.ctl.wait(vm.name, "GuestReady")
    vm.guest.reboot()
    own_stage.ctl.wait(vm.name, "GuestReady=false")


def test_a_program_in_the_guest_accepts(own_stage: Stage) -> None:
    vm = _boot(own_stage, f"probe:{_PORT}")
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    own_stage.ctl.wait(vm.name, "GuestReady")
    assert own_stage.ctl.connections() == []
    with vm.hybrid.dial(_PORT) as stream:  # it was not disturbed
        stream.send(b"x")
        assert stream.socket.recv(1) == b"x"


@pytest.mark.parametrize("kind", ["", "--seqpacket"], ids=["stream", "seqpacket"])
def test_the_guest_notifies(own_stage: Stage, kind: str) -> None:
    vm = _boot(own_stage, f"notify:{_PORT}")
    vm.guest.run(f"printf 'STATUS=booting' | vsocktool notify --connect 2:{_PORT} {kind}")
    vm.guest.run(f"printf 'READY=1\\nSTATUS=it is up\\n' | vsocktool notify --connect 2:{_PORT} {kind}")
    own_stage.ctl.wait(vm.name, "GuestReady")
    assert 'status "it is up"' in _guest_ready(own_stage.ctl, vm)["message"]
    vm.guest.pause()
    own_stage.ctl.wait(vm.name, "SUSPENDED")
    assert _guest_ready(own_stage.ctl, vm)["status"] == "UNKNOWN"
    vm.guest.resume()
    own_stage.ctl.wait(vm.name, "GuestReady")
