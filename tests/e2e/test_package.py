# SPDX-License-Identifier: Apache-2.0
"""The Debian packages, in a Debian that had nothing of kinsock: installed, used, fitted to other needs as docs/install.md says,
upgraded, and purged without a trace."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import typing
import urllib.request

import pytest

from harness import drop_in
from harness.clean_root import CleanRoot, Unavailable
from harness.guest import Guest, qemu_vsock_arguments
from harness.hybrid import HybridSocket
from harness.scratch import Scratch
from harness.stage import Vm
from harness.traffic import exchange

_ROOT = pathlib.Path(__file__).absolute().parents[2]
_PACKAGES = ("kinsock", "kinsock-cli", "kinsock-dev")
_PORT = 5000
# How the packaged configuration begins and ends; what drop-ins are for stands in between or behind.
_LISTEN = 'listen: ["unix:%t/kinsock/api.sock"'
_END = "state: {dir:"

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
    debs = _debs()
    try:
        booted = CleanRoot(scratch)
    except Unavailable as why:
        pytest.skip(str(why))
    with booted as root:
        for name, deb in debs.items():
            shutil.copy(deb, root.outside(f"/root/{name}.deb"))
        shutil.copy(_ROOT / "deploy/debian/tests/service", root.outside("/root/service"))
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
def test_a_drop_in_gives_a_vmm_of_another_group_its_socket(root: CleanRoot) -> None:
    root.run("groupadd", "--force", "--system", "kvm")
    with pytest.raises(AssertionError, match="kvm"):
        root.run("kinsockctl", "vm", "create", "alone", "--socket-group", "kvm")
    with drop_in.written(root, drop_in.documented(_ROOT, "SupplementaryGroups=kvm")):
        vm = json.loads(root.run("kinsockctl", "vm", "create", "grouped", "--socket-group", "kvm", "-o", "json"))
        assert root.run("stat", "-c", "%G %a", vm["status"]["vhostUserSocket"]) == "kvm 660\n"
        root.run("kinsockctl", "vm", "delete", "grouped")


@pytest.mark.usefixtures("before")
def test_a_drop_in_opens_another_directory_for_sockets(root: CleanRoot) -> None:
    root.run("install", "-d", "-o", "kinsock", "-g", "kinsock-admin", "/srv/vms")
    with pytest.raises(AssertionError, match="/srv/vms"):
        root.run("kinsockctl", "vm", "create", "far", "--uds-path", "/srv/vms/far.uds")
    with drop_in.written(root, drop_in.documented(_ROOT, "ReadWritePaths=/srv/vms"),
                         configuration={'socket_dirs: ["%t/kinsock"]': 'socket_dirs: ["%t/kinsock", /srv/vms]'}):
        root.run("kinsockctl", "vm", "create", "far", "--uds-path", "/srv/vms/far.uds")
        root.run("test", "-S", "/srv/vms/far.uds")
        root.run("kinsockctl", "vm", "delete", "far")
    root.run("rmdir", "/srv/vms")


@pytest.mark.usefixtures("before")
def test_a_drop_in_opens_tcp_for_metrics_and_for_the_api_with_a_key_of_root(root: CleanRoot) -> None:
    # Its network is that of this machine.
    metrics, api = _free_tcp_port(), _free_tcp_port()
    for file in ("/etc/ssl/private/kinsock.pem", "/etc/kinsock/cert.pem"):
        root.run("mkdir", "-p", str(pathlib.PurePath(file).parent))
    _make_certificate(root.outside("/etc/ssl/private/kinsock.pem"), root.outside("/etc/kinsock/cert.pem"))
    tls = ("tls: {cert: /etc/kinsock/cert.pem, client_ca: /etc/kinsock/cert.pem, "
           "key: /run/credentials/kinsock.service/key.pem}")
    with drop_in.written(root, drop_in.documented(_ROOT, "PrivateNetwork=no"), configuration={
            _LISTEN: f'{tls}\n  {_LISTEN}, "tcp:127.0.0.1:{api}"',
            "admin: {gids: [kinsock-admin]}": "admin: {gids: [kinsock-admin], sans: [fleet.example]}",
            _END: f"http: {{listen: tcp:127.0.0.1:{metrics}}}\n\n{_END}"}):
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=10) as answer:
            assert b"kinsock_" in answer.read()
        root.run("kinsockctl", "--endpoint", f"tcp:127.0.0.1:{api}", "--tls-ca", "/etc/kinsock/cert.pem",
                 "--tls-cert", "/etc/kinsock/cert.pem", "--tls-key", "/etc/ssl/private/kinsock.pem", "vm", "create", "by-tls")
        root.run("kinsockctl", "vm", "delete", "by-tls")
    root.run("rm", "/etc/kinsock/cert.pem", "/etc/ssl/private/kinsock.pem")
    root.run("rmdir", "--parents", "--ignore-fail-on-non-empty", "/etc/ssl/private")


@pytest.mark.usefixtures("before")
def test_a_drop_in_opens_the_vsock_of_the_host(root: CleanRoot) -> None:
    try:
        port = _free_vsock_port()
    except OSError as error:
        pytest.skip(f"the kernel of this machine has no AF_VSOCK: {error}")
    # To nobody: what counts is that the host's port is taken.
    vm = f"vms: [{{name: proxied, guest_cid: 61, forward_cid: 4000000, forward_listen: [{port}]}}]"
    with drop_in.written(root, drop_in.documented(_ROOT, "RestrictAddressFamilies=AF_VSOCK"),
                         configuration={_END: f"{vm}\n\n{_END}"}):
        root.run("kinsockctl", "vm", "wait", "proxied", "--for=LISTENING", "--timeout", "20s")
        assert _is_vsock_port_taken(port)


@pytest.mark.usefixtures("before")
def test_a_unit_of_ones_own_hands_over_a_socket_for_metrics(root: CleanRoot) -> None:
    unit = drop_in.documented(_ROOT, "FileDescriptorName=http")
    with drop_in.written(root, unit, drop_in.documented(_ROOT, "Sockets=kinsock-http.socket")):
        root.run("systemctl", "enable", "--now", "kinsock-http.socket")
        drop_in.restart(root)
        with contextlib.closing(http.client.HTTPConnection("localhost", timeout=10)) as client:
            client.sock = socket.socket(socket.AF_UNIX)
            client.sock.connect(root.outside("/run/kinsock/http.sock"))
            client.request("GET", "/readyz")
            assert client.getresponse().status == 200
        root.run("systemctl", "disable", "--now", "kinsock-http.socket")


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


def _free_tcp_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _free_vsock_port() -> int:
    with socket.socket(socket.AF_VSOCK) as server:
        server.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
        port: int = server.getsockname()[1]
        return port


def _is_vsock_port_taken(port: int) -> bool:
    with socket.socket(socket.AF_VSOCK) as server:
        try:
            server.bind((socket.VMADDR_CID_ANY, port))
        except OSError:
            return True
        return False


def _make_certificate(key: str, certificate: str) -> None:
    """Of a server and of a client at once."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                    "-out", certificate, "-subj", "/CN=host", "-addext", "subjectAltName=IP:127.0.0.1,DNS:fleet.example"],
                   capture_output=True, timeout=60, check=True)
