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

_BOOT_SECONDS = 90
_COMMAND_SECONDS = 300
# Is it up? A system that is not answers late or never.
_QUESTION_SECONDS = 10
# Fetches a hundred packages and installs them.
_MAKING_SECONDS = 900

# Beyond Debian's smallest: what a Debian boots with. Nothing in it is to outlive a loss of power.
_MAKE = ("mmdebstrap", "--format=tar", "--variant=minbase", "--include=dbus,systemd,systemd-sysv", "--dpkgopt=force-unsafe-io",
         '--aptopt=Acquire::Retries "3"')

# Where this machine gets packages from, and how, goes for the system in it.
_SOURCES = ("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages", "Origin: Debian",
            "Component: main")


class Unavailable(Exception):
    """This machine cannot make or boot one. The message says why; nothing under test has had a part in it."""


class CleanRoot:
    """Booted, with new lists of packages, when the constructor returns; ended by close().

    Construct it in the main thread (see Child). Raises Unavailable.
    """

    def __init__(self, scratch: Scratch) -> None:
        if os.geteuid() != 0:
            raise Unavailable("only root can boot a Debian of its own")
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
            self.apt("update")
        except (AssertionError, Overdue, subprocess.TimeoutExpired) as error:
            log = logbook.tail(self._container.log)
            self.close()
            raise Unavailable(f"no Debian boots here by systemd-nspawn: {error}; its log:\n{log}") from None

    def outside(self, path: str) -> str:
        """What a path in it, also one that is only mounted there, is from outside."""
        return f"/proc/{self.leader}/root{path}"

    def run(self, *words: str | pathlib.Path, check: bool = True, seconds: float = _COMMAND_SECONDS) -> str:
        """Runs a command in it as root, and returns all that it wrote. An exit status other than 0 is an error."""
        command = ["nsenter", f"--target={self.leader}", "--all", "--", *map(str, words)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=seconds, check=False, env=environment)
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
        try:
            state = self.run("systemctl", "is-system-running", check=False, seconds=_QUESTION_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return state.strip() in ("running", "degraded")


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
    """An archive of one; made once."""
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if line)
    codename = release["VERSION_CODENAME"]
    sources = [line.split() for line in _run(*_SOURCES).splitlines()]
    if codename not in (suite for _, suite in sources):
        raise Unavailable(f"apt knows no mirror for Debian's {codename}; run apt-get update")
    proxies = [line.rstrip(";") for line in _run("apt-config", "dump", "Acquire").splitlines() if "roxy" in line]
    command = [*_MAKE, *(f"--aptopt={line}" for line in proxies)]
    lists = [f"deb {uri} {suite} main" for uri, suite in sources]
    name = hashlib.sha256(" ".join([*command, codename, *lists]).encode()).hexdigest()[:16]
    archive = programs.cache_directory() / f"package/debian-{name}.tar"
    if not archive.exists():
        draft = archive.with_suffix(f".{os.getpid()}")
        _run(*command, codename, draft, *lists, seconds=_MAKING_SECONDS)
        draft.rename(archive)
    return archive


def _run(*words: str | pathlib.Path, seconds: float = _COMMAND_SECONDS) -> str:
    command = [str(word) for word in words]
    path = "/usr/local/sbin:/usr/sbin:/sbin:" + os.environ["PATH"]
    if not shutil.which(command[0], path=path):
        raise programs.Missing(f"{command[0]} is not installed; run tools/setup package")
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=seconds, check=False, env={**os.environ, "PATH": path})
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{' '.join(command)}: not done after {seconds:g} s") from None
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command)}: status {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout
