# SPDX-License-Identifier: Apache-2.0
"""The guest takes its driver off the device and puts it back."""

from harness.driver import MODULE, bind, device_of, unbind
from harness.stage import Stage, Vm
from harness.traffic import exchange, flow

_PORT = 5000


def test_unbind_and_bind(pair: list[Vm], stage: Stage) -> None:
    a, b = pair
    device = device_of(b.guest)
    for _ in range(5):
        unbind(b.guest, device)
        stage.ctl.wait(b.name, "SUSPENDED")  # to the daemon it looks like a pause
        bind(b.guest, device)
        stage.ctl.wait(b.name, "ACTIVE")
        exchange(a, b, _PORT)
        exchange(b, a, _PORT)


def test_remove_and_load_the_module(pair: list[Vm], stage: Stage) -> None:
    a, b = pair
    for _ in range(3):
        b.guest.run(f"rmmod {MODULE}")
        b.guest.run(f"modprobe {MODULE}")
        stage.ctl.wait(b.name, "ACTIVE")
        exchange(a, b, _PORT)
        exchange(b, a, _PORT)


def test_unbind_in_the_middle_of_traffic_resets_the_sibling(pair: list[Vm], stage: Stage) -> None:
    a, b = pair
    device = device_of(b.guest)
    traffic = flow(a, b, _PORT)
    unbind(b.guest, device)
    b.guest.quiet()
    bind(b.guest, device)
    stage.ctl.wait(b.name, "ACTIVE")
    traffic.assert_cut(traffic.caller)
    exchange(a, b, _PORT)
