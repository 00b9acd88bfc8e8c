# SPDX-License-Identifier: Apache-2.0
"""The API shows the connections there are."""

import concurrent.futures
import typing

from harness.connections import between, bytes_between
from harness.deadline import wait_until
from harness.kinsockctl import Json
from harness.stage import Stage, Vm
from harness.traffic import flow

_PORT = 5000


def test_a_connection_is_listed_while_it_lives(pair: list[Vm], stage: Stage) -> None:
    a, b = pair
    assert between(stage.ctl, a, b) == []
    traffic = flow(a, b, _PORT)

    [connection] = between(stage.ctl, a, b)
    assert connection["initiator"]["vm"] == f"vms/{a.name}"
    assert connection["target"]["vm"] == f"vms/{b.name}"
    assert connection["target"]["port"] == _PORT
    assert connection["state"] == "ESTABLISHED"
    for way in ("toTarget", "toInitiator"):
        assert int(connection[way]["bytes"]) >= 1 << 20
    seen = bytes_between(stage.ctl, a, b)
    wait_until("the counters to grow", lambda: bytes_between(stage.ctl, a, b) > seen, 5)

    traffic.caller.kill()
    wait_until("the connection to leave the list", lambda: not between(stage.ctl, a, b), 10)


def test_a_host_programs_connection_names_the_vm(pair: list[Vm], stage: Stage) -> None:
    vm = pair[0]
    vm.guest.serve(f"vsocktool echo --listen {_PORT}")
    with vm.hybrid.dial(_PORT) as stream:
        stream.send(b"x")
        assert stream.socket.recv(1) == b"x"
        [connection] = [known for known in stage.ctl.connections() if known["target"].get("vm") == f"vms/{vm.name}"]
        assert connection["initiator"]["cid"] == 2
        assert connection["target"]["port"] == _PORT


def test_top_tells_a_program_who_moves_what(pair: list[Vm], stage: Stage) -> None:
    a, b = pair
    traffic = flow(a, b, _PORT)
    vms = {row["name"]: row for row in _top(stage, "vms")}
    assert vms[a.name]["state"] == vms[b.name]["state"] == "ACTIVE"
    assert vms[a.name]["transmitBytesPerSecond"] > 0
    assert vms[b.name]["receiveBytesPerSecond"] > 0
    [moving] = [row for row in _top(stage, "pairs") if row["name"] == f"{a.name} > {b.name}"]
    assert moving["connections"] == 1
    assert moving["transmitBytesPerSecond"] > 0
    traffic.caller.kill()


def _top(stage: Stage, what: str) -> list[Json]:
    sample = stage.ctl.json("top", what, "-n", "1", "--interval", "500ms")
    assert sample["what"] == what
    rows: list[Json] = sample["rows"]
    return rows


def test_bench_measures_two_guests_at_once(pair: list[Vm], stage: Stage) -> None:
    for vm in pair:
        vm.guest.serve(f"vsocktool echo --listen {_PORT}")

    def bench(vm: Vm) -> typing.Any:
        return stage.ctl.json("bench", vm.name, str(_PORT), "--time", "300ms", "--connections", "2", "--size", "1000")

    with concurrent.futures.ThreadPoolExecutor() as pool:
        reports = list(pool.map(bench, pair))
    for vm, report in zip(pair, reports):
        assert set(report) == {"vm", "port", "connections", "messageBytes", "roundTrips", "connects", "echoed"}
        assert (report["vm"], report["port"], report["connections"], report["messageBytes"]) == (
            f"vms/{vm.name}", _PORT, 2, 1000)
        for times in (report["roundTrips"], report["connects"]):
            assert set(times) == {"seconds", "perSecond", "count", "refused", "p50Us", "p99Us", "maxUs"}
            assert times["count"] > 0
            assert 0 < times["p50Us"] <= times["p99Us"] <= times["maxUs"]
            assert abs(times["perSecond"] * times["seconds"] - times["count"]) < 1
        assert set(report["echoed"]) == {"seconds", "perSecond", "bytes"}
        assert int(report["echoed"]["bytes"]) > 0, "64-bit numbers are strings"
