# SPDX-License-Identifier: Apache-2.0
"""Every command of the documentation runs, every configuration in it is good, and every link leads somewhere.

docs/README.md says how a block tells what is to become of it.
"""

import contextlib
import itertools
import os
import pathlib
import re
import subprocess

import pytest

from harness import programs
from harness.docs_machine import Machine
from harness.docs_not_run import NOT_RUN
from harness.markdown import LANGUAGES, BadPage, Block, blocks, inline_commands, links

_ROOT = pathlib.Path(__file__).absolute().parents[2]
_PAGES = sorted(str(path.relative_to(_ROOT)) for pattern in ("README.md", "SECURITY.md", "docs/*.md", "docs/adr/*.md", "examples/*/README.md")
                for path in _ROOT.glob(pattern))
# Where it all lies, what no test is given by Bazel included.
_SOURCES = (_ROOT / "README.md").resolve().parent
# The programs that are documented. In a block that is not run they would be missed.
_PROGRAMS = ("kinsockctl", "kinsockd", "grpcurl", "bazel-bin/")
_KNOWN_WORDS = {"sh": r"daemon|stays|silent|vmm|not-run|exit=\d+", "ini": "$^", "yaml": r"vm|apply|prometheus|not-run|file=\S+", "text": "$^", "hidden": ".*"}


def not_run(block: Block) -> bool:
    return "not-run" in block.words


def has_something_to_run(page: str) -> bool:
    return any(block.language in ("sh", "yaml", "ini") and not not_run(block) for block in blocks(page, _ROOT / page))


def check(block: Block) -> None:
    """Says what is missing if it is not clear what is to become of a block."""
    if block.language not in LANGUAGES:
        raise BadPage(f"{block.place}: begin the block with one of ```{', ```'.join(sorted(LANGUAGES - {'hidden'}))} (docs/README.md)")
    for word in block.words:
        if not re.fullmatch(_KNOWN_WORDS[block.language], word):
            raise BadPage(f"{block.place}: {word!r} means nothing behind ```{block.language} (docs/README.md)")
    if block.language == "text":
        for line in block.text.splitlines():
            if line.startswith(_PROGRAMS):
                raise BadPage(f"{block.place}: a command in a block that is not run: {line}")


@pytest.mark.parametrize("page", _PAGES)
def test_every_block_says_what_is_to_become_of_it(page: str) -> None:
    for block in blocks(page, _ROOT / page):
        check(block)


@pytest.mark.parametrize("page", ["```\nkinsockctl vm list\n```", "```bash\nkinsockctl vm list\n```", "```sh maybe\ntrue\n```",
                                  "  ```text\n  kinsockctl vm list\n  ```", "```sh\nkinsockctl vm list\n", "<!-- test: sh\ntrue\n"])
def test_a_block_that_would_escape_is_found(tmp_path: pathlib.Path, page: str) -> None:
    (tmp_path / "page.md").write_text(page)
    with pytest.raises(BadPage, match="page.md:1"):
        for block in blocks("page.md", tmp_path / "page.md"):
            check(block)


@pytest.mark.parametrize("block", ["```sh\nfalse | true\n```", "```sh exit=5\ntrue\n```", "```sh stays\necho done\n```",
                                   "```sh daemon\nkinsockd --no-such-flag\n```", "```yaml\nvm: []\n```"])
def test_what_goes_wrong_is_noticed(tmp_path: pathlib.Path, block: str) -> None:
    (tmp_path / "page.md").write_text(block)
    with contextlib.ExitStack() as stack, pytest.raises(AssertionError):
        machine = Machine(stack)
        machine.follow(blocks("page.md", tmp_path / "page.md")[0])


def test_what_is_not_run_is_listed_with_its_reason() -> None:
    found = {(page, block.first_command) for page in _PAGES for block in blocks(page, _ROOT / page) if not_run(block)}
    assert found == set(NOT_RUN), "harness/docs_not_run.py lists the blocks that are marked not-run, and no others"


@pytest.mark.parametrize("page", [page for page in _PAGES if has_something_to_run(page)])
def test_the_page_can_be_followed(page: str) -> None:
    assert os.environ.get("OWN_ROOT"), "the documentation's paths are used as they are: run this by own_root.sh"
    with contextlib.ExitStack() as stack:
        machine = Machine(stack)
        for block in blocks(page, _ROOT / page):
            if not_run(block):
                continue
            try:
                machine.follow(block)
            except AssertionError as error:
                raise AssertionError(f"{block.place}:\n{block.text}{error}\nThe daemon's log:\n{machine.daemon_log()}") from None
        machine.end()


def help_of(words: list[str]) -> str:
    return subprocess.run([programs.kinsockctl(), *words, "--help"], capture_output=True, text=True, timeout=30, check=False).stdout


@pytest.mark.parametrize("page", _PAGES)
def test_commands_in_running_text_exist(page: str) -> None:
    for line, command in inline_commands(_ROOT / page, "kinsockctl"):
        words = command.split()[1:]
        named = list(itertools.takewhile(lambda word: re.fullmatch("[a-z][a-z-]*", word), words))
        texts = [help_of([])]
        for depth, word in enumerate(named[:2], 1):
            if "\nSubcommands:\n" in texts[-1]:  # else it is an argument
                texts.append(help_of(named[:depth]))
                assert f"Usage: kinsockctl {' '.join(named[:depth])} [" in texts[-1], f"{page}:{line}: {command}: there is no {word}"
        for option in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", command):
            assert any(option in text for text in texts), f"{page}:{line}: {command}: there is no {option}"


@pytest.mark.parametrize("page", _PAGES)
def test_links_lead_somewhere(page: str) -> None:
    directory = (_SOURCES / page).parent
    for link in links(_ROOT / page):
        assert (directory / link).exists(), f"{page}: nothing is at {link}"


def test_tests_that_are_named_exist() -> None:
    """What is promised with the name of a test is promised as long as that test is there."""
    sources = "".join(path.read_text() for path in sorted(_SOURCES.glob("tests/**/*.cc")) + sorted(_SOURCES.glob("tests/e2e/test_*.py")))
    for page in _PAGES:
        text = (_ROOT / page).read_text()
        for suite, case in re.findall(r"`(\w+Test)\.(\w+)`", text):
            assert re.search(rf"TEST(_F|_P)?\({suite}, {case}\)", sources), f"{page}: there is no test {suite}.{case}"
        for case in re.findall(r"`(test_\w+)`", text):
            assert f"def {case}(" in sources, f"{page}: there is no {case}"


def test_every_page_is_in_the_index() -> None:
    listed = {os.path.normpath(f"docs/{link}") for link in links(_ROOT / "docs/README.md")}
    assert {page for page in _PAGES if re.fullmatch(r"docs/\w+\.md", page)} - {"docs/README.md"} <= listed
