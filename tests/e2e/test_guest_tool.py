# SPDX-License-Identifier: Apache-2.0
"""The tests' own tools, proven without the daemon: one guest talks to itself over the kernel's vsock loopback."""

import typing

import pytest

from harness.guest import Guest
from harness.scratch import Scratch

_PORT = 5000
_LOOPBACK = "1"  # VMADDR_CID_LOCAL


@pytest.fixture(scope="module")
def booted() -> typing.Iterator[Guest]:
    with Scratch() as scratch, Guest("alone", scratch, vsock_arguments=[]) as alone:
        alone.wait_booted()
        alone.run("modprobe vsock_loopback")
        yield alone


@pytest.fixture
def guest(booted: Guest) -> typing.Iterator[Guest]:
    yield booted
    booted.quiet()


def test_a_stream_is_checked_and_hashed(guest: Guest) -> None:
    receiving = guest.serve(f"vsocktool receive --listen {_PORT} --bytes 4M --seed 3 --sha256")
    sent = guest.run(f"vsocktool send --connect {_LOOPBACK}:{_PORT} --bytes 4M --seed 3 --sha256")
    received = receiving.succeed(10)
    theirs = guest.start("vsocktool pattern --bytes 4M --seed 3 | sha256sum").wait(30)
    assert received["verdict"] == "exact"
    assert received["sha256"] == sent["sha256"] == theirs.out.split()[0]


def test_a_stream_of_another_seed_is_noticed(guest: Guest) -> None:
    receiving = guest.serve(f"vsocktool receive --listen {_PORT} --bytes 1M --seed 3")
    guest.run(f"vsocktool send --connect {_LOOPBACK}:{_PORT} --bytes 1M --seed 4")
    assert receiving.wait(10).status == 1
    assert "bytes_of_stream_4" in receiving.out


def test_a_short_stream_is_noticed(guest: Guest) -> None:
    receiving = guest.serve(f"vsocktool receive --listen {_PORT} --bytes 1M")
    guest.run(f"vsocktool send --connect {_LOOPBACK}:{_PORT} --bytes 1000K")
    assert receiving.wait(10).status == 1
    assert "received_1024000_of_1048576_bytes" in receiving.out


def test_question_and_answer(guest: Guest) -> None:
    answering = guest.serve(f"vsocktool answer --listen {_PORT} --bytes 1M")
    guest.run(f"vsocktool ask --connect {_LOOPBACK}:{_PORT} --bytes 1M")
    answering.succeed(10)


def test_visits_and_crowds(guest: Guest) -> None:
    guest.serve(f"vsocktool echo --listen {_PORT}")
    assert guest.run(f"vsocktool visits --connect {_LOOPBACK}:{_PORT} --count 20 --bytes 1000")["count"] == "20"
    assert guest.run(f"vsocktool crowd --connect {_LOOPBACK}:{_PORT} --count 8 --bytes 100K")["count"] == "8"


def test_a_broken_connection_is_noticed_by_both_ends(guest: Guest) -> None:
    listener = guest.serve(f"vsocktool hold --listen {_PORT}")
    caller = guest.start(f"vsocktool hold --connect {_LOOPBACK}:{_PORT}")
    for process in (listener, caller):
        process.await_report("flowing", 20)
    caller.kill()
    assert listener.await_report("ended", 20)["send_errno"] in ("ECONNRESET", "EPIPE")
    assert caller.wait(10).status == 128 + 9


def test_a_refused_connect_says_so(guest: Guest) -> None:
    assert guest.run(f"vsocktool refused --connect {_LOOPBACK}:{_PORT}")["errno"] == "ECONNRESET"


def test_commands_run_side_by_side_and_keep_their_output_apart(guest: Guest) -> None:
    processes = [guest.start(f"for i in $(seq 100); do echo {name}; echo not-{name} >&2; done; exit {status}")
                 for status, name in enumerate(["zero", "one", "two"])]
    for status, name in enumerate(["zero", "one", "two"]):
        done = processes[status].wait(30)
        assert (done.status, done.out, done.err) == (status, f"{name}\n" * 100, f"not-{name}\n" * 100)


def test_a_reboot_ends_what_was_running(guest: Guest) -> None:
    sleeper = guest.start("echo started; cat /dev/zero > /dev/null")
    sleeper.await_report("started", 10)
    guest.reboot()
    assert sleeper.lost
    guest.run("modprobe vsock_loopback")
