# SPDX-License-Identifier: Apache-2.0
"""A guest is reset in the middle of its traffic.

vhost-user cannot tell the reset of a guest from a pause until the guest's driver starts the rings afresh: only then do
the others learn of it.
"""

import pytest

from harness.hybrid import is_closed
from harness.stage import Stage, Vm
from harness.traffic import exchange, flow

_PORT = 5000


@pytest.mark.parametrize("rebooting", ["caller", "listener"])
def test_the_sibling_is_reset_and_may_come_back(pair: list[Vm], stage: Stage, rebooting: str) -> None:
    stays, reboots = pair
    if rebooting == "caller":
        traffic = flow(reboots, stays, _PORT)
        bereaved = traffic.listener
    else:
        traffic = flow(stays, reboots, _PORT)
        bereaved = traffic.caller

    reboots.guest.reboot()
    stage.ctl.wait(reboots.name, "ACTIVE")
    traffic.assert_cut(bereaved)
    assert reboots.guest.cid() == reboots.cid
    exchange(stays, reboots, _PORT)
    exchange(reboots, stays, _PORT)


def test_host_programs_see_the_end_and_may_come_back(pair: list[Vm], stage: Stage) -> None:
    vm = pair[0]
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    with vm.hybrid.dial(_PORT) as stream:
        stream.send(b"x")
        assert stream.socket.recv(1) == b"x"
        vm.guest.reboot()
        assert is_closed(stream.socket)

    stage.ctl.wait(vm.name, "ACTIVE")
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    vm.hybrid.dial(_PORT).close()


def test_ten_resets_while_it_boots_leave_a_working_device(pair: list[Vm], stage: Stage) -> None:
    stays, reboots = pair
    booted = reboots.guest.control.boots
    for _ in range(10):
        reboots.guest.qmp.command("system_reset")
    reboots.guest.wait_booted(booted + 1)
    stage.ctl.wait(reboots.name, "ACTIVE")
    exchange(stays, reboots, _PORT)
