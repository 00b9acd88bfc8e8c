# SPDX-License-Identifier: Apache-2.0
"""The schema of the API is in form, says what everything is, and keeps what was released.

Each check is shown to see the faults that it is there for, on a copy.
"""

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PROTOS = "api/kinsock/v1"


class Checkout:
    """A copy of what tools/schema looks at."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        # Under Bazel these are links into the checkout, which no test may change.
        shutil.copytree(ROOT / "api", directory / "api")
        (directory / "tools").mkdir()
        shutil.copy(ROOT / "buf.yaml", directory)
        shutil.copy(ROOT / "tools/schema", directory / "tools")

    def schema(self, command: str) -> subprocess.CompletedProcess[str]:
        # buf keeps a cache at home, which a test has not.
        environment = {**os.environ, "HOME": str(self.directory), "BUF_CACHE_DIR": str(self.directory / "cache")}
        return subprocess.run([self.directory / "tools/schema", command], env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)

    def change(self, file: str, old: str, new: str) -> None:
        path = self.directory / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} has changed: this test looks for {old!r} in it"
        path.write_text(text.replace(old, new))

    def uncomment(self, file: str, start: str) -> None:
        """Takes away the comment above the line that starts so."""
        path = self.directory / file
        lines = path.read_text().splitlines(keepends=True)
        end = next(number for number, line in enumerate(lines) if line.startswith(start))
        begin = end
        while lines[begin - 1].lstrip().startswith("//"):
            begin -= 1
        assert begin < end, f"{file}: there is no comment above {start!r}"
        path.write_text("".join(lines[:begin] + lines[end:]))


@pytest.fixture
def checkout(tmp_path: pathlib.Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


def test_schema_is_in_form_and_everything_has_a_comment(checkout: Checkout) -> None:
    lint = checkout.schema("lint")
    assert lint.returncode == 0, lint.stdout


def test_clients_of_the_released_schema_still_work(checkout: Checkout) -> None:
    breaking = checkout.schema("breaking")
    assert breaking.returncode == 0, breaking.stdout


@pytest.mark.parametrize(("file", "line", "what"), [
    ("vm_service.proto", "  rpc GetVm(", "RPC"),
    ("vm_service.proto", "message GetVmRequest {", "Message"),
    ("admin_service.proto", "service AdminService {", "Service"),
    ("admin_service.proto", "  string instance_id = 3;", "Field"),
    ("vm_service.proto", "    DELETED = 3;", "Enum value"),
])
def test_what_has_no_comment_is_named(checkout: Checkout, file: str, line: str, what: str) -> None:
    checkout.uncomment(f"{PROTOS}/{file}", line)
    lint = checkout.schema("lint")
    assert lint.returncode != 0
    assert f"{file}:" in lint.stdout
    assert what in lint.stdout and "should have a non-empty comment" in lint.stdout


def test_a_name_out_of_form_is_named(checkout: Checkout) -> None:
    checkout.change(f"{PROTOS}/admin_service.proto", "string instance_id = 3;", "string InstanceId = 3;")
    lint = checkout.schema("lint")
    assert lint.returncode != 0
    assert "lower_snake_case" in lint.stdout


@pytest.mark.parametrize(("old", "new"), [
    ("string instance_id = 3;", ""),
    ("string instance_id = 3;", "string instance_id = 33;"),
    ("string instance_id = 3;", "string instance = 3;"),
    ("string instance_id = 3;", "bytes instance_id = 3;"),
    ("rpc GetInfo(GetInfoRequest) returns (Info);", "rpc TellInfo(GetInfoRequest) returns (Info);"),
], ids=["removed", "renumbered", "renamed", "of another type", "method renamed"])
def test_a_change_that_breaks_clients_is_named(checkout: Checkout, old: str, new: str) -> None:
    checkout.change(f"{PROTOS}/admin_service.proto", old, new)
    breaking = checkout.schema("breaking")
    assert breaking.returncode != 0
    assert f"{PROTOS}/admin_service.proto:" in breaking.stdout


def test_a_release_keeps_what_was_added(checkout: Checkout) -> None:
    # A field is added, and the schema released with it.
    field = "  // What is new.\n  string addition = 1000;\n"
    file = f"{PROTOS}/admin_service.proto"
    checkout.change(file, "string instance_id = 3;\n", "string instance_id = 3;\n" + field)
    release = checkout.schema("release")
    assert release.returncode == 0, release.stdout
    # From then on it must stay.
    checkout.change(file, field, "")
    breaking = checkout.schema("breaking")
    assert breaking.returncode != 0
    assert '"addition"' in breaking.stdout


def test_what_breaks_clients_is_not_released(checkout: Checkout) -> None:
    checkout.change(f"{PROTOS}/admin_service.proto", "string instance_id = 3;", "")
    before = (checkout.directory / "api/released/kinsock/v1/admin_service.proto").read_text()
    assert checkout.schema("release").returncode != 0
    assert (checkout.directory / "api/released/kinsock/v1/admin_service.proto").read_text() == before
