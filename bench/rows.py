# SPDX-License-Identifier: Apache-2.0
"""What is measured, which figure of it makes a row, what limits it, and the least that it should be."""

import dataclasses
import re

from verdict import Kind, Target


@dataclasses.dataclass(frozen=True)
class Run:
    """One call of vsock_load against a back-end of its own. Rows that share it are read from the same call."""

    command: str
    options: tuple[str, ...] = ()
    guests: int = 2
    limit: tuple[str, ...] = ()  # a limit's command and its options
    peer_can: bool = True  # the peer loses sibling packets that are larger than the receiver's buffers
    attack: str = ""  # by a third guest; `command` is what its neighbours do


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure of a run."""

    group: str
    title: str
    run: Run
    figure: str
    limit_figure: str = ""
    higher_is_better: bool = True
    target: Target | None = None

    @property
    def key(self) -> str:
        return f"{self.group}: {self.title}"


def _peer(times: float) -> Target:
    return Target(Kind.TIMES_PEER, times)


def _limit(part: float) -> Target:
    return Target(Kind.OF_LIMIT, part)


def _least(bound: float) -> Target:
    return Target(Kind.AT_LEAST, bound)


def _most(bound: float) -> Target:
    return Target(Kind.AT_MOST, bound)


_BIG_BUFFERS = ("--rx-buffer", "65580")
_CPU_PER_GB = "CPU-seconds per GB"


def _throughput(group: str, name: str, run: Run, rate: Target | None, per_cpu: Target | None) -> list[Row]:
    limited = "gbit_per_s" if run.limit else ""
    of_cpu = "gbit_per_cpu_s" if run.limit and run.limit[0] == "memcpy" else ""
    return [
        Row(group, f"{name}, Gbit/s", run, "gbit_per_s", limited, target=rate),
        Row(group, f"{name}, Gbit per CPU-second", run, "gbit_per_cpu_s", of_cpu, target=per_cpu),
        Row(group, f"{name}, {_CPU_PER_GB}", run, "cpu_s_per_gb", higher_is_better=False),
    ]


def _latency(group: str, name: str, run: Run, target: Target | None) -> list[Row]:
    return [
        Row(group, f"{name}, p50 us", run, "p50_us", "p50_us", False, target),
        Row(group, f"{name}, p99 us", run, "p99_us", "p99_us", False),
        Row(group, f"{name}, p99.9 us", run, "p999_us", "p999_us", False),
    ]


def _siblings() -> list[Row]:
    rows = []
    for write, name, rate, per_cpu in ((64, "64 B", 5, 10), (2048, "2 KiB", 4, 8), (4096, "4 KiB", None, None)):
        for connections in (1, 8, 64):
            first = connections == 1 and rate is not None
            # The peer's receivers need buffers for whole packets.
            buffers = _BIG_BUFFERS if write >= 4096 else ()
            run = Run("sibling", ("--write", str(write), "--connections", str(connections), *buffers))
            rows += _throughput("sibling", f"{name} x {connections}", run, _peer(rate) if first else None,
                                _peer(per_cpu) if first else None)
    for connections in (1, 8, 64):
        count = ("--connections", str(connections))
        run = Run("sibling", (*_BIG_BUFFERS, *count), limit=("memcpy", *_BIG_BUFFERS))
        four = _peer(4) if connections == 1 else None
        rows += _throughput("sibling", f"64 KiB x {connections}, 64 KiB buffers", run, four, four)
        run = Run("sibling", count, limit=("memcpy",), peer_can=False)
        rows += _throughput("sibling", f"64 KiB x {connections}, Linux's buffers", run, None,
                            _limit(0.5) if connections < 64 else None)
    rows += _latency("sibling", "round trip", Run("sibling-latency", limit=("eventfd",)), _peer(2))
    rows.append(Row("sibling", "connections per second", Run("sibling-connects"), "connections_per_s", target=_peer(3)))
    return rows


def _host() -> list[Row]:
    rows = []
    for command, name, parts in (("host-to-guest", "host to guest", (0.9, 0.6, 0.5)),
                                 ("guest-to-host", "guest to host", (1.0, 0.6, 0.5))):
        for (write, size), part in zip(((64, "64 B"), (4096, "4 KiB"), (65536, "64 KiB")), parts):
            options = ("--write", str(write))
            rows += _throughput("host", f"{name} {size}", Run(command, options, 1, ("unix", *options)), _limit(part), None)
    rows += _latency("host", "round trip", Run("host-latency", guests=1, limit=("eventfd",)), _peer(1.5))
    rows += _latency("host", "round trip from the guest", Run("guest-latency", guests=1, limit=("eventfd",)), None)
    for command, name, target in (("host-connects", "host to guest connections per second", _peer(2.5)),
                                  ("guest-connects", "guest to host connections per second", None)):
        rows.append(Row("host", name, Run(command, guests=1), "connections_per_s", target=target))
    return rows


def _fairness() -> list[Row]:
    rows = []
    for command, name, percent in (("fairness", "beside 8 live flows to B", 40), ("stalled", "beside a stalled B", 95),
                                   ("flooded", "beside a B that is flooded", 95)):
        run = Run(command, ("--write", "2048"), 3)
        rows.append(Row("fairness", f"A to C alone ({command}), Gbit/s", run, "alone_gbit_per_s"))
        rows.append(Row("fairness", f"A to C {name}, % of alone", run, "share_percent", target=_least(percent)))
        rows.append(Row("fairness", f"back-end's memory grown {name}, MiB", run, "grown_mib", higher_is_better=False))
    run = Run("two-senders", ("--write", "2048"), 3)
    rows.append(Row("fairness", "A and D to C: smaller share, %", run, "smaller_share_percent"))
    rows.append(Row("fairness", "A and D to C, Gbit/s", run, "gbit_per_s"))
    return rows


def _scale() -> list[Row]:
    rows = []
    for guests in (1, 100, 1000):
        run = Run("idle", guests=guests)
        name = f"{guests:,} VMs" if guests > 1 else "1 VM"
        thousand = guests == 1000
        same = Target(Kind.SAME_AS, key="scale: 1 VM: threads") if guests > 1 else None
        rows.append(Row("scale", f"{name}: attach ms each", run, "attach_ms", "", False, _most(1) if thousand else None))
        rows.append(Row("scale", f"{name}: own memory, KiB", run, "own_kib", "", False, _peer(2) if guests == 100 else None))
        if guests > 1:
            rows.append(Row("scale", f"{name}: own KiB each", run, "own_kib_each", "", False, _most(15) if thousand else None))
            rows.append(Row("scale", f"{name}: descriptors each", run, "descriptors_each", "", False,
                            _most(12) if thousand else None))
        rows.append(Row("scale", f"{name}: threads", run, "threads", "", False, same))
        rows.append(Row("scale", f"{name}: idle CPU %", run, "idle_cpu_percent", "", False))
    for pairs in (1, 8, 40):
        run = Run("pairs", ("--pairs", str(pairs), "--write", "2048"), 100)
        rows += _throughput("scale", f"{pairs} of 50 pairs, 2 KiB", run, None, None)
        rows.append(Row("scale", f"{pairs} of 50 pairs: slowest, % of mean", run, "slowest_percent_of_mean"))
    run = Run("quiet", ("--connections", "10000"))
    rows.append(Row("scale", "10,000 connections: opened per second", run, "connections_per_s", target=_least(40000)))
    rows.append(Row("scale", "10,000 connections: own KiB each", run, "kib_each", "", False, _most(0.5)))
    # Less than the scheduler's account can tell from nothing.
    rows.append(Row("scale", "10,000 connections: idle CPU %", run, "idle_cpu_percent", "", False, _most(0.05)))
    return rows


ATTACKS = ("no-buffers", "never-reads", "credit-requests", "closed-port", "kicks", "empty-packets", "resets",
           "spoofed-sources", "malformed-chains", "front-end")
API_FLOOD = "api-flood"  # by clients of the API, not by a guest
VM_CAP_MIB = 64  # what one VM may make the back-end hold


def _attacks() -> list[Row]:
    rows = []
    for attack in (*ATTACKS, API_FLOOD):
        peer_can = attack != API_FLOOD  # it has no API
        talk = Run("sibling-latency", attack=attack, peer_can=peer_can)
        stream = Run("sibling", ("--write", "2048"), attack=attack, peer_can=peer_can)
        rows.append(Row("attack", f"{attack}: neighbours' p50, x control", talk, "p50_ratio", "", False))
        rows.append(Row("attack", f"{attack}: neighbours' p99, x control", talk, "p99_ratio", "", False, _most(2)))
        rows.append(Row("attack", f"{attack}: neighbours' Gbit/s, x control", stream, "gbit_ratio", target=_least(0.9)))
        rows.append(Row("attack", f"{attack}: memory grown, MiB", stream, "grown_mib", "", False, _most(VM_CAP_MIB)))
    return rows


def _verify() -> list[Row]:
    rows = []
    for command, options, name in (
        ("sibling", ("--write", "64"), "sibling 64 B, for packing"),
        ("sibling", ("--mixed-writes", "--connections", "8"), "sibling mixed writes x 8, for splitting"),
        ("host-to-guest", ("--write", "3001"), "host to guest 3,001 B"),
        ("guest-to-host", ("--mixed-writes",), "guest to host mixed writes"),
    ):
        guests = 2 if command == "sibling" else 1
        run = Run(command, (*options, "--verify"), guests, peer_can="--mixed-writes" not in options or guests == 1)
        rows.append(Row("verify", f"{name}: wrong streams", run, "wrong_streams", "", False, _most(0)))
    return rows


ROWS = _siblings() + _host() + _fairness() + _scale() + _attacks() + _verify()
GROUPS = list(dict.fromkeys(row.group for row in ROWS))


def select(rows: list[Row], groups: list[str], pattern: str) -> list[Row]:
    """Those of the groups (all, if none is named) whose key the regular expression finds. ValueError for a wrong one."""
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        raise ValueError(f"no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern}: {error}") from error
    return [row for row in rows if (not groups or row.group in groups) and wanted.search(row.key)]
