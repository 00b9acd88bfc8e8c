#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Makes a manual page of what is written elsewhere.

    page.py --name kinsockctl --section 1 --what "what it is, in a line" [--options FILE] TEXT.md...

The texts are in Markdown, as those in docs/: what stands before the first "## " becomes the description, each "## " a section.
--options: what the program prints when it is called with __man, which --help is made of, too; it comes after the description.
"""

import argparse
import pathlib
import re
import subprocess
import sys

_SOURCE = "kinsock"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--section", required=True)
    parser.add_argument("--what", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--options", type=pathlib.Path)
    parser.add_argument("texts", nargs="+", type=pathlib.Path)
    options = parser.parse_args()

    head = f'.TH "{options.name.upper()}" "{options.section}" "" "{_SOURCE} {options.version}" ""\n'
    head += f".SH NAME\n{options.name} \\- {options.what}\n"
    sections = [section for text in options.texts for section in split(text.read_text())]
    description = [body for title, body in sections if not title]
    rest = [f".SH {title.upper()}\n{body}" for title, body in sections if title]
    own = options.options.read_text() if options.options else ""
    sys.stdout.write(head + ".SH DESCRIPTION\n" + ".PP\n".join(description) + own + "".join(rest))


def split(text: str) -> list[tuple[str, str]]:
    """The sections of a text, with their titles; the first has none. Their bodies are for man(7)."""
    parts = re.split(r"^## (.*)\n", re.sub(r"^(<!--.*-->\n)?# .*\n", "", text), flags=re.MULTILINE)
    return [("", to_man(parts[0]))] + [(title, to_man(body)) for title, body in zip(parts[1::2], parts[2::2])]


def to_man(text: str) -> str:
    plain = re.sub(r"!?\[([^\]]+)\]\([^)]*\)", r"\1", without_tables(text))
    done = subprocess.run(["lowdown", "-Tman", "--parse-no-metadata"], input=plain, capture_output=True, text=True, check=True)
    man = re.sub(r"^(\.\\\".*\n)?", "", done.stdout)
    # A terminal has one width for all letters: what is to be typed is bold there.
    return re.sub(r"^\.LP$", ".PP", man, flags=re.MULTILINE).replace(r"\fC", r"\fB").lstrip("\n")


def without_tables(text: str) -> str:
    """Tables as lists of definitions: a terminal has not the width for them."""
    lines: list[str] = []
    heads: list[str] = []
    for line in text.split("\n"):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not line.startswith("|"):
            heads = []
            lines.append(line)
        elif not heads:
            heads = cells
        elif not re.fullmatch(r"[-: |]+", line):
            lines += ["", cells[0], "", f": {definition(heads[1:], cells[1:])}", ""]
    return "\n".join(lines)


def definition(heads: list[str], cells: list[str]) -> str:
    """The first column after the term speaks for itself; the others say whose word it is."""
    said = [f"{head}: {cell}" if head and index else cell for index, (head, cell) in enumerate(zip(heads, cells)) if cell]
    return "; ".join(said) or "-"


if __name__ == "__main__":
    main()
