# SPDX-License-Identifier: Apache-2.0
"""The static probes in kinsockd are those that the documentation tells of, and the scripts that are shipped use no others."""

import dataclasses
import pathlib
import re
import subprocess

import pytest

_DAEMON = pathlib.Path("server/kinsockd")
_PAGE = pathlib.Path("docs/observability.md")
_SCRIPTS = sorted(pathlib.Path("deploy/bpftrace").glob("*.bt"))
# bpftrace knows arg0 to arg5 on amd64.
_MOST_ARGUMENTS = 6


@dataclasses.dataclass(frozen=True)
class Site:
    """A place in the program where a probe is."""
    provider: str
    name: str
    location: int
    arguments: tuple[str, ...]


def sites(program: pathlib.Path) -> list[Site]:
    """What `readelf` makes of the notes of `program`."""
    notes = subprocess.run(["readelf", "--notes", "--wide", program], check=True, capture_output=True, text=True).stdout
    found = re.findall(r"Provider: (\S+)\s+Name: (\S+)\s+Location: (0x[0-9a-f]+),[^\n]*\s+Arguments: ([^\n]*)", notes)
    return [Site(provider, name, int(location, 16), tuple(arguments.split()))
            for provider, name, location, arguments in found]


def text(program: pathlib.Path) -> range:
    """The addresses of its code."""
    listed = subprocess.run(["readelf", "--sections", "--wide", program], check=True, capture_output=True, text=True).stdout
    address, size = re.search(r" \.text +PROGBITS +([0-9a-f]+) +[0-9a-f]+ +([0-9a-f]+) ", listed).groups()
    return range(int(address, 16), int(address, 16) + int(size, 16))


def documented() -> dict[str, list[str]]:
    """The arguments of each probe, from the table of the page."""
    section = re.search(r"^## Probes\n(.*?)^## ", _PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL).group(1)
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", section, re.MULTILINE)
    return {name: re.findall(r"`(\w+)`", arguments) for name, arguments in rows}


def used(script: pathlib.Path) -> list[tuple[str, str, int]]:
    """Of each block of a script that is about probes: the program, the probe, how many arguments have to be there."""
    code = re.sub(r"//[^\n]*", "", script.read_text(encoding="utf-8"))
    blocks = re.findall(r"^((?:usdt:[^\n]*\n)+)(.*?)^\}", code, re.MULTILINE | re.DOTALL)
    uses = []
    for heads, body in blocks:
        most = max((int(number) + 1 for number in re.findall(r"\barg(\d+)\b", body)), default=0)
        uses += [(program, f"{provider}:{name}", most)
                 for program, provider, name in re.findall(r"usdt:([^:\s]+):(\w+):(\w+)", heads)]
    return uses


def test_each_probe_is_there_with_the_arguments_that_are_documented() -> None:
    table = documented()
    assert set(table) == {"packet", "conn_open", "conn_close", "credit_stall", "vhost_msg"}
    there = [site for site in sites(_DAEMON) if site.provider == "kinsock"]
    assert {site.name for site in there} == set(table)
    for site in there:
        assert len(site.arguments) == len(table[site.name]), site
        assert len(site.arguments) <= _MOST_ARGUMENTS, site


def test_each_probe_is_in_the_code_and_costs_no_store_of_its_arguments() -> None:
    code = text(_DAEMON)
    for site in sites(_DAEMON):
        assert site.location in code, f"{site} is in a function that the linker has thrown away: KINSOCK_HAS_PROBE is missing"
        for argument in site.arguments:
            assert re.fullmatch(r"-?[1248]@(%\w+|\$-?\d+)", argument), f"{site}: {argument} is no register and no constant"


def test_they_stay_when_a_package_is_made(tmp_path: pathlib.Path) -> None:
    stripped = tmp_path / "kinsockd"
    subprocess.run(["strip", "--remove-section=.comment", "--remove-section=.note", "-o", stripped, _DAEMON], check=True)
    assert sites(stripped) == sites(_DAEMON)


@pytest.mark.parametrize("script", _SCRIPTS, ids=lambda script: script.name)
def test_a_script_uses_probes_and_arguments_that_there_are(script: pathlib.Path) -> None:
    arguments = {f"{site.provider}:{site.name}": len(site.arguments) for site in sites(_DAEMON)}
    uses = used(script)
    assert uses
    for program, probe, most in uses:
        assert program == "/usr/sbin/kinsockd", "where the package has it"
        assert probe in arguments, f"kinsockd has no probe {probe}"
        assert most <= arguments[probe], f"{probe} has no argument arg{most - 1}"


def test_every_probe_is_used_by_a_script() -> None:
    assert {probe for script in _SCRIPTS for _, probe, _ in used(script)} == {
        f"kinsock:{name}" for name in documented()}
