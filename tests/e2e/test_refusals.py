# SPDX-License-Identifier: Apache-2.0
"""What a guest may not reach it is told at once, by a reset."""

import typing

import pytest

from harness.guest import Guest
from harness.stage import Stage, Vm

_PORT = 5000
_UNUSED_PORT = 5999
_UNKNOWN_CID = 77_777

# Without an answer a guest gives up after two seconds: a faster failure was a reset.
_AT_ONCE_MS = 1000


@pytest.fixture(scope="module")
def strangers(stage: Stage) -> list[Vm]:
    """Two VMs that share no group."""
    created = [stage.create("red", "--groups", "red,shade"), stage.create("blue", "--groups", "blue,tint")]
    vms = [stage.launch(vm) for vm in created]
    stage.await_active(*vms)
    return vms


@pytest.fixture(autouse=True)
def quiet(strangers: list[Vm]) -> typing.Iterator[None]:
    yield
    for vm in strangers:
        vm.guest.quiet()


def assert_reset_at_once(guest: Guest, to: str) -> None:
    refused = guest.run(f"vsocktool refused --connect {to}")
    assert refused["errno"] == "ECONNRESET"
    assert refused.number("ms") < _AT_ONCE_MS


def test_a_cid_that_nobody_has(strangers: list[Vm]) -> None:
    assert_reset_at_once(strangers[0].guest, f"{_UNKNOWN_CID}:{_PORT}")


@pytest.mark.parametrize(("caller", "called"), [(0, 1), (1, 0)], ids=["red-to-blue", "blue-to-red"])
def test_a_vm_without_a_shared_group(strangers: list[Vm], caller: int, called: int) -> None:
    listener = strangers[called].guest.serve(f"vsocktool receive --listen {_PORT} --bytes 0")
    assert_reset_at_once(strangers[caller].guest, strangers[called].at(_PORT))
    assert "accepted" not in listener.out


def test_a_host_port_on_which_nobody_listens(strangers: list[Vm]) -> None:
    assert_reset_at_once(strangers[0].guest, f"2:{_UNUSED_PORT}")


def test_a_port_of_a_sibling_on_which_nobody_listens(stage: Stage, strangers: list[Vm]) -> None:
    red = strangers[0]
    [relative] = stage.boot("relative", options=["--groups", "red"])
    assert_reset_at_once(red.guest, relative.at(_UNUSED_PORT))
    assert_reset_at_once(relative.guest, red.at(_UNUSED_PORT))
    relative.guest.serve(f"vsocktool echo --listen {_PORT}")
    red.guest.run(f"vsocktool visits --connect {relative.at(_PORT)} --count 1 --bytes 1000")


def test_a_vm_that_exists_but_has_no_guest_yet(stage: Stage, strangers: list[Vm]) -> None:
    waiting = stage.create("waiting", "--groups", "red")
    assert_reset_at_once(strangers[0].guest, f"{waiting['status']['cid']}:{_PORT}")
