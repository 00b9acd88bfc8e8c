# SPDX-License-Identifier: Apache-2.0
"""How compare.py reads its command line and keeps figures, with a meter that answers from a list."""

import pytest

import compare
import rows as table


class Meter:
    """Says how many VMs there are; costs 100 KiB and 10 KiB for each."""

    def run(self, command, run):
        if command == ["broken"]:
            raise RuntimeError("the back-end does not listen")
        return {"own_kib": 100 + 10 * run.guests, "descriptors": 5 + 7 * run.guests, "threads": 3}

    def limit(self, limit, options):
        return {}


def compared(pattern, programs):
    rows = table.select(table.ROWS, ["scale"], pattern)
    comparison = compare.Comparison(Meter(), rows, programs)
    comparison.round(1, 2)
    comparison.round(2, 2)
    return comparison, {row.key: row for row in rows}


def test_each_further_vm_is_told_from_the_first(capsys):
    comparison, _ = compared("1,000 VMs: (own KiB|descriptors) each", {"ours": ["kinsockd"]})
    assert comparison.results["scale: 1,000 VMs: own KiB each"]["ours"] == [10, 10]
    assert comparison.results["scale: 1,000 VMs: descriptors each"]["ours"] == [7, 7]


def test_threads_are_held_against_one_vm(capsys):
    comparison, rows = compared("threads", {"ours": ["kinsockd"]})
    assert comparison.met(rows["scale: 1,000 VMs: threads"]) is True


def test_a_back_end_that_fails_leaves_holes_and_the_other_goes_on(capsys):
    comparison, _ = compared("100 VMs: threads", {"ours": ["kinsockd"], "peer": ["broken"]})
    assert comparison.results["scale: 100 VMs: threads"] == {"ours": [3, 3], "peer": [None, None], "limit": [None, None]}


def test_quick_and_explicit_rounds():
    assert compare.parse(["--quick"])[0].rounds == 1
    assert compare.parse([])[0].rounds == 5
    options, rows = compare.parse(["--quick", "--rounds", "3", "--group", "verify"])
    assert options.rounds == 3
    assert {row.group for row in rows} == {"verify"}


@pytest.mark.parametrize("arguments", [["--rows", "no such row"], ["--group", "none"], ["--rows", "("], ["--rounds", "-1"]])
def test_what_cannot_be_measured_is_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        compare.parse(arguments)


def test_cells():
    assert [compare.cell(value) for value in (None, 0.12345, 1234.5, float("inf"))] == ["-", "0.123", "1,234", "inf"]
