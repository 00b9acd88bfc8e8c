# SPDX-License-Identifier: Apache-2.0
"""An administrator with grpcurl and no proto files."""

import contextlib
import json
import subprocess
import typing

import pytest

from harness import programs
from harness.kinsockctl import Json
from harness.stage import Stage


def grpcurl(stage: Stage, *words: str, data: Json | None = None) -> str:
    options = [] if data is None else ["-d", json.dumps(data)]
    command = [str(programs.grpcurl()), "-plaintext", *options, f"unix://{stage.daemon.api_socket}", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


def call(stage: Stage, method: str, **request: object) -> Json:
    answer: Json = json.loads(grpcurl(stage, method, data=request))
    return answer


def watch(stage: Stage, method: str) -> typing.Iterator[Json]:
    """The messages of a stream, as they come. Close it to end the stream."""
    command = [str(programs.grpcurl()), "-plaintext", "-max-time", "60", "-d", "{}",
               f"unix://{stage.daemon.api_socket}", method]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            text = ""
            for line in process.stdout or []:
                text += line
                if line == "}\n":
                    yield json.loads(text)
                    text = ""
        finally:
            process.kill()


def test_it_lists_the_services(stage: Stage) -> None:
    services = grpcurl(stage, "list").split()
    assert {"kinsock.v1.VmService", "kinsock.v1.ConnectionService", "kinsock.v1.AdminService",
            "grpc.health.v1.Health"} <= set(services)


@pytest.mark.parametrize("service", ["kinsock.v1.VmService", "kinsock.v1.ConnectionService",
                                     "kinsock.v1.AdminService", "grpc.health.v1.Health"])
def test_it_describes_every_method(stage: Stage, service: str) -> None:
    methods = grpcurl(stage, "list", service).split()
    assert methods
    for method in methods:
        assert "rpc" in grpcurl(stage, "describe", method)


def test_it_describes_messages(stage: Stage) -> None:
    assert "vhost_user_socket" in grpcurl(stage, "describe", "kinsock.v1.VmSpec")


def test_it_creates_lists_and_deletes_a_vm(stage: Stage) -> None:
    spec = {"cid": {"staticCid": 4711}, "vhostUserSocket": str(stage.scratch / "g.vhost"),
            "uds": {"path": str(stage.scratch / "g.uds")}}
    created = call(stage, "kinsock.v1.VmService/CreateVm", vmId="g", vm={"spec": spec})
    assert created["name"] == "vms/g"
    assert created["status"]["cid"] == 4711
    listed = call(stage, "kinsock.v1.VmService/ListVms")
    assert [vm["name"] for vm in listed["vms"]] == ["vms/g"]
    call(stage, "kinsock.v1.VmService/DeleteVm", name="vms/g")
    assert call(stage, "kinsock.v1.VmService/ListVms").get("vms", []) == []


def test_errors_have_a_code_and_a_reason(stage: Stage) -> None:
    with pytest.raises(RuntimeError, match="(?s)NotFound.*VM_NOT_FOUND"):
        call(stage, "kinsock.v1.VmService/GetVm", name="vms/nobody")
    with pytest.raises(RuntimeError, match="(?s)InvalidArgument.*FIELD_INVALID"):
        call(stage, "kinsock.v1.VmService/CreateVm", vmId="x", vm={"spec": {"cid": {"staticCid": 2}}})


def test_health_is_served(stage: Stage) -> None:
    services = ("", "kinsock.v1.VmService", "kinsock.v1.NetworkService", "kinsock.v1.ForwardService", "kinsock.dataplane")
    for service in services:
        assert call(stage, "grpc.health.v1.Health/Check", service=service)["status"] == "SERVING"


def test_info_names_the_version(stage: Stage) -> None:
    assert call(stage, "kinsock.v1.AdminService/GetInfo")["version"]


def test_a_vm_is_created_watched_patched_drained_and_deleted(stage: Stage) -> None:
    with contextlib.closing(watch(stage, "kinsock.v1.VmService/WatchVms")) as messages:
        assert next(messages)["type"] == "SYNCED"
        created = call(stage, "kinsock.v1.VmService/CreateVm", vmId="p", requestId="p-1")
        assert call(stage, "kinsock.v1.VmService/CreateVm", vmId="p", requestId="p-1")["uid"] == created["uid"]
        patch: Json = {"vm": {"name": "vms/p", "labels": {"tier": "web"}}, "updateMask": {"paths": ["labels"]}, "etag": created["etag"]}
        assert call(stage, "kinsock.v1.VmService/UpdateVm", **patch)["labels"] == {"tier": "web"}
        with pytest.raises(RuntimeError, match="(?s)Aborted.*ETAG_MISMATCH"):
            call(stage, "kinsock.v1.VmService/UpdateVm", **patch)
        call(stage, "kinsock.v1.VmService/DrainVm", name="vms/p")
        call(stage, "kinsock.v1.VmService/WaitVm", name="vms/p", state="DRAINED")
        call(stage, "kinsock.v1.VmService/DeleteVm", name="vms/p")
        seen = [next(messages)]
        while seen[-1]["type"] != "DELETED":
            seen.append(next(messages))
        assert {message["vm"]["uid"] for message in seen} == {created["uid"]}
        assert seen[-1]["vm"]["labels"] == {"tier": "web"}
