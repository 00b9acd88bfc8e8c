# SPDX-License-Identifier: Apache-2.0
"""A newcomer with Debian's python3-grpcio and the proto files, who makes himself a client and uses it."""

import pathlib
import subprocess
import sys
import typing

import grpc
import pytest

from harness.stage import Stage

_API = pathlib.Path(__file__).resolve().parents[2] / "api"
_PATIENCE_S = 30


class Client:
    """The stubs of all services on one channel, and the modules with their messages."""

    def __init__(self, generated: pathlib.Path, api_socket: pathlib.Path) -> None:
        sys.path.insert(0, str(generated))
        from google.protobuf import field_mask_pb2  # noqa: PLC0415
        from kinsock.v1 import vm_pb2, vm_service_pb2, vm_service_pb2_grpc, watch_pb2  # noqa: PLC0415
        self.field_mask = field_mask_pb2
        self.vm = vm_pb2
        self.service = vm_service_pb2
        self.watch = watch_pb2
        self._channel = grpc.insecure_channel(f"unix:{api_socket}")
        self.vms = vm_service_pb2_grpc.VmServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()


@pytest.fixture(name="client")
def make_client(stage: Stage, tmp_path: pathlib.Path) -> typing.Iterator[Client]:
    protos = sorted(str(path.relative_to(_API)) for path in (_API / "kinsock").rglob("*.proto"))
    subprocess.run(["protoc", "-I", str(_API), f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}",
                    "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", *protos], check=True, timeout=60)
    client = Client(tmp_path, stage.daemon.api_socket)
    yield client
    client.close()


def test_a_vm_is_created_watched_patched_drained_and_deleted(client: Client) -> None:
    types = client.service.WatchVmsResponse
    watch = client.vms.WatchVms(client.watch.WatchRequest(), timeout=_PATIENCE_S)
    assert next(watch).type == types.SYNCED

    created = client.vms.CreateVm(client.service.CreateVmRequest(vm_id="new", request_id="first"), timeout=_PATIENCE_S)
    assert created.name == "vms/new"
    assert created.status.state == client.vm.VmStatus.LISTENING
    seen = next(watch)
    while seen.vm.status.state != client.vm.VmStatus.LISTENING:
        seen = next(watch)
    assert seen.vm.uid == created.uid
    again = client.vms.CreateVm(client.service.CreateVmRequest(vm_id="new", request_id="first"), timeout=_PATIENCE_S)
    assert again.uid == created.uid

    patch = client.service.UpdateVmRequest(vm=client.vm.Vm(name="vms/new", labels={"tier": "web"}), etag=created.etag,
                                           update_mask=client.field_mask.FieldMask(paths=["labels"]))
    patched = client.vms.UpdateVm(patch, timeout=_PATIENCE_S)
    assert dict(patched.labels) == {"tier": "web"}
    assert patched.generation == created.generation + 1
    with pytest.raises(grpc.RpcError) as stale:
        client.vms.UpdateVm(patch, timeout=_PATIENCE_S)
    assert stale.value.code() == grpc.StatusCode.ABORTED

    drained = client.vms.DrainVm(client.service.DrainVmRequest(name="vms/new"), timeout=_PATIENCE_S)
    assert drained.status.state in (client.vm.VmStatus.DRAINING, client.vm.VmStatus.DRAINED)
    client.vms.WaitVm(client.service.WaitVmRequest(name="vms/new", state=client.vm.VmStatus.DRAINED), timeout=_PATIENCE_S)
    client.vms.DeleteVm(client.service.DeleteVmRequest(name="vms/new"), timeout=_PATIENCE_S)
    while seen.type != types.DELETED:
        seen = next(watch)
    assert seen.vm.uid == created.uid
    watch.cancel()


def test_an_error_says_which_field(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        client.vms.CreateVm(client.service.CreateVmRequest(vm_id="NOT A NAME"), timeout=_PATIENCE_S)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "vm_id" in refused.value.details()
