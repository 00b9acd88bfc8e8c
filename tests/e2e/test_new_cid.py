# SPDX-License-Identifier: Apache-2.0
"""A VM gets another CID while its guest runs. QEMU keeps the event queue: the guest learns of it when its driver is loaded."""

from harness.driver import bind, device_of, unbind
from harness.stage import Stage, Vm
from harness.traffic import exchange, flow

_PORT = 5000


def test_the_guest_has_it_after_its_driver_was_loaded_anew(pair: list[Vm], stage: Stage) -> None:
    stays, moves = pair
    former = moves.cid
    traffic = flow(stays, moves, _PORT)
    stage.ctl.text("vm", "reset", moves.name, "--new-cid", "4711")
    traffic.assert_cut(traffic.caller)
    stays.guest.quiet()
    moves.guest.quiet()

    # The guest does not know of it: whom it calls is not reached, and its program need not wait to hear that.
    assert moves.guest.cid() == former
    status = stage.ctl.vm(moves.name)["status"]
    assert (status["cid"], status["driverCid"]) == (4711, former)
    report = moves.guest.run(f"vsocktool refused --connect {stays.cid}:{_PORT}")
    assert report["errno"] == "ECONNRESET"
    assert int(report["ms"]) < 1000

    device = device_of(moves.guest)
    unbind(moves.guest, device)
    bind(moves.guest, device)
    stage.ctl.wait(moves.name, "ACTIVE")
    assert moves.guest.cid() == 4711
    stage.ctl.text("vm", "wait", moves.name, "--for=Degraded=false")
    moves.cid = 4711
    exchange(stays, moves, _PORT)
    exchange(moves, stays, _PORT)


def test_the_guest_has_it_after_a_reboot(pair: list[Vm], stage: Stage) -> None:
    stays, moves = pair
    stage.ctl.text("vm", "reset", moves.name, "--new-cid", "4711")
    moves.guest.reboot()
    stage.ctl.wait(moves.name, "ACTIVE")
    assert moves.guest.cid() == 4711
    moves.cid = 4711
    exchange(stays, moves, _PORT)
    exchange(moves, stays, _PORT)
