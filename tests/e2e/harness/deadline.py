# SPDX-License-Identifier: Apache-2.0
"""Waiting for something to become true."""

import time
import typing

T = typing.TypeVar("T")

_POLL_SECONDS = 0.01


class Overdue(AssertionError):
    """Something did not happen in time. The message says what."""


class Deadline:
    """A moment after which waiting is given up."""

    def __init__(self, seconds: float, awaited: str) -> None:
        self._awaited = awaited
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds to go; raises Overdue when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.overdue()
        return left

    def overdue(self, observed: str = "") -> Overdue:
        seen = f"; instead: {observed}" if observed else ""
        return Overdue(f"waited {self._seconds:g} s for {self._awaited}{seen}")

    def hopeless(self, reason: str) -> Overdue:
        """For when it cannot happen any more, however long one waits."""
        return Overdue(f"waited for {self._awaited}, but {reason}")


def wait_until(awaited: str, condition: typing.Callable[[], T], seconds: float) -> T:
    """Polls until `condition` returns something true, and returns that."""
    deadline = Deadline(seconds, awaited)
    while True:
        result = condition()
        if result:
            return result
        time.sleep(min(_POLL_SECONDS, deadline.left()))
