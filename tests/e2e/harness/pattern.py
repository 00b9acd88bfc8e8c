# SPDX-License-Identifier: Apache-2.0
"""The bytes of test streams, for host programs. They are vsocktool's: nothing is written twice."""

import functools
import hashlib
import subprocess

from harness import programs


@functools.lru_cache(maxsize=4)
def pattern(seed: int, size: int) -> bytes:
    """The first `size` bytes of stream `seed`."""
    command = [str(programs.vsocktool()), "pattern", "--seed", str(seed), "--bytes", str(size)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def check(received: bytes, seed: int, size: int) -> None:
    """Raises with an explanation (what was lost, repeated, ...) unless these are the bytes of stream `seed`."""
    if received == pattern(seed, size):
        return
    command = [str(programs.vsocktool()), "check", "--seed", str(seed), "--bytes", str(size)]
    verdict = subprocess.run(command, input=received, stdout=subprocess.PIPE, check=False).stdout.decode()
    raise AssertionError(f"stream {seed} came wrong: {verdict}")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
