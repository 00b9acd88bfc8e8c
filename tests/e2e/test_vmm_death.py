# SPDX-License-Identifier: Apache-2.0
"""A VMM is killed in the middle of its guest's traffic."""

import pathlib

from harness.deadline import wait_until
from harness.hybrid import is_closed
from harness.stage import Stage, Vm
from harness.traffic import PROMPT_SECONDS, exchange, flow

_PORT = 5000
_DEATHS = 3


def guest_memory_maps(pid: int) -> int:
    return pathlib.Path(f"/proc/{pid}/maps").read_text().count("memfd:")


def open_files(pid: int) -> int:
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def test_the_sibling_is_reset_and_a_new_vmm_takes_the_place(own_stage: Stage) -> None:
    survivor, victim = own_stage.boot("survivor", "victim")
    daemon = own_stage.daemon.pid
    maps, files = guest_memory_maps(daemon), open_files(daemon)

    for _ in range(_DEATHS):
        traffic = flow(survivor, victim, _PORT)
        victim.guest.kill()
        traffic.assert_cut(traffic.caller)
        own_stage.ctl.wait(victim.name, "LISTENING")
        wait_until("the dead guest's memory to be let go", lambda: guest_memory_maps(daemon) < maps, PROMPT_SECONDS)

        own_stage.relaunch(victim)
        own_stage.await_active(victim)
        assert victim.guest.cid() == victim.cid
        exchange(survivor, victim, _PORT)
        exchange(victim, survivor, _PORT)

    wait_until("as many open files and mappings as before",
               lambda: (guest_memory_maps(daemon), open_files(daemon)) == (maps, files), PROMPT_SECONDS)


def test_host_programs_see_the_end(own_stage: Stage) -> None:
    [victim] = own_stage.boot("victim")
    victim.guest.serve(f"vsocktool echo --listen {_PORT}")
    with victim.hybrid.dial(_PORT) as stream:
        victim.guest.kill()
        assert is_closed(stream.socket)


def test_a_new_connection_to_the_dead_is_reset(own_stage: Stage) -> None:
    survivor, victim = own_stage.boot("survivor", "victim")
    victim.guest.kill()
    own_stage.ctl.wait(victim.name, "LISTENING")
    assert_refused(survivor, victim)


def assert_refused(caller: Vm, called: Vm) -> None:
    refused = caller.guest.run(f"vsocktool refused --connect {called.at(_PORT)}")
    assert refused["errno"] == "ECONNRESET"
    assert refused.number("ms") < 1000
