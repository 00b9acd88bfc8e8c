# SPDX-License-Identifier: Apache-2.0
"""The stages that tests share, and what is shown when one fails."""

import signal
import typing

import pytest

from harness import logbook
from harness.stage import Stage, Vm


def pytest_configure() -> None:
    # A test runner that loses patience sends this first: end in order, so that nothing is left behind.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("SIGTERM", 1))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> typing.Generator[None, typing.Any, None]:
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        report.sections.extend(logbook.tails().items())


@pytest.fixture(scope="module")
def stage() -> typing.Iterator[Stage]:
    """One daemon for all tests of a file. Each test leaves it running."""
    with Stage() as shared:
        yield shared
        end_in_order(shared)


@pytest.fixture(scope="module")
def booted_pair(stage: Stage) -> list[Vm]:
    """Two booted siblings for all tests of a file."""
    return stage.boot("a", "b")


@pytest.fixture
def pair(booted_pair: list[Vm]) -> typing.Iterator[list[Vm]]:
    """The siblings of this file. What a test leaves running in them is ended; tests that break one use `own_stage`."""
    yield booted_pair
    for vm in booted_pair:
        vm.guest.quiet()


@pytest.fixture
def own_stage() -> typing.Iterator[Stage]:
    """A daemon for one test alone."""
    with Stage() as own:
        yield own
        end_in_order(own)


def end_in_order(used: Stage) -> None:
    """Whatever happened, the daemon lived through it, and stops when it is asked to, guests or not."""
    used.daemon.check_running()
    status = used.daemon.stop()
    assert status == 0, f"kinsockd ended with status {status}; its log:\n{used.daemon.log_tail()}"
