# SPDX-License-Identifier: Apache-2.0
"""The API shows the connections there are."""

from harness.connections import between, bytes_between
from harness.deadline import wait_until
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
