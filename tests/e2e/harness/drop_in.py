# SPDX-License-Identifier: Apache-2.0
"""What docs/install.md has administrators write for systemd, written as it stands there, and taken back."""

import contextlib
import pathlib
import re
import typing

from harness.clean_root import CleanRoot
from harness.markdown import blocks

_PAGE = "docs/install.md"
_CONFIGURATION = "/etc/kinsock/kinsockd.yaml"
# Where `systemctl edit kinsock` writes.
_EDITED = "/etc/systemd/system/kinsock.service.d/override.conf"


def documented(root: pathlib.Path, setting: str) -> tuple[str, str]:
    """The file and the text of the one unit or drop-in of the page that has this line."""
    found = [block.text for block in blocks(_PAGE, root / _PAGE)
             if block.language == "ini" and setting in block.text.splitlines()]
    assert len(found) == 1, f"{_PAGE}: {len(found)} units or drop-ins with {setting}"
    first = found[0].splitlines()[0]
    where = re.match(r"# (?:(?P<file>/[^; ]+)|systemctl edit kinsock\b)", first)
    assert where, f"{_PAGE}: {first!r} does not tell the file"
    return where["file"] or _EDITED, found[0]


@contextlib.contextmanager
def written(machine: CleanRoot, *units: tuple[str, str], configuration: dict[str, str] | None = None) -> typing.Iterator[None]:
    """A service that was started anew with these files, and with this in place of that in its configuration."""
    before = machine.run("cat", _CONFIGURATION)
    changed = before
    for old, new in (configuration or {}).items():
        assert old in changed, f"{_CONFIGURATION} has no {old}"
        changed = changed.replace(old, new, 1)
    try:
        for path, text in units:
            machine.run("mkdir", "-p", str(pathlib.PurePath(path).parent))
            pathlib.Path(machine.outside(path)).write_text(text)
        pathlib.Path(machine.outside(_CONFIGURATION)).write_text(changed)
        restart(machine)
        yield
    finally:
        for path, _ in units:
            machine.run("rm", "-f", path)
        machine.run("rm", "-rf", "/etc/systemd/system/kinsock.service.d")
        pathlib.Path(machine.outside(_CONFIGURATION)).write_text(before)
        restart(machine)


def restart(machine: CleanRoot) -> None:
    """As an administrator does it, who does not do it so often that systemd would lose patience."""
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "reset-failed", "kinsock.service", check=False)
    try:
        machine.run("systemctl", "restart", "kinsock.service")
    except AssertionError as error:
        raise AssertionError(f"{error}{machine.run('journalctl', '--no-pager', '-n', '30', '-u', 'kinsock.service')}") from None
