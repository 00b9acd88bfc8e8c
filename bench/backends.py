# SPDX-License-Identifier: Apache-2.0
"""Back-end processes, and calls of vsock_load against them."""

import contextlib
import json
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing

from rows import API_FLOOD, Run

FIRST_CID = 3
_SOCKET_DEADLINE_S = 60
_LOAD_DEADLINE_S = 180


def raise_descriptor_limit() -> None:
    """A thousand VMs need more than the usual 1,024; both sides inherit this."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Backend:
    """A back-end process with VMs of one group."""

    def __init__(self, command: list[str], guests: int, with_api: bool = False):
        self._directory = pathlib.Path(tempfile.mkdtemp(prefix="vsock-", dir="/tmp"))  # short: socket paths
        self.cids = range(FIRST_CID, FIRST_CID + guests)
        command = list(command)
        if with_api:
            command += ["--api", f"unix:{self.api}"]
        for cid in self.cids:
            command += ["--vm", f"guest-cid={cid},socket={self.socket(cid)},uds-path={self.uds(cid)},groups=bench"]
        with open(self._directory / "log", "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _SOCKET_DEADLINE_S
        while not all(self.socket(cid).exists() for cid in self.cids):
            if self.process.poll() is not None or time.monotonic() > deadline:
                log_text = (self._directory / "log").read_text(errors="replace")
                self.close()
                raise RuntimeError(f"the back-end does not listen: {log_text[-500:]}")
            time.sleep(0.02)

    @property
    def api(self) -> pathlib.Path:
        return self._directory / "api.sock"

    def socket(self, cid: int) -> pathlib.Path:
        return self._directory / f"{cid}.sock"

    def uds(self, cid: int) -> pathlib.Path:
        return self._directory / f"{cid}.uds"

    def arguments(self, cids: typing.Iterable[int]) -> list[str]:
        arguments = ["--json", "--backend", str(self.process.pid), "--uds-path", str(self.uds(FIRST_CID))]
        for cid in cids:
            arguments += ["--socket", str(self.socket(cid))]
        return arguments

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


def _call(arguments: list[str]) -> dict[str, float]:
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=_LOAD_DEADLINE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError("vsock_load did not end") from error
    if done.stderr:
        print(f"\n  {done.stderr.strip()}", file=sys.stderr)
    if done.returncode != 0:
        raise RuntimeError(f"vsock_load {' '.join(arguments[1:4])} failed")
    return json.loads(done.stdout)


class Meter:
    """Calls one vsock_load for `milliseconds` each time."""

    def __init__(self, load: str, milliseconds: int, flood: str = ""):
        self._load = load
        self._flood = flood  # bench/control/control_load, for floods of the API
        self._milliseconds = milliseconds

    def limit(self, limit: tuple[str, ...], options: tuple[str, ...]) -> dict[str, float]:
        return _call([self._load, limit[0], "--json", "--milliseconds", str(self._milliseconds), *limit[1:], *options])

    def run(self, command: list[str], run: Run) -> dict[str, float]:
        """The figures of `run`, of a back-end that is started for it: nothing is left over from another."""
        if run.attack:
            return self._attacked(command, run)
        with contextlib.closing(Backend(command, run.guests)) as backend:
            return self._measure(backend, run, backend.cids)

    def _measure(self, backend: Backend, run: Run, cids: typing.Iterable[int]) -> dict[str, float]:
        return _call([self._load, run.command, *backend.arguments(cids), "--milliseconds", str(self._milliseconds),
                      *run.options])

    def _attacked(self, command: list[str], run: Run) -> dict[str, float]:
        """Neighbours beside an attacker, then beside a process that only burns as much CPU."""
        floods = run.attack == API_FLOOD
        with contextlib.closing(Backend(command, 4, with_api=floods)) as backend:
            neighbours, attackers = list(backend.cids)[:2], list(backend.cids)[2:]
            beside = [self._load, "attack", *backend.arguments(attackers), "--attack", run.attack, "--victim",
                      str(neighbours[1])]
            if floods:
                beside = [self._flood, "flood", "--api", str(backend.api), "--backend", str(backend.process.pid)]
            attacked, attacker = self._beside(beside, backend, run, neighbours)
        with contextlib.closing(Backend(command, 4)) as backend:
            percent = min(100.0, attacker["attacker_cpu_percent"])
            beside = [self._load, "burn", "--json", "--percent", f"{percent:.1f}"]
            control, _ = self._beside(beside, backend, run, neighbours)
        figures = {"grown_mib": attacker["grown_mib"], "strikes_per_s": attacker["strikes_per_s"],
                   "attacker_cpu_percent": attacker["attacker_cpu_percent"],
                   "backend_cpu_percent": attacker["backend_cpu_percent"]}
        for name, figure in (("p50", "p50_us"), ("p99", "p99_us"), ("gbit", "gbit_per_s")):
            if figure in attacked and control.get(figure):
                figures |= {f"{name}_attacked": attacked[figure], f"{name}_control": control[figure],
                            f"{name}_ratio": attacked[figure] / control[figure]}
        return figures

    def _beside(self, command: list[str], backend: Backend, run: Run,
                neighbours: list[int]) -> tuple[dict[str, float], dict[str, float]]:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as other:
            try:
                if other.stdout.readline() != "attacking\n":
                    raise RuntimeError(f"the attacker did not begin: {other.stderr.read()[-300:]}")
                figures = self._measure(backend, run, neighbours)
                if other.poll() is not None:
                    raise RuntimeError(f"the attacker ended early: {other.stderr.read()[-300:]}")
                other.send_signal(signal.SIGTERM)
                output, _ = other.communicate(timeout=15)
                return figures, json.loads(output)
            except subprocess.TimeoutExpired as error:
                raise RuntimeError("the attacker did not end") from error
            finally:
                other.kill()
