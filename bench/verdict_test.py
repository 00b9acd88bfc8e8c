# SPDX-License-Identifier: Apache-2.0
"""When a target is met, and which rows are chosen."""

import pytest

import rows as table
from verdict import Kind, Target, median, met, spread, times_better, word


def test_median_and_spread_leave_out_rounds_without_a_figure():
    assert median([3, None, 1, 2]) == 2
    assert spread([3, None, 1]) == (1, 3)
    assert median([None]) is None
    assert spread([]) is None


def test_lower_is_better_turns_the_ratio():
    assert times_better(10, 5, True) == 2
    assert times_better(10, 5, False) == 0.5
    assert times_better(5, 0, True) == float("inf")
    assert times_better(0, 0, True) is None
    assert times_better(None, 5, True) is None


@pytest.mark.parametrize(
    "target, ours, higher, verdict",
    [
        (Target(Kind.TIMES_PEER, 5), 50, True, True),
        (Target(Kind.TIMES_PEER, 5), 49, True, False),
        (Target(Kind.TIMES_PEER, 2), 5, False, True),
        (Target(Kind.TIMES_PEER, 2), 6, False, False),
        (Target(Kind.OF_LIMIT, 0.5), 50, True, True),
        (Target(Kind.OF_LIMIT, 0.5), 49, True, False),
        (Target(Kind.AT_LEAST, 40), 40, True, True),
        (Target(Kind.AT_LEAST, 40), 39.9, True, False),
        (Target(Kind.AT_MOST, 2), 2, False, True),
        (Target(Kind.AT_MOST, 2), 2.1, False, False),
        (Target(Kind.AT_MOST, 0), 0, False, True),
    ],
)
def test_targets(target, ours, higher, verdict):
    assert met(target, {"ours": [ours], "peer": [10], "limit": [100]}, higher) is verdict


def test_same_as_another_row():
    target = Target(Kind.SAME_AS, key="scale: 1 VM: threads")
    assert met(target, {"ours": [3]}, False, [3]) is True
    assert met(target, {"ours": [4]}, False, [3]) is False
    assert met(target, {"ours": [4]}, False) is None


def test_what_was_not_measured_is_neither_pass_nor_short():
    assert met(Target(Kind.TIMES_PEER, 5), {"ours": [50], "peer": []}, True) is None
    assert met(Target(Kind.AT_LEAST, 5), {"ours": [None]}, True) is None
    assert [word(verdict) for verdict in (True, False, None)] == ["pass", "short", "-"]


def test_rows_are_chosen_by_group_and_pattern():
    assert table.select(table.ROWS, [], "") == table.ROWS
    assert {row.group for row in table.select(table.ROWS, ["host", "scale"], "")} == {"host", "scale"}
    chosen = table.select(table.ROWS, ["sibling"], "^sibling: 64 B x 1,.*second$")
    assert [row.figure for row in chosen] == ["gbit_per_cpu_s"]
    with pytest.raises(ValueError, match="there are sibling"):
        table.select(table.ROWS, ["sibblings"], "")
    with pytest.raises(ValueError):
        table.select(table.ROWS, [], "(")


def test_keys_are_unique_and_targets_name_rows_that_exist():
    keys = [row.key for row in table.ROWS]
    assert len(set(keys)) == len(keys)
    for row in table.ROWS:
        if row.target is not None and row.target.kind is Kind.SAME_AS:
            assert row.target.key in keys
        if row.target is not None and row.target.kind is Kind.OF_LIMIT:
            assert row.limit_figure and row.run.limit
