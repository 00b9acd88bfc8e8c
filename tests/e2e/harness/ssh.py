# SPDX-License-Identifier: Apache-2.0
"""Guests with the sshd, the socat and the ss of Debian's packages, and the ssh of this machine."""

import hashlib
import io
import pathlib
import subprocess
import typing

from guest_image import debian, packages
from guest_image.bundle import Directories
from guest_image.cpio import CpioWriter
from harness import image, programs
from harness.scratch import Scratch

_SECONDS = 60

_WANTED = debian.Programs(
    packages=("openssh-server", "openssh-sftp-server", "socat", "iproute2"),
    paths=("/usr/sbin/sshd", "/usr/lib/openssh/sftp-server", "/usr/bin/socat", "/bin/ss"))

_PASSWD = "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n"

_SSHD_CONFIG = "UsePAM no\nSubsystem sftp /usr/lib/openssh/sftp-server\n"


class Keys:
    """Made anew for each test: that of the guest's sshd, and that of who may log in."""

    def __init__(self, scratch: Scratch) -> None:
        self.host = _make_key(scratch / "host_key")
        self.user = _make_key(scratch / "user_key")

    def known_hosts(self, path: pathlib.Path, name: str) -> pathlib.Path:
        """A file that says: `name` has the guest's key."""
        path.write_text(f"{name} {_public(self.host)}")
        return path


def initrd(scratch: Scratch, keys: Keys | None = None) -> pathlib.Path:
    """What such a guest boots. Without keys nobody can log in."""
    out = scratch / "initrd"
    debian.concatenate([image.guest_image().initrd.read_bytes(), _programs(), _settings(keys)], out)
    return out


def run(*command: str | pathlib.Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """ssh, scp or sftp, with nothing of this machine's own settings."""
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=_SECONDS, check=False)


def _programs() -> bytes:
    recipe = pathlib.Path(debian.__file__).read_bytes() + pathlib.Path(packages.__file__).read_bytes()
    digest = hashlib.sha256(recipe + repr(_WANTED).encode()).hexdigest()[:16]
    return debian.layer(_WANTED, programs.cache_directory() / f"guest/programs-{digest}")


def _settings(keys: Keys | None) -> bytes:
    files = {"/etc/passwd": _PASSWD, "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
             "/etc/ssh/sshd_config": _SSHD_CONFIG, "/run/sshd/.keep": ""}
    private = {}
    if keys is not None:
        private = {"/etc/ssh/ssh_host_ed25519_key": keys.host.read_text(),
                   "/root/.ssh/authorized_keys": _public(keys.user)}
    out = io.BytesIO()
    cpio = CpioWriter(out)
    directories = Directories(cpio)
    for name, text in {**files, **private}.items():
        path = pathlib.PurePath(name)
        directories.make_for(path)
        cpio.file(str(path.relative_to("/")), text.encode(), private=name in private)
    cpio.close()
    return out.getvalue()


def _make_key(path: pathlib.Path) -> pathlib.Path:
    done = run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path)
    assert done.returncode == 0, done.stderr
    return path


def _public(key: pathlib.Path) -> str:
    return key.with_suffix(".pub").read_text()


def settings(options: typing.Mapping[str, str | pathlib.Path]) -> list[str]:
    """As options of ssh."""
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
