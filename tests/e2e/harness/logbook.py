# SPDX-License-Identifier: Apache-2.0
"""Knows every log that is being written, so that a failure can show them."""

import pathlib

_TAIL_BYTES = 16_000

_logs: dict[str, pathlib.Path] = {}


def register(title: str, path: pathlib.Path) -> None:
    _logs[title] = path


def forget(path: pathlib.Path) -> None:
    for title in [title for title, known in _logs.items() if known == path]:
        del _logs[title]


def tails() -> dict[str, str]:
    """The end of every log, by title."""
    return {title: tail(path) for title, path in _logs.items()}


def tail(path: pathlib.Path) -> str:
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return log.read().decode(errors="replace")
    except OSError as error:
        return f"({error})"
