#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a capture costs two guests that send as fast as they can, and how much of it a client of the API gets.

In turn, in one run against one kinsockd each: without a capture, with one of headers, and with one of payload, which
`kinsockctl capture -w -` writes away. Prints medians, and ratios to the guests without a capture.
"""

import argparse
import contextlib
import json
import pathlib
import re
import statistics
import subprocess
import sys

from backends import Backend

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_MODES = {"off": None, "headers": [], "payload": ["--payload"]}
_SUMMARY = re.compile(r"(\d+) packets? captured, (\d+) lost(?:, (\d+) without)?")


def measure(args: argparse.Namespace, mode: list[str] | None, write: int) -> dict[str, float]:
    """The figures of one stretch on a daemon of its own."""
    command = [args.kinsockd, "--capture-payload", "--reactors", str(args.reactors)]
    with contextlib.closing(Backend(command, 2, with_api=True)) as backend, contextlib.ExitStack() as stack:
        capture = None
        if mode is not None:
            capture = stack.enter_context(subprocess.Popen(
                [args.kinsockctl, "--endpoint", f"unix:{backend.api}", "capture", "-w", "-", *mode],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE))
            stack.callback(capture.kill)
            if not capture.stdout.read(1):
                raise RuntimeError(f"the capture did not begin: {capture.stderr.read().decode()[-300:]}")
            sink = stack.enter_context(subprocess.Popen(["cat"], stdin=capture.stdout, stdout=subprocess.DEVNULL))
            capture.stdout.close()
        load = subprocess.run(
            [args.vsock_load, "sibling", *backend.arguments(backend.cids), "--write", str(write), "--milliseconds",
             str(args.milliseconds)], capture_output=True, text=True, timeout=180, check=True)
        figures = json.loads(load.stdout)
        if capture is not None:
            capture.terminate()
            said = capture.stderr.read().decode()
            capture.wait(30)
            sink.wait(30)
            found = _SUMMARY.search(said)
            if found is None:
                raise RuntimeError(f"the capture says {said[-300:]}")
            captured, lost, cut = (int(number or 0) for number in found.groups())
            figures |= {"captured": captured, "lost": lost, "cut": cut, "lost_percent": 100 * lost / max(1, captured + lost)}
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--milliseconds", type=int, default=1000)
    parser.add_argument("--reactors", type=int, default=1)
    parser.add_argument("--writes", type=int, nargs="+", default=[64, 2048, 65536])
    parser.add_argument("--json", help="write all figures there")
    parser.add_argument("--kinsockd", default=str(_ROOT / "bazel-bin/server/kinsockd"))
    parser.add_argument("--kinsockctl", default=str(_ROOT / "bazel-bin/cli/kinsockctl"))
    parser.add_argument("--vsock-load", default=str(_ROOT / "bazel-bin/bench/vsock_load"))
    args = parser.parse_args()
    all_figures = []
    print(f"{'writes':>8} {'capture':8} {'Gbit/s':>8} {'x off':>6} {'per CPU-s':>9} {'x off':>6} {'captured':>10} {'lost':>10} {'lost %':>7} {'cut':>8}")
    for write in args.writes:
        rounds: dict[str, list[dict[str, float]]] = {mode: [] for mode in _MODES}
        for number in range(args.rounds):
            order = list(_MODES.items())
            for mode, flags in order[number % 3:] + order[:number % 3]:  # they take turns in being first
                rounds[mode].append(measure(args, flags, write))
                print(f"\r{write} B, round {number + 1}, {mode}   ", end="", file=sys.stderr, flush=True)
        print("\r\033[K", end="", file=sys.stderr)

        def median(mode: str, figure: str) -> float:
            return statistics.median(each.get(figure, 0) for each in rounds[mode])

        for mode in _MODES:
            rate, per_cpu = median(mode, "gbit_per_s"), median(mode, "gbit_per_cpu_s")
            print(f"{write:>8} {mode:8} {rate:8.3g} {rate / median('off', 'gbit_per_s'):6.2f} {per_cpu:9.3g} "
                  f"{per_cpu / median('off', 'gbit_per_cpu_s'):6.2f} {median(mode, 'captured'):10,.0f} "
                  f"{median(mode, 'lost'):10,.0f} {median(mode, 'lost_percent'):7.1f} {median(mode, 'cut'):8,.0f}")
        all_figures.append({"write": write, "rounds": rounds})
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(all_figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
