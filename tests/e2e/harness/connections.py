# SPDX-License-Identifier: Apache-2.0
"""What the API says about the connections between two VMs."""

from harness.kinsockctl import Json, Kinsockctl
from harness.stage import Vm


def between(ctl: Kinsockctl, initiator: Vm, target: Vm) -> list[Json]:
    """The live connections that `initiator` made to `target`, as protobuf JSON of kinsock.v1.Connection."""
    return [known for known in ctl.connections() if _ends(known) == (initiator.cid, target.cid) and _live(known)]


def bytes_between(ctl: Kinsockctl, initiator: Vm, target: Vm) -> int:
    """How much they carried so far, both ways. JSON writes 64-bit numbers as strings, and leaves out zeros."""
    flows = [known.get(way, {}) for known in between(ctl, initiator, target) for way in ("toTarget", "toInitiator")]
    return sum(int(flow.get("bytes", 0)) for flow in flows)


def _ends(connection: Json) -> tuple[int, int]:
    return connection["initiator"].get("cid", 0), connection["target"].get("cid", 0)


def _live(connection: Json) -> bool:
    return connection.get("state") in ("CONNECTING", "ESTABLISHED", "HALF_CLOSED", "CLOSING")
