# SPDX-License-Identifier: Apache-2.0
"""The machine on which a page of the documentation is followed: a daemon, guests, and a shell in a directory."""

import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess

from harness import go, logbook, programs
from harness.child import Child
from harness.deadline import Overdue, wait_until
from harness.guest import Guest
from harness.kinsockctl import Kinsockctl
from harness.markdown import Block
from harness.scratch import Scratch

_HERE = pathlib.Path(__file__).absolute().parents[3]
_API = pathlib.Path("/run/kinsock/api.sock")
_COMMAND_SECONDS = 120
_START_SECONDS = 30
# What ends by itself although it should stay does so at once.
_STAYS_SECONDS = 0.3


class Machine:
    """Only on a machine of one's own (own_root.sh): the paths are those that stand in the documentation."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._scratch = stack.enter_context(Scratch())
        self._daemon: Child | None = None
        self._guests: dict[str, Guest] = {}
        self.ctl = Kinsockctl(_API)
        self._directory = self._lay_out()
        self._environment = {**go.environment(), "HOME": os.environ["HOME"], "LANG": "C.UTF-8", "TERM": "dumb", "USER": "root",
                             "PATH": f"{self._scratch / 'bin'}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        stack.callback(self._clear)

    def end(self) -> None:
        """Nothing on the page has harmed the daemon."""
        self._stop_daemon()

    def daemon_log(self) -> str:
        return "" if self._daemon is None else logbook.tail(self._daemon.log)

    def follow(self, block: Block) -> None:
        """Does what a reader would do with the block."""
        if block.language == "hidden":
            self._direct(block)
        elif block.language == "yaml":
            self._check_yaml(block)
        elif block.language == "ini":
            self._check_unit(block)
        elif block.language == "sh":
            self._do(block)

    def _do(self, block: Block) -> None:
        if "daemon" in block.words:
            self.start_daemon(block.text)
        elif "stays" in block.words:
            for command in block.commands():
                self._interrupt_later(command, says_something="silent" not in block.words)
        elif "vmm" in block.words:
            for command in block.commands():
                self._start_vmm(command)
        else:
            self.shell(block.text, int(block.option("exit") or 0))

    def _direct(self, block: Block) -> None:
        match block.words:
            case ("daemon", *arguments):
                self.start_daemon("kinsockd " + " ".join(arguments))
            case ("sh",):
                self.shell(block.text, 0)
            case ("boot", *names):
                self._boot(names)
            case ("in", name, event, *command):
                self._in_guest(name, event, " ".join(command))
            case ("stop",):
                self._stop_daemon()
            case _:
                raise AssertionError(f"no such direction: {' '.join(block.words)}")

    def shell(self, script: str, status: int) -> str:
        """Runs it as a whole; the first command that fails ends it."""
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=self._directory, env=self._environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False)
        if done.returncode != status:
            raise AssertionError(f"status {done.returncode}, not {status}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start_daemon(self, command: str) -> None:
        """It stays until the page ends, or until another takes its place."""
        self._stop_daemon()
        log = self._new_log("kinsockd")
        self._daemon = daemon = self._child("kinsockd", command, log)

        def ready() -> bool:
            daemon.check_running()
            return "daemon.started" in log.read_text()

        wait_until("the daemon to say that it has started", ready, _START_SECONDS)

    def _stop_daemon(self) -> None:
        for guest in self._guests.values():
            guest.close()
        self._guests.clear()
        if self._daemon is None:
            return
        stopping, self._daemon = self._daemon, None
        status = stopping.stop()
        assert status == 0, f"the daemon ended with status {status}"
        logbook.forget(stopping.log)

    def _in_guest(self, name: str, event: str, command: str) -> None:
        """Starts it, and returns when it has reported `event`, or has ended if that is what is waited for. @NAME is a VM's CID."""
        command = re.sub(r"@([a-z0-9-]+)", lambda vm: str(self.ctl.vm(vm[1])["status"]["cid"]), command)
        process = self._guests[name].wait_booted().start(command)
        if event == "ended":
            process.succeed(_START_SECONDS)
        else:
            process.await_report(event, _START_SECONDS)

    def _new_log(self, name: str) -> pathlib.Path:
        log = self._scratch / f"{name}.log"
        log.unlink(missing_ok=True)
        return log

    def _interrupt_later(self, command: str, says_something: bool) -> None:
        """What a reader ends with Ctrl-C: it says something, and goes on until then."""
        log = self._new_log("stays")
        running = self._child("what stays", command, log)
        try:
            def said() -> bool:
                running.check_running()
                return log.stat().st_size > 0 or not says_something

            wait_until(f"{command.strip()} to say something", said, _START_SECONDS)
            with contextlib.suppress(Overdue):
                raise AssertionError(f"{command.strip()} ended by itself with {running.wait_ended(_STAYS_SECONDS)}:\n{log.read_text()}")
            os.killpg(running.pid, signal.SIGINT)
            running.wait_ended(_START_SECONDS)
        finally:
            running.stop()
            logbook.forget(log)

    def _start_vmm(self, command: str) -> None:
        """The device as the command has it, on a guest of the tests in place of the reader's disk."""
        inner = re.search(r"\$\((kinsockctl vmm-args ([a-z0-9-]+)[^)]*)\)", command)
        if inner is None or not command.startswith("qemu-system-x86_64 "):
            raise AssertionError(f"a VMM is started by qemu-system-x86_64 ... $(kinsockctl vmm-args NAME): {command}")
        arguments = shlex.split(self.shell(re.sub(r" --mem \S+", "", inner[1]) + " --mem 256M", 0))
        self._launch(inner[2], arguments)

    def _boot(self, names: list[str]) -> None:
        for name in names:
            self._launch(name, shlex.split(self.ctl.text("vmm-args", name, "--mem", "256M")))
        for name in names:
            self._guests[name].wait_booted()
            self.ctl.wait(name, "ACTIVE")

    def _launch(self, name: str, arguments: list[str]) -> None:
        guest = Guest(name, self._scratch, arguments)
        self._stack.callback(guest.close)
        self._guests[name] = guest

    def _check_yaml(self, block: Block) -> None:
        path = self._directory / (block.option("file") or "page.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        if "vm" in block.words:
            self.shell(f"kinsockctl vm apply -f {path} --validate-only", 0)
        elif "apply" in block.words:
            self.shell(f"kinsockctl apply -f {path} --dry-run", 0)
        elif "prometheus" in block.words:
            self.shell(f"cp {path} deploy/prometheus/page.yml && promtool check config deploy/prometheus/page.yml", 0)
        else:
            self.shell(f"kinsockd --config {path} --check", 0)

    def _check_unit(self, block: Block) -> None:
        """Among the units that are shipped, those of the page before it included."""
        units = self._scratch / "units"
        if not units.exists():
            shutil.copytree(_HERE / "deploy/systemd", units)
        first = block.text.splitlines()[0]
        named = re.match(r"# /etc/systemd/system/([^\s;]+)", first)
        if named is None and not first.startswith("# systemctl edit kinsock"):
            raise AssertionError(f"the first line names a file of /etc/systemd/system, or systemctl edit kinsock: {first}")
        path = units / (named[1] if named else "kinsock.service.d/override.conf")
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text)
        unit = path if path.suffix != ".conf" else units / path.parent.name.removesuffix(".d")
        judged = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], env={**self._environment, "SYSTEMD_UNIT_PATH": f"{units}:"},
                                capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False)
        faults = [line for line in judged.stderr.splitlines() if path.name in line]
        assert not faults, "\n".join(faults)

    def _child(self, title: str, command: str, log: pathlib.Path) -> Child:
        script = f"cd {self._directory} && exec {command.strip()}"
        return Child(title, ["/usr/bin/env", "-i", *(f"{key}={value}" for key, value in self._environment.items()),
                             "bash", "-euo", "pipefail", "-c", script], log)

    def _lay_out(self) -> pathlib.Path:
        """The programs on PATH, and a tree as after a build."""
        tree = self._scratch / "kinsock"
        built = {"server/kinsockd": programs.kinsockd(), "cli/kinsockctl": programs.kinsockctl()}
        (self._scratch / "bin").mkdir()
        for path, program in built.items():
            in_tree = tree / "bazel-bin" / path
            in_tree.parent.mkdir(parents=True)
            in_tree.symlink_to(program)
            (self._scratch / "bin" / program.name).symlink_to(program)
        for tool in (programs.grpcurl(), programs.go()):
            (self._scratch / "bin" / tool.name).symlink_to(tool)
        for folder in ("api", "deploy", "examples"):
            shutil.copytree(_HERE / folder, tree / folder, ignore=shutil.ignore_patterns("stubs", "kinsock.example"))
        return tree

    def _clear(self) -> None:
        """The next page finds a new machine."""
        if self._daemon is not None:
            self._daemon.kill()
            logbook.forget(self._daemon.log)
        for directory in ("/run", "/etc/kinsock", "/var/lib", "/srv", "/backup", os.environ["HOME"]):
            for entry in pathlib.Path(directory).iterdir():
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


