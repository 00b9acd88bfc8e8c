# SPDX-License-Identifier: Apache-2.0
"""What keeps two ends apart is found out with `kinsockctl explain` alone, and what it says helps."""

import os
import socket
import subprocess
import typing

import pytest

from harness import programs, ssh
from harness.deadline import wait_until
from harness.explain import Newcomer
from harness.stage import Stage, Vm

_PORT = 5000
_HOST_PORT = 9000
_HOST = 2


@pytest.fixture(scope="module")
def booted(stage: Stage) -> list[Vm]:
    """Two guests that have the programs which explain names: socat, ss."""
    return stage.boot("web", "db", initrd=ssh.initrd(stage.scratch))


@pytest.fixture
def vms(stage: Stage, booted: list[Vm]) -> typing.Iterator[list[Vm]]:
    yield booted
    for vm in booted:
        vm.guest.quiet()


@pytest.fixture
def newcomer(stage: Stage, vms: list[Vm]) -> Newcomer:
    return Newcomer(stage, *vms)


def _is_refused(vm: Vm, to: str) -> str:
    """A program in the guest fails. Returns what it is told."""
    return vm.guest.run(f"vsocktool refused --connect {to}")["errno"]


def _await_connection(stage: Stage, port: int) -> None:
    def there() -> bool:
        return any(connection["target"]["port"] == port for connection in stage.ctl.connections())

    wait_until(f"a connection to port {port}", there, 10)


def _visit(vm: Vm, to: str) -> None:
    vm.guest.run(f"vsocktool visits --connect {to} --count 1 --bytes 1000")


def test_a_name_that_is_mistyped(newcomer: Newcomer) -> None:
    found = newcomer.hears("wbe", f"db:{_PORT}", "VM_NOT_FOUND", 3, "there is no VM wbe; did you mean web?")
    assert found.lines() == [f"kinsockctl explain web db:{_PORT}"]
    [answer] = newcomer.obeys(found)
    assert "nothing that the daemon knows stands in the way" in answer


def test_a_vm_that_was_deleted(stage: Stage, newcomer: Newcomer) -> None:
    cid = stage.create("gone")["status"]["cid"]
    stage.ctl.delete("gone")
    by_name = newcomer.hears("web", f"gone:{_PORT}", "VM_DELETED", 3, f"it was deleted, and its CID {cid} of")
    found = newcomer.hears("web", f"{cid}:{_PORT}", "CID_QUARANTINED", 3, f"nobody in networks/default has CID {cid}",
                           "gone had it and was deleted; it rests until")
    assert found.next == by_name.next
    newcomer.obeys(found)
    assert stage.ctl.vm("gone")["status"]["cid"] == cid
    newcomer.hears("web", f"{cid}:{_PORT}", "NO_VMM", 4)
    stage.ctl.delete("gone")


def test_no_vmm(stage: Stage, newcomer: Newcomer) -> None:
    stage.create("idle")
    found = newcomer.hears("host", f"idle:{_PORT}", "NO_VMM", 4, "[-] idle: no VMM is connected to its device")
    [arguments] = newcomer.obeys(found)
    assert "vhost-user-vsock-pci" in arguments
    stage.ctl.delete("idle")


def test_a_guest_whose_driver_is_not_loaded(newcomer: Newcomer, vms: list[Vm]) -> None:
    web, db = vms
    db.guest.run("rmmod vmw_vsock_virtio_transport")
    found = newcomer.hears("web", f"db:{_PORT}", "SUSPENDED", 4, "or has unloaded the vsock driver")
    assert _is_refused(web, db.at(_PORT)) in ("ECONNRESET", "ETIMEDOUT")
    db.guest.run("modprobe vmw_vsock_virtio_transport")
    newcomer.obeys(found)  # waits for it
    db.guest.serve(f"vsocktool echo --listen {_PORT}")
    _visit(web, db.at(_PORT))


def test_two_networks(stage: Stage, newcomer: Newcomer) -> None:
    stage.ctl.text("net", "create", "lab")
    stage.create("stray", "--net", "lab")
    found = newcomer.hears("web", f"stray:{_PORT}", "OTHER_NETWORK", 4,
                           "nobody in networks/default has an address in networks/lab")
    newcomer.obeys(found)  # makes it anew
    assert stage.ctl.vm("stray")["spec"]["network"] == "networks/default"
    stage.ctl.delete("stray")
    stage.ctl.text("net", "delete", "lab")


def test_a_policy_that_denies(stage: Stage, newcomer: Newcomer, vms: list[Vm]) -> None:
    web, db = vms
    stage.ctl.text("policy", "create", "closed", "--deny", "--to", "db")
    db.guest.serve(f"vsocktool echo --listen {_PORT}")
    assert _is_refused(web, db.at(_PORT)) == "ECONNRESET"
    found = newcomer.hears("web", f"db:{_PORT}", "POLICY_DENIED", 5, "denied by networks/default/policies/closed")
    [policy] = newcomer.obeys(found)
    assert "closed" in policy and "deny" in policy.lower()
    stage.ctl.text("policy", "delete", "closed")
    # The refusal is still remembered, and does not mislead.
    found = newcomer.hears("web", f"db:{_PORT}", "", 0, "that is not so any more")
    assert found.next == [("web", f"socat - VSOCK-CONNECT:{db.at(_PORT)}")]
    newcomer.obeys(found)
    newcomer.asks("web", f"db:{_PORT}")


def test_no_group_in_common(stage: Stage, newcomer: Newcomer, vms: list[Vm]) -> None:
    web, db = vms
    stage.ctl.text("vm", "set", "db", "--groups", "data")
    found = newcomer.hears("web", f"db:{_PORT}", "NO_SHARED_GROUP", 5, "web is in default, db in data")
    newcomer.obeys(found)
    db.guest.serve(f"vsocktool echo --listen {_PORT}")
    _visit(web, db.at(_PORT))
    for vm in ("web", "db"):
        stage.ctl.text("vm", "set", vm, "--groups", "default")


def test_nobody_listens_in_the_guest(stage: Stage, newcomer: Newcomer, vms: list[Vm]) -> None:
    web, db = vms
    assert _is_refused(web, db.at(5999)) == "ECONNRESET"
    found = newcomer.hears("web", "db:5999", "GUEST_RST", 4, " s ago, failed: the guest said no: nobody listens there")
    [listeners] = newcomer.obeys(found)
    assert ":5999" not in listeners
    db.guest.serve("vsocktool echo --listen 5999")
    [listeners] = newcomer.obeys(found)
    assert ":5999" in listeners
    _visit(web, db.at(5999))
    assert newcomer.asks("web", "db:5999").status == 0


def test_no_program_of_the_host_listens(stage: Stage, newcomer: Newcomer, vms: list[Vm]) -> None:
    web, _ = vms
    assert _is_refused(web, f"{_HOST}:{_HOST_PORT}") == "ECONNRESET"
    found = newcomer.hears("web", f"host:{_HOST_PORT}", "NO_LISTENER", 4,
                           f"no program of the host listens: {web.hybrid.path}_{_HOST_PORT} is not there")
    assert found.lines() == [f"kinsockctl listen web {_HOST_PORT}"]
    calling = web.guest.start(f"while ! echo kin | socat -u - VSOCK-CONNECT:{_HOST}:{_HOST_PORT}; do :; done")
    assert newcomer.obeys(found) == ["kin\n"]
    calling.wait(30)


def test_a_program_of_the_host_that_does_not_accept(stage: Stage, newcomer: Newcomer, vms: list[Vm]) -> None:
    web, _ = vms
    path = f"{web.hybrid.path}_{_HOST_PORT + 1}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = web.guest.start(f"socat -u VSOCK-CONNECT:{_HOST}:{_HOST_PORT + 1} -")
        _await_connection(stage, _HOST_PORT + 1)
        assert _is_refused(web, f"{_HOST}:{_HOST_PORT + 1}") == "ECONNRESET"
        found = newcomer.hears("web", f"host:{_HOST_PORT + 1}", "BACKLOG_FULL", 4,
                               "had as many callers waiting as its backlog takes")
        [listeners] = newcomer.obeys(found)
        assert path in listeners
        waiting.kill()
    os.unlink(path)


def test_a_vm_that_is_drained(stage: Stage, newcomer: Newcomer, vms: list[Vm]) -> None:
    web, db = vms
    stage.ctl.text("vm", "drain", "db")
    assert _is_refused(web, db.at(_PORT)) == "ECONNRESET"
    found = newcomer.hears("web", f"db:{_PORT}", "DRAINED", 4, "db: it is drained and takes no new connections")
    newcomer.obeys(found)
    db.guest.serve(f"vsocktool echo --listen {_PORT}")
    _visit(web, db.at(_PORT))


def test_too_many_connections(stage: Stage, newcomer: Newcomer, vms: list[Vm]) -> None:
    web, db = vms
    stage.ctl.text("vm", "set", "db", "--quota", "max_connections=1")
    db.guest.serve(f"vsocktool echo --listen {_PORT}")
    holding = web.guest.start(f"sleep 600 | socat - VSOCK-CONNECT:{db.at(_PORT)}")
    _await_connection(stage, _PORT)
    assert _is_refused(web, db.at(_PORT)) == "ECONNRESET"
    found = newcomer.hears("web", f"db:{_PORT}", "QUOTA", 1, "quota.max_connections of db, 1")
    newcomer.obeys(found)
    _visit(web, db.at(_PORT))
    holding.kill()
    stage.ctl.text("vm", "set", "db", "--quota", "max_connections=0")


def test_a_guest_that_goes_by_its_former_cid(stage: Stage, newcomer: Newcomer, vms: list[Vm]) -> None:
    web, db = vms
    former = db.cid
    stage.ctl.text("vm", "reset", "db", "--new-cid", "4711")
    db.cid = 4711
    found = newcomer.hears("web", f"{former}:{_PORT}", "CID_MOVED", 3, "db had it, and was given 4711")
    assert found.lines() == [f"kinsockctl explain web db:{_PORT}"]
    found = newcomer.hears("web", f"db:{_PORT}", "FORMER_CID", 4, f"goes by CID {former} still, not by 4711")
    newcomer.obeys(found)
    stage.ctl.wait("db", "ACTIVE")
    assert db.guest.cid() == 4711
    db.guest.serve(f"vsocktool echo --listen {_PORT}")
    _visit(web, db.at(_PORT))
    assert newcomer.asks("web", f"db:{_PORT}").status == 0


def test_a_socket_that_one_may_not_connect_to(newcomer: Newcomer, vms: list[Vm]) -> None:
    _, db = vms
    # root may always, unless it has given that right up.
    mortal = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    db.hybrid.path.chmod(0)
    found = newcomer.asks("host", f"db:{_PORT}", wrapper=mortal)
    db.hybrid.path.chmod(0o660)
    assert (found.reason, found.status) == ("NO_PERMISSION", 5), found.text
    assert f"you may not connect to {db.hybrid.path}: it belongs to" in found.cause
    assert found.cause.endswith("mode 0000")
    db.guest.serve(f"vsocktool echo --listen {_PORT}")
    newcomer.obeys(found)


def test_a_guest_that_has_loaded_vhost_vsock(stage: Stage, newcomer: Newcomer, vms: list[Vm]) -> None:
    web, db = vms
    port = 5001  # that nobody has called lately
    db.guest.serve(f"vsocktool echo --listen {port}")
    web.guest.run("modprobe vhost_vsock")
    error = _is_refused(web, db.at(port))
    found = newcomer.hears("web", f"db:{port}", "", 0, "VMADDR_FLAG_TO_HOST", "[?] nothing has come from web for CID")
    assert error == "ENODEV", "its kernel has looked for such a guest of its own"
    where, line = found.next[0]
    assert (where, line) == ("web", "lsmod | grep vhost_vsock")
    assert "vhost_vsock" in web.guest.start(line).wait(10).out
    web.guest.run("rmmod vhost_vsock")
    _visit(web, db.at(port))
    assert newcomer.asks("web", f"db:{port}").status == 0


def test_what_is_not_of_the_form_is_a_usage_error(stage: Stage) -> None:
    for target in ("db", "db:", ":80", "db:4294967295", "db:x"):
        done = subprocess.run([str(programs.kinsockctl()), "explain", "web", target], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 2 and "VM:PORT" in done.stderr
