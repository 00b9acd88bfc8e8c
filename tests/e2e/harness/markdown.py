# SPDX-License-Identifier: Apache-2.0
"""What a page of the documentation has readers run, and what it has its test do (docs/README.md, "Commands in these pages")."""

import dataclasses
import pathlib
import re
import shlex

# ```LANGUAGE WORD WORD, or <!-- test: ... -->, which readers do not see.
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")
_HIDDEN = re.compile(r"^<!-- test: ?(?P<text>.*)$")

LANGUAGES = {"sh", "yaml", "ini", "text", "hidden"}


class BadPage(AssertionError):
    """A block that says not, or not rightly, how it is to be tested."""


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block, or one hidden direction."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def first_command(self) -> str:
        return next((line for line in self.text.splitlines() if line.strip() and not line.startswith("#")), "")

    def option(self, name: str) -> str | None:
        """The value of NAME=VALUE behind the language."""
        for word in self.words:
            if word.startswith(f"{name}="):
                return word.partition("=")[2]
        return None

    def commands(self) -> list[str]:
        """One by one; a command may have several lines."""
        found: list[str] = []
        pending = ""
        for line in self.text.splitlines():
            pending += line + "\n"
            if line.endswith("\\"):
                continue
            try:
                words = shlex.split(pending, comments=True)
            except ValueError:  # a quotation that is still open
                continue
            if words:
                found.append(pending)
            pending = ""
        return found


def blocks(page: str, path: pathlib.Path) -> list[Block]:
    found = []
    lines = iter(enumerate(path.read_text().splitlines(), 1))
    for number, line in lines:
        if fence := _FENCE.match(line):
            indent = len(fence["indent"])
            text = []
            for _, inside in lines:
                if inside.strip() == "```":
                    break
                text.append(inside[indent:])
            else:
                raise BadPage(f"{page}:{number}: a block without an end")
            language, *words = fence["info"].split() or [""]
            found.append(Block(page, number, language, tuple(words), "\n".join(text) + "\n"))
        elif hidden := _HIDDEN.match(line):
            text = [hidden["text"]]
            while not text[-1].rstrip().endswith("-->"):
                try:
                    text.append(next(lines)[1])
                except StopIteration:
                    raise BadPage(f"{page}:{number}: a direction without an end") from None
            direction = "\n".join(text).rstrip().removesuffix("-->")
            words = direction.split("\n", 1)[0].split()
            found.append(Block(page, number, "hidden", tuple(words), direction.partition("\n")[2]))
    return found


def inline_commands(path: pathlib.Path, program: str) -> list[tuple[int, str]]:
    """What stands in running text as `PROGRAM ...`, with its line."""
    text = re.sub(r"^ *```.*?^ *```$", lambda block: "\n" * block[0].count("\n"), path.read_text(),
                  flags=re.MULTILINE | re.DOTALL)
    found = []
    for match in re.finditer(rf"`({program} [^`]+)`", text):
        found.append((text[:match.start()].count("\n") + 1, " ".join(match[1].split())))
    return found


def links(path: pathlib.Path) -> list[str]:
    """Relative ones, without what stands behind #."""
    found = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
    return [link.partition("#")[0] for link in found if "://" not in link and not link.startswith("#")]
