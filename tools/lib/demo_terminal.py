# SPDX-License-Identifier: Apache-2.0
"""Numbered steps on a terminal: what is done, how far it is, how long it took, and whether it worked.

On a terminal the running step shows its progress in place; into a file or a pipe every step is plain lines. Colour only
on a terminal, and not if NO_COLOR is set (no-color.org).
"""

import contextlib
import os
import shutil
import sys
import threading
import time
import typing

_REDRAW_SECONDS = 0.2
_SPINNER = "|/-\\"


class Step:
    """One running step."""

    def __init__(self, terminal: "Terminal", heading: str) -> None:
        self._terminal = terminal
        self._heading = heading
        self._start = time.monotonic()
        self._progress = ""
        self._facts: list[str] = []
        self._ended = threading.Event()
        self._drawing = threading.Thread(target=self._redraw, daemon=True)
        if terminal.live:
            self._drawing.start()
        else:
            terminal.write(heading + "\n")

    def progress(self, text: str) -> None:
        """How far it is; seen on a terminal only."""
        self._progress = text

    def tell(self, text: str) -> None:
        """A fact worth keeping on the screen; on a terminal it comes below the step's line when that is final."""
        lines = [f"          {line}\n" for line in text.rstrip("\n").split("\n")]
        if self._terminal.live:
            self._facts += lines
        else:
            self._terminal.write("".join(lines))

    def end(self, mark: str, colour: str) -> None:
        seconds = f"{time.monotonic() - self._start:.1f} s"
        self._ended.set()
        if not self._terminal.live:
            self._terminal.write(f"        {mark} {seconds}\n")
            return
        self._drawing.join()
        self._terminal.clear_line()
        self._terminal.write(f"{self._terminal.colour(mark, colour)} {self._heading}  {seconds}\n")
        self._terminal.write("".join(self._facts))

    def _redraw(self) -> None:
        turn = 0
        while not self._ended.wait(_REDRAW_SECONDS):
            seconds = time.monotonic() - self._start
            line = f"{_SPINNER[turn % 4]} {self._heading}  {seconds:.0f} s  {self._progress}"
            self._terminal.clear_line()
            self._terminal.write(line[: self._terminal.columns - 1])
            turn += 1


class Terminal:
    """Standard output. While a step runs on a terminal only the step's own thread writes."""

    def __init__(self, first_step: int, last_step: int) -> None:
        self.live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.columns = shutil.get_terminal_size().columns
        self._next = first_step
        self._last = last_step
        unicode = "utf" in (sys.stdout.encoding or "").lower()
        self._tick, self._cross = ("\u2713", "\u2717") if unicode else ("+", "x")

    @contextlib.contextmanager
    def step(self, title: str) -> typing.Iterator[Step]:
        step = Step(self, f"[{self._next:2}/{self._last}] {title}")
        self._next += 1
        try:
            yield step
        except BaseException:
            step.end(self._cross, "31")
            raise
        step.end(self._tick, "32")

    def colour(self, text: str, code: str) -> str:
        plain = not self.live or "NO_COLOR" in os.environ
        return text if plain else f"\033[{code}m{text}\033[0m"

    def clear_line(self) -> None:
        if self.live:
            self.write("\r\033[K")

    def write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
