# SPDX-License-Identifier: Apache-2.0
"""A VM is deleted through the API in the middle of its traffic."""

import pathlib

import pytest

from harness.hybrid import is_closed
from harness.kinsockctl import Refused
from harness.stage import Stage
from harness.traffic import exchange, flow

_PORT = 5000


def test_the_siblings_streams_are_reset_and_the_vm_is_gone(own_stage: Stage) -> None:
    stays, goes = own_stage.boot("stays", "goes")
    traffic = flow(stays, goes, _PORT)

    own_stage.ctl.delete("goes", force=True)
    traffic.assert_cut(traffic.caller)
    assert [vm["name"] for vm in own_stage.ctl.vms()] == ["vms/stays"]
    assert not pathlib.Path(goes.vhost_user_socket).exists()
    assert not goes.hybrid.path.exists()
    refused = stays.guest.run(f"vsocktool refused --connect {goes.at(_PORT)}")
    assert refused["errno"] == "ECONNRESET"

    [comes] = own_stage.boot("comes")
    assert comes.cid != goes.cid, "a freed CID rests before it is given out again"
    exchange(stays, comes, _PORT)


def test_host_programs_see_the_end(own_stage: Stage) -> None:
    [goes] = own_stage.boot("goes")
    goes.guest.serve(f"vsocktool echo --listen {_PORT}")
    with goes.hybrid.dial(_PORT) as stream:
        own_stage.ctl.delete("goes", force=True)
        assert is_closed(stream.socket)


def test_an_attached_vm_is_deleted_only_by_force(own_stage: Stage) -> None:
    stays, goes = own_stage.boot("stays", "goes")
    traffic = flow(stays, goes, _PORT)
    with pytest.raises(Refused, match="force"):
        own_stage.ctl.delete("goes")
    assert own_stage.ctl.state("goes") == "ACTIVE"
    assert traffic.running()
    exchange(goes, stays, _PORT + 1)
