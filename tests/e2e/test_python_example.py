# SPDX-License-Identifier: Apache-2.0
"""The script of examples/python with two real guests that talk to each other, and with what it is refused."""

import pathlib
import re
import shutil
import subprocess
import typing

import pytest

from harness.child import Child
from harness.deadline import wait_until
from harness.kinsockctl import Refused
from harness.stage import Stage
from harness.traffic import flow

_ROOT = pathlib.Path(__file__).absolute().parents[2]
_PORT = 5000


@pytest.fixture(name="script", scope="module")
def make_script(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A copy of the example, with its client made."""
    example = tmp_path_factory.mktemp("example") / "python"
    shutil.copytree(_ROOT / "examples/python", example, ignore=shutil.ignore_patterns("stubs"))
    subprocess.run(["./generate"], cwd=example, check=True, timeout=60,
                   env={"PATH": "/usr/bin:/bin", "KINSOCK_API": str(_ROOT / "api")})
    return example / "two_vms.py"


def command(script: pathlib.Path, endpoint: str, *words: str) -> list[str]:
    return ["/usr/bin/python3", "-B", str(script), "--endpoint", endpoint, *words]


def refusal(script: pathlib.Path, endpoint: str, *words: str) -> str:
    """What it says when it fails."""
    done = subprocess.run(command(script, endpoint, *words), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done
    return done.stderr


def test_it_makes_two_vms_and_prints_their_traffic(own_stage: Stage, script: pathlib.Path) -> None:
    log = own_stage.scratch / "two_vms.out"
    running = Child("two_vms.py", command(script, own_stage.ctl.endpoint, "a", "b", "--seconds", "300"), log)
    try:
        def made() -> list[typing.Any]:
            running.check_running()
            return [vm for vm in own_stage.ctl.vms() if vm["status"]["state"] == "LISTENING"]

        wait_until("both VMs to be made", lambda: len(made()) == 2, 30)
        a, b = [own_stage.launch(own_stage.ctl.vm(name)) for name in ("a", "b")]
        own_stage.await_active(a, b)
        traffic = flow(a, b, _PORT)
        for name in ("a", "b"):
            some = re.compile(rf"^vms/{name}: siblings (?!0\.0)[\d.]+ MB/s sent, (?!0\.0)[\d.]+ got; host 0\.0 sent", re.MULTILINE)
            wait_until(f"a line about what {name} sends and gets", lambda: some.search(log.read_text()), 60)
        assert traffic.running()
    finally:
        status = running.stop()
    assert status == 130, log.read_text()  # SIGTERM ends it as Ctrl-C does
    assert own_stage.ctl.vms() == []


def test_an_error_has_its_reason_and_what_it_is_about(stage: Stage, script: pathlib.Path) -> None:
    stage.ctl.create("taken")
    said = refusal(script, stage.ctl.endpoint, "new", "taken")
    assert "ALREADY_EXISTS VM_EXISTS" in said
    assert "  vm: vms/taken" in said
    with pytest.raises(Refused):
        stage.ctl.vm("new")  # it deleted what it had made
    stage.ctl.delete("taken")


def test_an_error_names_the_field(stage: Stage, script: pathlib.Path) -> None:
    said = refusal(script, stage.ctl.endpoint, "NOT-A-NAME", "b")
    assert "INVALID_ARGUMENT FIELD_INVALID" in said
    assert "\n  vm_id: " in said


def test_a_guest_that_does_not_come_is_named(stage: Stage, script: pathlib.Path) -> None:
    assert "vms/slow was not ACTIVE within 0.5 s" in refusal(script, stage.ctl.endpoint, "slow", "b", "--patience", "0.5")
    assert stage.ctl.vms() == []


def test_a_daemon_that_is_not_there_is_said_to_be_so(script: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert "no daemon answers" in refusal(script, f"unix:{tmp_path}/nowhere.sock", "a", "b")
