# SPDX-License-Identifier: Apache-2.0
"""The messages of `vsocktool tell` and `hear`, for host programs."""

import typing

from harness.pattern import pattern


def messages(seed: int, count: int, most: int) -> typing.Iterator[bytes]:
    """From one byte to `most`, in no order; the last one has `most`."""
    for number in range(count):
        size = most if number + 1 == count else 1 + number * 40503 % most
        yield pattern(seed + number, size)
