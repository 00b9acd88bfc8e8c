# SPDX-License-Identifier: Apache-2.0
"""ssh to a guest without any network: Debian's sshd in a real guest, and this machine's ssh, scp and sftp."""

import hashlib
import pathlib
import shlex
import subprocess
import typing

import pytest

from harness import programs, ssh
from harness.deadline import wait_until
from harness.hybrid import NotConnected, read_line
from harness.kinsockctl import Refused
from harness.pattern import pattern
from harness.ssh import Keys
from harness.stage import Stage, Vm

_NAME = "web.kinsock"
_SSH_PORT = 22
_SIZE = 1 << 20


@pytest.fixture(scope="module")
def keys(stage: Stage) -> Keys:
    return Keys(stage.scratch)


@pytest.fixture(scope="module")
def web(stage: Stage, keys: Keys) -> Vm:
    """A guest with sshd on vsock port 22, by the line that docs/cli.md has for it."""
    [vm] = stage.boot("web", initrd=ssh.initrd(stage.scratch, keys))
    vm.guest.start("socat VSOCK-LISTEN:22,fork EXEC:'/usr/sbin/sshd -i'")
    wait_until("sshd to answer", lambda: _banner(vm).startswith(b"SSH-2.0-"), 20)
    return vm


def _banner(vm: Vm) -> bytes:
    try:
        with vm.hybrid.dial(_SSH_PORT) as stream:
            return read_line(stream.socket)
    except NotConnected:
        return b""


@pytest.fixture(scope="module")
def options(stage: Stage, keys: Keys) -> dict[str, str | pathlib.Path]:
    """What a user has in ~/.ssh: his key, and the guest's under its name. Nobody is there to ask."""
    # The second default key exchange: the first, which also withstands quantum computers, takes an emulated guest seconds.
    return {"KexAlgorithms": "curve25519-sha256", "IdentityFile": keys.user,
            "UserKnownHostsFile": keys.known_hosts(stage.scratch / "known_hosts", _NAME),
            "GlobalKnownHostsFile": "/dev/null", "BatchMode": "yes", "StrictHostKeyChecking": "yes"}


@pytest.fixture(scope="module")
def config(stage: Stage, web: Vm, options: dict[str, str | pathlib.Path]) -> pathlib.Path:
    """What `kinsockctl ssh-config web` prints, as the beginning of a file for ssh -F."""
    path = stage.scratch / "ssh_config"
    rest = "".join(f"    {name} {value}\n" for name, value in {"User": "root", **options}.items())
    path.write_text(f"{stage.ctl.text('ssh-config', web.name)}Host *\n{rest}")
    return path


def _kinsockctl_ssh(stage: Stage, options: typing.Mapping[str, str | pathlib.Path],
                    *words: str) -> subprocess.CompletedProcess[str]:
    return ssh.run(programs.kinsockctl(), "--endpoint", stage.ctl.endpoint, "ssh", "root@web", "-F", "none",
                   *ssh.settings(options), *words)


def test_kinsockctl_runs_ssh(stage: Stage, web: Vm, options: dict[str, str | pathlib.Path]) -> None:
    # What looks like kinsockctl's own options is the guest's.
    done = _kinsockctl_ssh(stage, options, "uname", "-a;", "echo", "-o", "json;", "exit", "7")
    assert done.returncode == 7, done.stderr
    assert done.stdout == web.guest.start("uname -a").wait(10).out + "-o json\n"


def test_a_guest_whose_key_is_not_known_is_not_trusted(stage: Stage, web: Vm, keys: Keys,
                                                       options: dict[str, str | pathlib.Path]) -> None:
    known = stage.scratch / "known_too"
    known.write_text("")
    done = _kinsockctl_ssh(stage, {**options, "UserKnownHostsFile": known}, "true")
    assert done.returncode == 255
    assert f"No ED25519 host key is known for {_NAME}" in done.stderr
    # Once it is taken on trust it is remembered under the VM's name.
    trusting = {**options, "UserKnownHostsFile": known, "StrictHostKeyChecking": "accept-new", "HashKnownHosts": "no"}
    assert _kinsockctl_ssh(stage, trusting, "true").returncode == 0
    assert known.read_text().split()[:2] == [_NAME, "ssh-ed25519"]
    # Another machine under that name is noticed.
    known.write_text(f"{_NAME} {keys.user.with_suffix('.pub').read_text()}")
    done = _kinsockctl_ssh(stage, trusting, "true")
    assert done.returncode == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr


@pytest.mark.parametrize("name", ["web", _NAME])
def test_plain_ssh_by_the_printed_configuration(web: Vm, config: pathlib.Path, name: str) -> None:
    done = ssh.run("ssh", "-F", config, name, "cat", stdin="kin")
    assert (done.returncode, done.stdout) == (0, "kin"), done.stderr


def test_a_file_goes_there_by_scp_and_back_by_sftp(stage: Stage, web: Vm, config: pathlib.Path) -> None:
    sent, back = stage.scratch / "sent", stage.scratch / "back"
    sent.write_bytes(pattern(22, _SIZE))
    digest = hashlib.sha256(sent.read_bytes()).hexdigest()
    done = ssh.run("scp", "-q", "-F", config, sent, f"{_NAME}:/tmp/there")
    assert done.returncode == 0, done.stderr
    assert web.guest.start("sha256sum /tmp/there").wait(30).out.split()[0] == digest
    done = ssh.run("sftp", "-q", "-F", config, "-b", "-", _NAME, stdin=f"get /tmp/there {back}\n")
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(back.read_bytes()).hexdigest() == digest


def test_no_process_stays_between_ssh_and_the_guest(web: Vm, config: pathlib.Path) -> None:
    with subprocess.Popen(["ssh", "-F", config, _NAME, "echo here; cat"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as session:
        assert session.stdin is not None and session.stdout is not None
        assert session.stdout.readline() == "here\n"
        children = pathlib.Path(f"/proc/{session.pid}/task/{session.pid}/children").read_text().split()
        session.stdin.close()
        assert session.stdout.read() == ""
    assert session.returncode == 0
    assert children == []


def test_why_ssh_cannot_work_is_said_by_kinsockctl(stage: Stage, web: Vm, config: pathlib.Path) -> None:
    with pytest.raises(Refused) as unknown:
        stage.ctl.text("ssh", "nobody", "true")
    assert unknown.value.status == 3
    done = ssh.run("ssh", "-F", config, "-p", "2222", _NAME, "true")
    assert done.returncode == 255
    assert "web:2222 refused the connection: the guest said no: nobody listens there" in done.stderr
    stage.create("off")
    command = next(line for line in stage.ctl.text("ssh-config", "off").splitlines() if "ProxyCommand" in line).strip()
    proxy = shlex.split(command.replace("%n", "off.kinsock").replace("%p", "22"))[1:]
    done = ssh.run(*proxy[:-3], *proxy[-2:])  # without --fdpass, as a ProxyCommand of other programs has it
    assert done.returncode == 4
    assert "off:22 cannot be reached: no VMM is connected to its device\n" in done.stderr
    assert f"  try: kinsockctl --endpoint {stage.ctl.endpoint} vmm-args off\n" in done.stderr
    stage.ctl.delete("off")
