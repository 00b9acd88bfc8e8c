# SPDX-License-Identifier: Apache-2.0
"""A Debian that has nothing but what every Debian has, with systemd as its process 1, in a directory."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import typing

from harness import logbook, programs
from harness.child import Child
from harness.deadline import Overdue, wait_until
from harness.scratch import Scratch

_BOOT_SECONDS = 60
_COMMAND_SECONDS = 300

# Beyond Debian's smallest: what a Debian boots with.
_BESIDES = "systemd,systemd-sysv"

# Where this machine gets packages from, and how, goes for the system in it.
_SOURCES = ("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages", "Origin: Debian",
            "Component: main")


class CleanRoot:
    """Booted when the constructor returns; ended by close(). As root; construct it in the main thread (see Child)."""

    def __init__(self, scratch: Scratch) -> None:
        self.path = scratch / "root"
        self.path.mkdir()
        archives = programs.cache_directory() / "package/archives"
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        _run("tar", "--numeric-owner", "-C", self.path, "-xf", _bare_debian())
        # Alone with systemd, or beside the one of this machine.
        alone = [] if pathlib.Path("/run/systemd/system").is_dir() else ["--register=no", "--keep-unit"]
        self._container = Child("clean Debian", ["systemd-nspawn", "--quiet", "--boot", *alone, "--machine",
                                                 f"kinsock-{os.getpid()}", "--directory", self.path, "--bind",
                                                 f"{archives}:/var/cache/apt/archives"], scratch / "root.log")
        try:
            self.leader = wait_until("its process 1 to appear", self._find_leader, _BOOT_SECONDS)
            wait_until("it to boot", self._is_up, _BOOT_SECONDS)
        except Overdue as overdue:
            self.close()
            raise AssertionError(f"{overdue}; its log:\n{logbook.tail(self._container.log)}") from None

    def outside(self, path: str) -> str:
        """What a path in it, also one that is only mounted there, is from outside."""
        return f"/proc/{self.leader}/root{path}"

    def run(self, *words: str | pathlib.Path, check: bool = True) -> str:
        """Runs a command in it as root, and returns all that it wrote. An exit status other than 0 is an error."""
        command = ["nsenter", f"--target={self.leader}", "--all", "--", *map(str, words)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=_COMMAND_SECONDS, check=False, env=environment)
        if check and done.returncode != 0:
            raise AssertionError(f"in the clean Debian, {' '.join(map(str, words))}: status {done.returncode}:\n"
                                 f"{done.stdout}")
        return done.stdout

    def apt(self, *words: str) -> str:
        return self.run("apt-get", "-q", "-y", "--no-install-recommends", *words)

    def files(self) -> set[str]:
        """Everything on its disk."""
        found = self.run("find", "/", "-xdev", "!", "-path", "/var/cache/*", "!", "-path", "/tmp/*")
        return set(found.splitlines())

    def close(self) -> None:
        self._container.kill()  # nothing in it is to be saved
        logbook.forget(self._container.log)

    def __enter__(self) -> "CleanRoot":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _find_leader(self) -> int | None:
        self._container.check_running()
        return next((pid for pid in _descendants(self._container.pid) if _is_first_of_its_own(pid)), None)

    def _is_up(self) -> bool:
        self._container.check_running()
        return self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")


def _descendants(pid: int) -> typing.Iterator[int]:
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has just ended
        return
    for child in map(int, children):
        yield child
        yield from _descendants(child)


def _is_first_of_its_own(pid: int) -> bool:
    """Process 1 of another PID namespace, and systemd by now."""
    try:
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    except (OSError, ValueError):
        return False
    return status["NSpid"].split()[1:] == ["1"] and status["Name"] == "systemd"


def _bare_debian() -> pathlib.Path:
    """An archive of one; made once, by debootstrap."""
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if line)
    codename = release["VERSION_CODENAME"]
    sources = [line.split() for line in _run(*_SOURCES).splitlines()]
    mirror = next((uri for uri, suite in sources if suite == codename), None)
    if mirror is None:
        raise AssertionError(f"apt knows no mirror for Debian's {codename}; run apt-get update")
    settings = "".join(f"{line}\n" for line in _run("apt-config", "dump", "Acquire").splitlines() if "roxy" in line)
    lists = "".join(f"deb {uri} {suite} main\n" for uri, suite in sources)
    name = hashlib.sha256(f"{codename} {_BESIDES} {lists} {settings}".encode()).hexdigest()[:16]
    archive = programs.cache_directory() / f"package/debian-{name}.tar"
    if archive.exists():
        return archive
    with Scratch() as scratch:
        root = scratch / "bare"
        _run("debootstrap", "--variant=minbase", f"--include={_BESIDES}", codename, root, mirror)
        (root / "etc/apt/sources.list").write_text(lists)
        (root / "etc/apt/apt.conf.d/90test").write_text(settings)
        draft = archive.with_suffix(f".{os.getpid()}")
        _run("tar", "--numeric-owner", "--one-file-system", "--exclude=./var/cache/apt/archives/*.deb", "-C", root, "-cf",
             draft, ".")
        shutil.move(draft, archive)
    return archive


def _run(*words: str | pathlib.Path) -> str:
    command = [str(word) for word in words]
    path = "/usr/local/sbin:/usr/sbin:/sbin:" + os.environ["PATH"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, env={**os.environ, "PATH": path})
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout
