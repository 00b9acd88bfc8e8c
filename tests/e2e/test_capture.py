# SPDX-License-Identifier: Apache-2.0
"""What two guests say to each other is seen with `kinsockctl capture`, packet by packet, by tshark."""

import typing

import pytest

from harness import pattern
from harness.capture import REQUEST, RESPONSE, RST, RW, SHUTDOWN, Capture, Packet
from harness.kinsockctl import Refused
from harness.stage import Stage, Vm

_PORT = 5000
_BYTES = 200_000  # more than one packet of Linux, and less than a window
_SEED = 7
_FILTER = ("--filter", f"port={_PORT} op!=credit_update,credit_request")


@pytest.fixture(scope="module")
def stage() -> typing.Iterator[Stage]:
    """Admins may see payload here."""
    with Stage("--capture-payload") as shared:
        yield shared
        assert shared.daemon.stop() == 0


@pytest.fixture(scope="module")
def talkers(stage: Stage) -> list[Vm]:
    return stage.boot("web", "db")


def _talk(web: Vm, db: Vm) -> None:
    """One connection, from `web` to `db`, which carries bytes that way and is closed."""
    receiving = db.guest.serve(f"vsocktool receive --listen {_PORT} --bytes {_BYTES} --seed {_SEED}")
    web.guest.run(f"vsocktool send --connect {db.at(_PORT)} --bytes {_BYTES} --seed {_SEED}")
    receiving.succeed(10)


def _ops(packets: list[Packet]) -> list[int]:
    """What happens, without how often: the payload's packets are one."""
    ops = [packet.op for packet in packets]
    return [op for before, op in zip([None, *ops], ops, strict=False) if op != before]


def _data(packets: list[Packet]) -> list[Packet]:
    return [packet for packet in packets if packet.op == RW]


def test_a_connection_from_its_handshake_to_its_end(stage: Stage, talkers: list[Vm]) -> None:
    web, db = talkers
    capture = Capture(stage, *_FILTER)
    _talk(web, db)
    seen = capture.end()
    assert set(seen) == {"web:from_guest", "db:to_guest", "db:from_guest", "web:to_guest"}
    # Seen twice: as it is sent, and as it is given to the other.
    for asked in (seen["web:from_guest"], seen["db:to_guest"]):
        assert _ops(asked)[:2] == [REQUEST, RW]
        assert set(_ops(asked)[2:]) <= {SHUTDOWN, RST}
        assert SHUTDOWN in _ops(asked)
        assert {(packet.src_cid, packet.dst_cid, packet.dst_port) for packet in asked} == {(web.cid, db.cid, _PORT)}
        assert sum(packet.length for packet in _data(asked)) == _BYTES
        assert len(_data(asked)) > 1
    for answered in (seen["db:from_guest"], seen["web:to_guest"]):
        assert _ops(answered)[0] == RESPONSE
        assert set(_ops(answered)[1:]) <= {SHUTDOWN, RST}
        assert {(packet.src_cid, packet.dst_cid) for packet in answered} == {(db.cid, web.cid)}
    assert RST in _ops(seen["web:from_guest"]) + _ops(seen["db:from_guest"]), "somebody has the last word"
    assert all(packet.payload == b"" for packets in seen.values() for packet in packets), "nobody has asked for it"


def test_payload_is_what_was_said(stage: Stage, talkers: list[Vm]) -> None:
    web, db = talkers
    capture = Capture(stage, "--payload", *_FILTER)
    _talk(web, db)
    seen = capture.end()
    for said in (seen["web:from_guest"], seen["db:to_guest"]):
        pattern.check(b"".join(packet.payload for packet in _data(said)), _SEED, _BYTES)


def test_payload_is_not_for_those_whose_daemon_does_not_allow_it(own_stage: Stage) -> None:
    with pytest.raises(Refused, match="PAYLOAD_NOT_ALLOWED") as refused:
        own_stage.ctl.text("capture", "--payload", "-w", str(own_stage.scratch / "none.pcapng"))
    assert refused.value.status == 5
    assert not (own_stage.scratch / "none.pcapng").exists()
