#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures vhost-user vsock back-ends side by side.

    bench/compare.py --ours bazel-bin/server/kinsockd --peer "$(bench/install-peer)"

Every round measures each row once for each back-end and once for the limit of the machine, in turn, so that a machine
whose speed drifts is fair to all. Reported are medians over the rounds, their spread, ratios of medians ("x peer" and
"x limit" say how many times better), and whether the target of the row is met. --peer may be left out. The table goes to
standard output and, with --json FILE, every single figure to a file. Exits 0 also where targets are not met.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import sys
import time

import backends
import rows as table
import verdict

_QUICK_ROUNDS = 1
_QUICK_MILLISECONDS = 200


def derive(figures: dict[str, float], one: dict[str, float], guests: int) -> dict[str, float]:
    """Adds what each further VM costs, beyond a back-end that serves `one`."""
    if guests < 2 or not one:
        return figures
    return figures | {f"{name}_each": (figures[figure] - one[figure]) / (guests - 1)
                      for name, figure in (("own_kib", "own_kib"), ("descriptors", "descriptors"))}


class Comparison:
    """Runs rounds and keeps every figure: by row key, then by who, a value for each round."""

    def __init__(self, meter: backends.Meter, rows: list[table.Row], programs: dict[str, list[str]]):
        self._meter = meter
        self._rows = rows
        self._programs = programs
        self._runs = list(dict.fromkeys(row.run for row in rows))
        self.results: dict[str, dict[str, list[float | None]]] = {
            row.key: {who: [] for who in (*programs, "limit")} for row in rows}
        self.all_figures: list[dict] = []

    def round(self, number: int, of: int) -> None:
        # Whoever is first finds the machine in another state than who is second: take turns.
        order = list(self._programs) if number % 2 else list(reversed(self._programs))
        singles: dict[str, dict[str, float]] = {}
        for place, run in enumerate(self._runs):
            what = " ".join((run.attack, run.command, *run.options)).strip()
            print(f"\rround {number}/{of}, {place + 1}/{len(self._runs)}: {what:70.70}", end="", file=sys.stderr, flush=True)
            for who in order:
                figures = self._measure(who, run)
                if run.command == "idle" and run.guests == 1:
                    singles[who] = figures
                elif run.command == "idle" and figures:
                    if who not in singles:
                        singles[who] = self._measure(who, table.Run("idle", guests=1))
                    figures = derive(figures, singles[who], run.guests)
                self._keep(number, who, run, figures)
            self._keep(number, "limit", run, self._limit(run))

    def _measure(self, who: str, run: table.Run) -> dict[str, float]:
        if who == "peer" and not run.peer_can:
            return {}
        try:
            return self._meter.run(self._programs[who], run)
        except (RuntimeError, OSError, ValueError) as error:
            print(f"\n  {who}: {error}", file=sys.stderr)
            return {}

    def _limit(self, run: table.Run) -> dict[str, float]:
        try:
            return self._meter.limit(run.limit, ()) if run.limit else {}
        except RuntimeError as error:
            print(f"\n  limit: {error}", file=sys.stderr)
            return {}

    def _keep(self, number: int, who: str, run: table.Run, figures: dict[str, float]) -> None:
        self.all_figures.append({"round": number, "who": who, "command": run.command, "options": run.options,
                                 "guests": run.guests, "attack": run.attack, "figures": figures})
        for row in self._rows:
            if row.run == run:
                name = row.limit_figure if who == "limit" else row.figure
                self.results[row.key][who].append(figures.get(name))

    def met(self, row: table.Row) -> bool | None:
        if row.target is None:
            return None
        other = self.results.get(row.target.key, {}).get("ours", ())
        return verdict.met(row.target, self.results[row.key], row.higher_is_better, other)


def cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.3g}" if abs(value) < 1000 or math.isinf(value) else f"{value:,.0f}"


def print_table(comparison: Comparison, rows: list[table.Row]) -> None:
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            print(f"\n### {group}\n\n| measure | kinsockd | min-max | peer | limit | x peer | x limit | at least | |\n"
                  "|---|---|---|---|---|---|---|---|---|")
        figures = comparison.results[row.key]
        ours, peer, limit = (verdict.median(figures.get(who, ())) for who in ("ours", "peer", "limit"))
        least_most = verdict.spread(figures["ours"])
        cells = [row.title, cell(ours), "-" if least_most is None else "-".join(cell(value) for value in least_most),
                 cell(peer), cell(limit), cell(verdict.times_better(ours, peer, row.higher_is_better)),
                 cell(verdict.times_better(ours, limit, row.higher_is_better)),
                 str(row.target or ""), verdict.word(comparison.met(row)) if row.target else ""]
        print(f"| {' | '.join(cells)} |")


def report(comparison: Comparison, rows: list[table.Row], options: argparse.Namespace) -> dict:
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "architecture": platform.machine()},
        "rounds": options.rounds,
        "milliseconds": options.milliseconds,
        "rows": [{"group": row.group, "title": row.title, "figure": row.figure,
                  "values": comparison.results[row.key],
                  "medians": {who: verdict.median(values) for who, values in comparison.results[row.key].items()},
                  "target": str(row.target) if row.target else None, "met": comparison.met(row)} for row in rows],
        "runs": comparison.all_figures,
    }


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[table.Row]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default="bazel-bin/server/kinsockd", help="kinsockd (%(default)s)")
    parser.add_argument("--ours-args", default="", help="further arguments for it, in one word")
    parser.add_argument("--peer", help="vhost-device-vsock, or anything that takes its --vm")
    parser.add_argument("--load", default="bazel-bin/bench/vsock_load", help="the load generator (%(default)s)")
    parser.add_argument("--flood", default="bazel-bin/bench/control/control_load", help="floods the API (%(default)s)")
    parser.add_argument("--rounds", type=int, help="rounds (5)")
    parser.add_argument("--milliseconds", type=int, help="of each measurement (1000)")
    parser.add_argument("--quick", action="store_true",
                        help=f"{_QUICK_ROUNDS} round of {_QUICK_MILLISECONDS} ms each, to see that all works")
    parser.add_argument("--group", action="append", default=[], help=f"{', '.join(table.GROUPS)}; may be repeated (all)")
    parser.add_argument("--rows", default="", help="only rows whose \"group: title\" matches this regular expression")
    parser.add_argument("--list", action="store_true", help="print the rows and their targets, measure nothing")
    parser.add_argument("--json", help="a file for every figure")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (_QUICK_ROUNDS if options.quick else 5)
    options.milliseconds = options.milliseconds or (_QUICK_MILLISECONDS if options.quick else 1000)
    try:
        chosen = table.select(table.ROWS, options.group, options.rows)
    except ValueError as error:
        parser.error(str(error))
    if not chosen:
        parser.error("no row matches; see --list")
    if options.rounds < 1 or options.milliseconds < 10:
        parser.error("at least 1 round of 10 ms")
    return options, chosen


def main() -> None:
    options, rows = parse(sys.argv[1:])
    if options.list:
        for row in rows:
            print(f"{row.key}{f'  ({row.target})' if row.target else ''}")
        return
    backends.raise_descriptor_limit()
    programs = {"ours": [options.ours, *options.ours_args.split()]}
    if options.peer:
        programs["peer"] = [options.peer]
    comparison = Comparison(backends.Meter(options.load, options.milliseconds, options.flood), rows, programs)
    for number in range(1, options.rounds + 1):
        comparison.round(number, options.rounds)
    print(file=sys.stderr)
    print(f"Medians of {options.rounds} rounds of {options.milliseconds} ms, {os.cpu_count()} CPUs, "
          f"Linux {platform.release()}.")
    print_table(comparison, rows)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(report(comparison, rows, options), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
