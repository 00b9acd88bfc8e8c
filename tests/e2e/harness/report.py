# SPDX-License-Identifier: Apache-2.0
"""What vsocktool says: lines of an event and its "key=value" words."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Report:
    event: str
    fields: dict[str, str]

    def __getitem__(self, key: str) -> str:
        return self.fields[key]

    def number(self, key: str) -> float:
        return float(self.fields[key])


def parse(text: str) -> list[Report]:
    """The reports in `text`; an unfinished last line is left out."""
    return [_parse_line(line) for line in text.split("\n")[:-1] if line]


def _parse_line(line: str) -> Report:
    event, *words = line.split(" ")
    return Report(event, dict(word.split("=", 1) for word in words if "=" in word))
