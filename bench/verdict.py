# SPDX-License-Identifier: Apache-2.0
"""What the figures of several rounds say: medians, spreads, ratios, and whether a target is met."""

import dataclasses
import enum
import statistics
import typing

Figures = typing.Sequence[float | None]


class Kind(enum.Enum):
    """What a row's median is held against."""

    TIMES_PEER = "x peer"  # so many times better than the peer
    OF_LIMIT = "x limit"  # this part of what the machine could do, or better
    AT_LEAST = ">="
    AT_MOST = "<="
    SAME_AS = "same as"  # as the row of that key


@dataclasses.dataclass(frozen=True)
class Target:
    """The least that a row should show. `key` names the other row of SAME_AS."""

    kind: Kind
    bound: float = 1.0
    key: str = ""

    def __str__(self) -> str:
        if self.kind is Kind.SAME_AS:
            return f"same as {self.key}"
        if self.kind in (Kind.AT_LEAST, Kind.AT_MOST):
            return f"{self.kind.value} {self.bound:,g}"
        return f"{self.bound:g} {self.kind.value}"


def median(values: Figures) -> float | None:
    """Of the rounds that gave a figure. None if none did."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def spread(values: Figures) -> tuple[float, float] | None:
    """Least and greatest."""
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None


def times_better(ours: float | None, other: float | None, higher_is_better: bool) -> float | None:
    """How many times better `ours` is. None if that cannot be said."""
    over, under = (ours, other) if higher_is_better else (other, ours)
    if over is None or under is None:
        return None
    if under == 0:
        return None if over == 0 else float("inf")
    return over / under


def met(target: Target, figures: dict[str, Figures], higher_is_better: bool, other: Figures = ()) -> bool | None:
    """Whether the medians of `figures` ("ours", "peer", "limit") reach the target. `other`: those of its SAME_AS row.

    None if something that it needs was not measured.
    """
    ours, peer, limit = (median(figures.get(who, ())) for who in ("ours", "peer", "limit"))
    if ours is None:
        return None
    if target.kind is Kind.AT_LEAST:
        return ours >= target.bound
    if target.kind is Kind.AT_MOST:
        return ours <= target.bound
    if target.kind is Kind.SAME_AS:
        same = median(other)
        return None if same is None else ours == same
    better = times_better(ours, peer if target.kind is Kind.TIMES_PEER else limit, higher_is_better)
    return None if better is None else better >= target.bound


def word(verdict: bool | None) -> str:
    """For the table."""
    return "-" if verdict is None else "pass" if verdict else "short"
