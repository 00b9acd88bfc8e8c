# SPDX-License-Identifier: Apache-2.0
"""A VM gets another CID while its guest runs. QEMU keeps the event queue: the guest learns of it when its driver is loaded."""

from harness.stage import Stage, Vm
from harness.traffic import exchange, flow
from test_driver_reload import _DRIVER, device_of

_PORT = 5000


def test_the_guest_has_it_after_its_driver_was_loaded_anew(pair: list[Vm], stage: Stage) -> None:
    stays, moves = pair
    former = moves.cid
    traffic = flow(stays, moves, _PORT)
    stage.ctl.run("vm", "reset", moves.name, "--new-cid", "4711")
    traffic.assert_cut(traffic.caller)
    stays.guest.quiet()
    moves.guest.quiet()

    # The guest does not know of it: whom it calls is not reached, and its program need not wait to hear that.
    assert moves.guest.cid() == former
    status = stage.ctl.json("vm", "get", moves.name)["status"]
    assert (status["cid"], status["driverCid"]) == (4711, former)
    report = moves.guest.run(f"vsocktool refused --connect {stays.cid}:{_PORT}")
    assert report["errno"] == "ECONNRESET"
    assert int(report["ms"]) < 1000

    device = device_of(moves)
    moves.guest.run(f"echo {device} > {_DRIVER}/unbind")
    moves.guest.run(f"echo {device} > {_DRIVER}/bind")
    stage.ctl.wait(moves.name, "ACTIVE")
    assert moves.guest.cid() == 4711
    stage.ctl.run("vm", "wait", moves.name, "--for=Degraded=false")
    moves.cid = 4711
    exchange(stays, moves, _PORT)
    exchange(moves, stays, _PORT)


def test_the_guest_has_it_after_a_reboot(pair: list[Vm], stage: Stage) -> None:
    stays, moves = pair
    stage.ctl.run("vm", "reset", moves.name, "--new-cid", "4711")
    moves.guest.reboot()
    stage.ctl.wait(moves.name, "ACTIVE")
    assert moves.guest.cid() == 4711
    moves.cid = 4711
    exchange(stays, moves, _PORT)
    exchange(moves, stays, _PORT)
