# SPDX-License-Identifier: Apache-2.0
"""VMs come and go while others talk."""

from harness.connections import bytes_between
from harness.deadline import wait_until
from harness.stage import Stage, Vm
from harness.traffic import Traffic, exchange, flow

_PORT = 5000


def assert_goes_on(stage: Stage, traffic: Traffic, one: Vm, other: Vm) -> None:
    before = bytes_between(stage.ctl, one, other)
    wait_until("the traffic to go on", lambda: bytes_between(stage.ctl, one, other) > before + (1 << 20), 10)
    assert traffic.running()


def test_a_third_vm_joins_talks_and_leaves(pair: list[Vm], stage: Stage) -> None:
    a, b = pair
    traffic = flow(a, b, _PORT)
    for name in ("c", "d"):
        [third] = stage.boot(name)
        exchange(a, third, _PORT + 1)
        exchange(third, b, _PORT + 1)
        assert_goes_on(stage, traffic, a, b)
        stage.ctl.delete(name, force=True)
        assert_goes_on(stage, traffic, a, b)


def test_fifty_vms_without_guests_come_and_go(pair: list[Vm], stage: Stage) -> None:
    a, b = pair
    traffic = flow(a, b, _PORT)
    names = [f"idle-{number}" for number in range(50)]
    cids = {stage.create(name)["status"]["cid"] for name in names}
    assert len(cids) == 50 and not cids & {a.cid, b.cid}
    for name in names:
        stage.ctl.delete(name)
    assert_goes_on(stage, traffic, a, b)
