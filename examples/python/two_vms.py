#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes two VMs, waits until their guests are there, and prints what they send and get.

Run ./generate first. The VMs are deleted at the end, also after Ctrl-C, unless --keep is given.
"""

import argparse
import contextlib
import pathlib
import signal
import sys
import threading
import time
import uuid

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "stubs"))

from google.protobuf.duration_pb2 import Duration  # noqa: E402
from kinsock.v1 import connection_service_pb2, connection_service_pb2_grpc  # noqa: E402
from kinsock.v1 import vm_pb2, vm_service_pb2, vm_service_pb2_grpc  # noqa: E402

import errors  # noqa: E402

# Every call says how long it may take: one without a deadline waits for ever for a daemon that hangs.
CALL_SECONDS = 30


def main() -> int:
    options = parse_options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: in order
    try:
        with grpc.insecure_channel(options.endpoint) as channel, contextlib.ExitStack() as at_end:
            vms = vm_service_pb2_grpc.VmServiceStub(channel)
            for name in options.names:
                vm = create(vms, name)
                if not options.keep:
                    at_end.callback(delete, vms, vm)
                print(f"{vm.name}: CID {vm.status.cid}; start its VMM now: kinsockctl vmm-args {name}", flush=True)
            for name in options.names:
                wait(vms, name, options.patience)
                print(f"vms/{name}: ACTIVE", flush=True)
            print_traffic(channel, options.names, options.seconds)
    except grpc.RpcError as error:
        print(f"two_vms.py: {errors.describe(error)}", file=sys.stderr)
        return 1
    except TimeoutError as error:
        print(f"two_vms.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def create(vms: vm_service_pb2_grpc.VmServiceStub, name: str) -> vm_pb2.Vm:
    """When it returns, both sockets listen and the CID is fixed. Only then start the VMM.

    The request_id makes the call safe to repeat: when an answer is lost, the same call with the same id gets the result of
    the first, instead of VM_EXISTS.
    """
    request = vm_service_pb2.CreateVmRequest(vm_id=name, request_id=str(uuid.uuid4()),
                                             vm=vm_pb2.Vm(spec=vm_pb2.VmSpec(groups=["two-vms"])))
    for attempt in range(3):
        try:
            # Ask again only when it cannot be known whether the first call was carried out.
            return vms.CreateVm(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or attempt == 2:
                raise
    raise AssertionError("not reached")


def wait(vms: vm_service_pb2_grpc.VmServiceStub, name: str, seconds: float) -> None:
    """Until the guest's driver runs: packets flow. The call itself waits; there is nothing to poll."""
    try:
        vms.WaitVm(vm_service_pb2.WaitVmRequest(name=f"vms/{name}", state=vm_pb2.VmStatus.ACTIVE), timeout=seconds)
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            raise TimeoutError(f"vms/{name} was not ACTIVE within {seconds:g} s; kinsockctl vm get {name} says why") from None
        raise


def delete(vms: vm_service_pb2_grpc.VmServiceStub, vm: vm_pb2.Vm) -> None:
    """The uid makes sure that it is the VM that was made here, and `force` that a running VMM does not keep it."""
    vms.DeleteVm(vm_service_pb2.DeleteVmRequest(name=vm.name, uid=vm.uid, force=True, allow_missing=True),
                 timeout=CALL_SECONDS)


def print_traffic(channel: grpc.Channel, names: list[str], seconds: float) -> None:
    """One stream for each VM, each read by a thread of its own."""
    connections = connection_service_pb2_grpc.ConnectionServiceStub(channel)
    streams = []
    for name in names:
        request = connection_service_pb2.StreamStatsRequest(scope=connection_service_pb2.GetStatsRequest.VM,
                                                            vm=f"vms/{name}", interval=Duration(seconds=1))
        streams.append(connections.StreamStats(request))
    failures: list[grpc.RpcError] = []
    readers = [threading.Thread(target=read, args=(stream, failures)) for stream in streams]
    try:
        for reader in readers:
            reader.start()
        end = time.monotonic() + seconds
        for reader in readers:
            reader.join(max(0.0, end - time.monotonic()))  # earlier if the stream fails
    finally:
        for stream in streams:
            stream.cancel()
        for reader in readers:
            reader.join()
    if failures:
        raise failures[0]


def read(stream, failures: list[grpc.RpcError]) -> None:
    try:
        for report in stream:
            print(line_of(report), flush=True)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.CANCELLED:  # by ourselves, at the end
            failures.append(error)


def line_of(report: connection_service_pb2.StatsReport) -> str:
    """The first report tells all since the VM was made; those after it what was added, and in which time."""
    sent, got = report.stats.from_guest, report.stats.to_guest
    if not report.HasField("interval"):
        return f"{report.vm}: so far {sent.sibling_bytes + sent.host_bytes} bytes sent, {got.sibling_bytes + got.host_bytes} got"
    # A reader that was slow gets one report for several intervals, so divide by what it says, not by what was asked for.
    elapsed = report.interval.ToTimedelta().total_seconds()
    megabytes = [count / elapsed / 1e6 for count in (sent.sibling_bytes, got.sibling_bytes, sent.host_bytes, got.host_bytes)]
    return "{}: siblings {:.1f} MB/s sent, {:.1f} got; host {:.1f} sent, {:.1f} got".format(report.vm, *megabytes)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Makes two VMs, waits for their guests, and prints their traffic.")
    parser.add_argument("names", nargs=2, metavar="NAME")
    parser.add_argument("--endpoint", default="unix:/run/kinsock/api.sock", help="the daemon's API (%(default)s)")
    parser.add_argument("--patience", type=float, default=300, help="seconds to wait for each guest (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="how long to print (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="do not delete the VMs at the end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
