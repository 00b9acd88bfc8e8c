# SPDX-License-Identifier: Apache-2.0
"""The Debian packages, in a Debian that had nothing of kinsock: installed, used, upgraded, and purged without a trace."""

import json
import os
import pathlib
import shutil
import typing

import pytest

from harness.clean_root import CleanRoot
from harness.guest import Guest, qemu_vsock_arguments
from harness.hybrid import HybridSocket
from harness.scratch import Scratch
from harness.stage import Vm
from harness.traffic import exchange

_ROOT = pathlib.Path(__file__).absolute().parents[2]
_PACKAGES = ("kinsock", "kinsock-cli", "kinsock-dev")
_PORT = 5000

# What any package leaves: the state of dpkg and apt, logs, caches, what systemd keeps, backups of the user database.
_LEFT_BY_ALL = ("/var/lib/dpkg/", "/var/lib/apt/", "/var/log/", "/var/lib/systemd/", "/etc/passwd", "/etc/group",
                "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid", "/etc/.pwd.lock", "/etc/ld.so.cache",
                "/var/lib/private", "/var/tmp/", "/root/", "/etc/systemd/system/sockets.target.wants")


def _debs() -> dict[str, pathlib.Path]:
    """The packages, by name."""
    directory = pathlib.Path(os.environ.get("KINSOCK_DEBS") or pathlib.Path(__file__).resolve().parents[2] / "dist")
    found = {name: next(directory.glob(f"{name}_*.deb"), None) for name in _PACKAGES}
    missing = [name for name, path in found.items() if path is None]
    assert not missing, f"no {', '.join(missing)} in {directory}; run tools/deb, or tools/test package"
    return {name: path for name, path in found.items() if path is not None}


@pytest.fixture(name="scratch", scope="module")
def _scratch() -> typing.Iterator[Scratch]:
    with Scratch() as scratch:
        yield scratch


@pytest.fixture(name="root", scope="module")
def _root(scratch: Scratch) -> typing.Iterator[CleanRoot]:
    if os.geteuid() != 0:
        pytest.skip("only root can boot a Debian of its own")
    debs = _debs()
    with CleanRoot(scratch) as root:
        for name, deb in debs.items():
            shutil.copy(deb, root.outside(f"/root/{name}.deb"))
        shutil.copy(_ROOT / "deploy/debian/tests/service", root.outside("/root/service"))
        root.apt("update")
        yield root


@pytest.fixture(name="before", scope="module")
def _before(root: CleanRoot) -> set[str]:
    """Its files before it had the packages, which it has from here on."""
    before = root.files()
    root.apt("install", *(f"/root/{name}.deb" for name in _PACKAGES))
    return before


@pytest.mark.usefixtures("before")
def test_the_service_runs_as_its_unit_says_and_its_groups_see_and_change(root: CleanRoot) -> None:
    root.run("/root/service")


@pytest.mark.usefixtures("before")
def test_two_guests_talk_through_the_installed_daemon(root: CleanRoot, scratch: Scratch) -> None:
    created = [json.loads(root.run("kinsockctl", "vm", "create", name, "-o", "json")) for name in ("a", "b")]
    vms = []
    for name, vm in zip(("a", "b"), created, strict=True):
        socket = root.outside(vm["status"]["vhostUserSocket"])
        guest = Guest(name, scratch, qemu_vsock_arguments(socket))
        vms.append(Vm(name, vm["status"]["cid"], socket, HybridSocket(""), guest))
    for vm in vms:
        vm.guest.wait_booted()
        root.run("kinsockctl", "vm", "wait", vm.name, "--for=ACTIVE", "--timeout", "30s")
    exchange(vms[0], vms[1], _PORT)
    exchange(vms[1], vms[0], _PORT)
    for vm in vms:
        vm.guest.close()


@pytest.mark.usefixtures("before")
def test_the_command_line_comes_with_completion_manual_pages_and_ssh(root: CleanRoot) -> None:
    completion = root.run("bash", "-c", ". /usr/share/bash-completion/completions/kinsockctl; complete -p kinsockctl")
    assert "kinsockctl" in completion
    for page in ("man8/kinsockd.8", "man5/kinsockd.yaml.5", "man1/kinsockctl.1"):
        root.run("test", "-s", f"/usr/share/man/{page}.gz")
    shipped = [line for line in root.run("cat", "/etc/ssh/ssh_config.d/40-kinsock.conf").splitlines() if line[:1] != "#"]
    # It leaves the daemon to the environment of whoever calls ssh.
    printed = root.run("kinsockctl", "ssh-config").replace("--endpoint unix:/run/kinsock/api.sock ", "").splitlines()
    assert shipped == printed, "the drop-in is not what kinsockctl prints"


@pytest.mark.usefixtures("before")
def test_the_schema_of_the_api_is_whole(root: CleanRoot) -> None:
    protos = root.run("find", "/usr/share/kinsock/proto", "-name", "*.proto").split()
    assert "/usr/share/kinsock/proto/kinsock/v1/vm_service.proto" in protos
    shipped = pathlib.Path(root.outside("/usr/share/kinsock/proto"))
    imports = {line.split('"')[1] for path in shipped.rglob("*.proto") for line in path.read_text().splitlines()
               if line.startswith("import ")}
    for name in imports:
        assert (shipped / name).exists() or name.startswith("google/protobuf/"), f"{name} is imported and not there"


@pytest.mark.usefixtures("before")
def test_an_upgrade_keeps_vms_and_changes_of_the_configuration(root: CleanRoot) -> None:
    root.run("kinsockctl", "vm", "create", "kept")
    root.run("sed", "-i", "$ a defaults: {queue_size: 512}", "/etc/kinsock/kinsockd.yaml")
    pid = root.run("systemctl", "show", "--property=MainPID", "--value", "kinsock.service")
    root.apt("install", "--reinstall", "-o", "Dpkg::Options::=--force-confold", "/root/kinsock.deb")
    assert root.run("systemctl", "show", "--property=MainPID", "--value", "kinsock.service") != pid
    root.run("kinsockctl", "vm", "get", "kept")
    root.run("grep", "-q", "queue_size: 512", "/etc/kinsock/kinsockd.yaml")


def test_purging_leaves_nothing(root: CleanRoot, before: set[str]) -> None:
    root.apt("purge", "--autoremove", *_PACKAGES)
    assert "kinsockd" not in root.run("sh", "-c", "cat /proc/[0-9]*/comm", check=False).splitlines()
    left = [path for path in root.files() - before if not path.startswith(_LEFT_BY_ALL)]
    assert not left, f"left behind: {sorted(left)}"
    assert root.run("find", "/run", "-name", "*kinsock*", "!", "-path", "/run/systemd/*") == ""
    # Its user and groups stay, with nothing that is theirs.
    assert "kinsock-admin" in root.run("getent", "group", "kinsock-admin")
    assert root.run("find", "/", "-xdev", "-user", "kinsock", "-o", "-xdev", "-group", "kinsock-admin") == ""
