# SPDX-License-Identifier: Apache-2.0
"""The command line of the product, as a script uses it."""

import json
import pathlib
import subprocess
import typing

from harness import programs
from harness.deadline import Overdue

_COMMAND_SECONDS = 60

# The protobuf JSON of a message.
Json = dict[str, typing.Any]


class Refused(AssertionError):
    """kinsockctl ended with another status than 0."""

    def __init__(self, command: list[str], status: int, message: str) -> None:
        super().__init__(f"{' '.join(command)}: status {status}: {message.strip()}")
        self.status = status
        self.message = message


class Kinsockctl:
    """Talks to one daemon."""

    def __init__(self, api_socket: pathlib.Path) -> None:
        self.endpoint = f"unix:{api_socket}"

    def text(self, *words: str) -> str:
        """Runs a command as it is and returns what it printed."""
        command = [str(programs.kinsockctl()), "--endpoint", self.endpoint, *words]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=_COMMAND_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Overdue(f"waited {_COMMAND_SECONDS} s for {' '.join(command)}") from None
        if done.returncode != 0:
            raise Refused(command, done.returncode, done.stderr)
        return done.stdout

    def json(self, *words: str) -> typing.Any:
        output = self.text(*words, "-o", "json")
        try:
            return json.loads(output)
        except json.JSONDecodeError as error:
            printed = f"kinsockctl {' '.join(words)} -o json printed no JSON"
            raise AssertionError(f"{printed} ({error}): {output!r}") from None

    def create(self, name: str, *options: str) -> Json:
        created: Json = self.json("vm", "create", name, *options)
        return created

    def delete(self, name: str, *, force: bool = False) -> None:
        self.text("vm", "delete", name, *(["--force"] if force else []))

    def vm(self, name: str) -> Json:
        known: Json = self.json("vm", "get", name)
        return known

    def state(self, name: str) -> str:
        return str(self.vm(name)["status"]["state"])

    def vms(self) -> list[Json]:
        return _items(self.json("vm", "list"), "vms")

    def wait(self, name: str, state: str, seconds: int = 30) -> None:
        self.text("vm", "wait", name, f"--for={state}", "--timeout", f"{seconds}s")

    def connections(self) -> list[Json]:
        return _items(self.json("conn", "list"), "connections")


def _items(listing: typing.Any, key: str) -> list[Json]:
    """A list is printed either bare or as the API's response message, whose empty fields JSON leaves out."""
    items: list[Json] = listing if isinstance(listing, list) else listing.get(key, [])
    return items
