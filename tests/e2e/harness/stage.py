# SPDX-License-Identifier: Apache-2.0
"""One daemon and the VMs it serves: what a test, or the demo, plays on."""

import contextlib
import dataclasses
import pathlib
import typing

from harness.daemon import Daemon
from harness.guest import Guest, qemu_vsock_arguments
from harness.hybrid import HybridSocket
from harness.kinsockctl import Json, Kinsockctl
from harness.scratch import Scratch


@dataclasses.dataclass
class Vm:
    """A VM that the daemon knows, and the guest that runs in it."""

    name: str
    cid: int
    vhost_user_socket: str
    hybrid: HybridSocket  # of no use if the VM has no such socket
    guest: Guest

    def at(self, port: int) -> str:
        """What a sibling connects to."""
        return f"{self.cid}:{port}"


class Stage:
    """Everything on it ends when it is closed. Use it from the main thread (see Child)."""

    def __init__(self, *arguments: str) -> None:
        """`arguments`: of the daemon."""
        with contextlib.ExitStack() as stack:
            self.scratch = stack.enter_context(Scratch())
            self.daemon = stack.enter_context(Daemon(self.scratch, *arguments))
            self._everything = stack.pop_all()

    @property
    def ctl(self) -> Kinsockctl:
        return self.daemon.ctl

    def create(self, name: str, *options: str) -> Json:
        """Creates a VM with both sockets in the scratch directory. Returns what the API says of it."""
        return self.ctl.create(name, "--socket", str(self.scratch / f"{name}.vhost"),
                               "--uds-path", str(self.scratch / f"{name}.uds"), *options)

    def launch(self, vm: Json, vsock_arguments: typing.Sequence[str] | None = None,
               initrd: pathlib.Path | None = None) -> Vm:
        """Starts the guest of a created VM; it boots while we go on. `initrd`: in place of the usual one."""
        status = vm["status"]
        name = vm["name"].removeprefix("vms/")
        path = status["vhostUserSocket"]
        guest = Guest(name, self.scratch, vsock_arguments or qemu_vsock_arguments(path), initrd)
        self._everything.callback(guest.close)
        return Vm(name, status["cid"], path, HybridSocket(status.get("udsPath", "")), guest)

    def relaunch(self, vm: Vm) -> None:
        """A new VMM for the same VM."""
        vm.guest = Guest(vm.name, self.scratch, qemu_vsock_arguments(vm.vhost_user_socket))
        self._everything.callback(vm.guest.close)

    def await_active(self, *vms: Vm) -> None:
        """Until the guests have booted and the daemon says that their devices work."""
        for vm in vms:
            vm.guest.wait_booted()
            self.ctl.wait(vm.name, "ACTIVE")

    def boot(self, *names: str, options: typing.Sequence[str] = (), initrd: pathlib.Path | None = None) -> list[Vm]:
        """Creates VMs and boots their guests side by side."""
        created = [self.create(name, *options) for name in names]
        vms = [self.launch(vm, initrd=initrd) for vm in created]
        self.await_active(*vms)
        return vms

    def close(self) -> None:
        self._everything.close()

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
