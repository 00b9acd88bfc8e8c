# SPDX-License-Identifier: Apache-2.0
"""The operator of examples/go against a daemon that has VMs of others, is edited by hand, breaks off and crashes."""

import contextlib
import pathlib
import typing

import pytest

from harness.daemon import Daemon
from harness.go_operator import Operator, build
from harness.kinsockctl import Kinsockctl, Refused
from harness.relay import Relay
from harness.scratch import Scratch


@pytest.fixture(name="program", scope="module")
def make_program(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return build(tmp_path_factory.mktemp("example"))


class Node:
    """A machine with a daemon that keeps its state, and an operator that reaches it through a relay."""

    def __init__(self, program: pathlib.Path, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self.scratch = stack.enter_context(Scratch())
        (self.scratch / "state").mkdir()
        self.daemon = self._start_daemon()
        self.relay = Relay(self.scratch / "relay.sock", self.daemon.api_socket)
        stack.callback(self.relay.close)
        self.operator = Operator(program, self.scratch, self.relay.path)
        stack.callback(self._stop_operator)

    @property
    def ctl(self) -> Kinsockctl:
        return self.daemon.ctl

    def crash_and_restart(self) -> None:
        self.daemon.crash()
        self.daemon = self._start_daemon()

    def uids(self) -> dict[str, str]:
        return {vm["name"]: vm["uid"] for vm in self.ctl.vms()}

    def await_groups(self, name: str, groups: list[str]) -> None:
        def so() -> bool:
            try:
                return bool(self.ctl.vm(name)["spec"].get("groups") == groups)
            except Refused:
                return False

        self.operator.await_that(f"{name} to be in {groups}", so)

    def await_names(self, *names: str) -> None:
        wanted = {f"vms/{name}" for name in names}
        self.operator.await_that(f"the VMs to be {wanted}", lambda: set(self.uids()) == wanted)

    def _start_daemon(self) -> Daemon:
        return self._stack.enter_context(Daemon(self.scratch, "--state-dir", str(self.scratch / "state")))

    def _stop_operator(self) -> None:
        assert self.operator.stop() == 0, self.operator.log()


@pytest.fixture(name="node")
def make_node(program: pathlib.Path) -> typing.Iterator[Node]:
    with contextlib.ExitStack() as stack:
        node = Node(program, stack)
        yield node
        node.daemon.check_running()


def test_it_makes_what_is_desired_and_deletes_only_its_own(node: Node) -> None:
    node.ctl.create("theirs")
    node.operator.want("web", spec={"cid": {"static_cid": 42}, "groups": ["front"]}, labels={"tier": "web"})
    node.operator.want("db")
    node.await_names("theirs", "web", "db")
    web = node.ctl.vm("web")
    assert web["labels"] == {"tier": "web", "kinsock.example/owner": "test"}
    assert web["status"]["cid"] == 42

    node.operator.want_no_more("web")
    node.await_names("theirs", "db")


def test_it_leaves_a_vm_alone_whose_name_somebody_else_has_taken(node: Node) -> None:
    theirs = node.ctl.create("web", "--groups", "theirs")
    node.operator.want("web", spec={"groups": ["ours"]})
    node.operator.await_log("not done.* vm=web reason=VM_EXISTS", times=2)
    assert node.ctl.vm("web")["uid"] == theirs["uid"]
    node.operator.want_no_more("web")
    node.operator.want("db")
    node.await_names("web", "db")

    node.ctl.delete("web")
    node.operator.want("web", spec={"groups": ["ours"]})
    node.await_groups("web", ["ours"])


def test_it_repairs_what_is_edited_by_hand(node: Node) -> None:
    node.operator.want("web", spec={"groups": ["front"]})
    node.await_groups("web", ["front"])

    node.ctl.text("vm", "set", "web", "--groups", "edited")
    node.operator.await_log("applied vm=web")
    node.await_groups("web", ["front"])

    first = node.uids()["vms/web"]
    node.ctl.delete("web")
    node.operator.await_that("web to be made anew", lambda: node.uids().get("vms/web", first) != first)
    node.await_groups("web", ["front"])


def test_a_file_that_cannot_be_read_deletes_nothing(node: Node) -> None:
    node.operator.want("web")
    node.operator.want("db")
    node.await_names("web", "db")
    node.operator.want("db", spek={})
    node.operator.await_log("desired VMs not read.*db.json.*spek", times=3)
    node.await_names("web", "db")


def test_it_resumes_where_a_broken_connection_ended(node: Node) -> None:
    node.operator.want("web", spec={"groups": ["front"]})
    node.await_groups("web", ["front"])
    listed = node.operator.count("msg=listed|INFO listed")
    node.relay.cut()
    node.operator.await_log("disconnected")
    node.ctl.text("vm", "set", "web", "--groups", "edited")
    node.relay.mend()
    node.await_groups("web", ["front"])
    assert node.operator.count("msg=listed|INFO listed") == listed
    assert node.operator.count("WARN gap") == 0


def test_it_survives_a_crash_of_the_daemon(node: Node) -> None:
    node.operator.want("web", spec={"groups": ["front"]})
    node.operator.want("db")
    node.await_names("web", "db")
    node.await_groups("web", ["front"])
    before = node.uids()

    node.crash_and_restart()
    node.operator.await_log("WARN gap.*RESOURCE_VERSION_EXPIRED|WARN gap")
    assert node.uids() == before
    node.ctl.text("vm", "set", "web", "--groups", "edited")
    node.await_groups("web", ["front"])
    assert node.uids() == before


def test_it_finds_what_changed_in_a_gap(node: Node) -> None:
    node.operator.want("web", spec={"groups": ["front"]})
    node.operator.want("db")
    node.await_names("web", "db")
    node.operator.freeze()
    node.ctl.delete("web")
    node.ctl.text("vm", "set", "db", "--groups", "edited")
    node.ctl.create("left-over", "--labels", "kinsock.example/owner=test")
    node.crash_and_restart()  # nobody remembers any more what happened before
    node.operator.thaw()

    node.operator.await_log("WARN gap")
    node.await_names("web", "db")
    node.await_groups("web", ["front"])
    node.operator.await_that("db to be in no group of the edit", lambda: "groups" not in node.ctl.vm("db")["spec"])
