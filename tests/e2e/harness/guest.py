# SPDX-License-Identifier: Apache-2.0
"""A virtual machine with a real Linux in it, under QEMU."""

import pathlib
import socket
import typing

from harness import accelerator, logbook, programs
from harness.child import Child
from harness.control import Control, GuestProcess
from harness.deadline import Overdue, wait_until
from harness.image import guest_image
from harness.qmp import Qmp
from harness.report import Report
from harness.scratch import Scratch

# Two guests that start together on two cores under emulation are up in about four seconds.
_BOOT_SECONDS = 90

_MEMORY = "256M"

_PANIC = "Kernel panic"


def qemu_vsock_arguments(vhost_user_socket: str) -> list[str]:
    """A vsock device whose back-end listens on this socket, and the shared memory that it needs."""
    return ["-object", f"memory-backend-memfd,id=mem0,size={_MEMORY},share=on", "-machine", "memory-backend=mem0",
            "-chardev", f"socket,id=kinsock0,path={vhost_user_socket}",
            "-device", "vhost-user-vsock-pci,chardev=kinsock0"]


class Guest:
    """From power-on to power-off. Construct it in the main thread (see Child)."""

    def __init__(self, name: str, scratch: Scratch, vsock_arguments: typing.Sequence[str],
                 initrd: pathlib.Path | None = None) -> None:
        self.name = name
        self._initrd = initrd or guest_image().initrd
        self._closed = False
        self._console = scratch / f"{name}.console"
        control, control_of_qemu = socket.socketpair()
        monitor, monitor_of_qemu = socket.socketpair()
        with control_of_qemu, monitor_of_qemu:
            command = self._qemu_command(control_of_qemu.fileno(), monitor_of_qemu.fileno(), vsock_arguments)
            self._qemu = Child(f"QEMU of {name}", command, scratch / f"{name}.qemu",
                               pass_fds=(control_of_qemu.fileno(), monitor_of_qemu.fileno()))
        logbook.register(f"console of {name}", self._console)
        self.control = Control(name, control)
        self.qmp = Qmp(monitor)

    def _qemu_command(self, control_fd: int, monitor_fd: int, vsock: typing.Sequence[str]) -> list[str]:
        image = guest_image()
        return [str(programs.qemu()), *accelerator.accelerator(), "-name", self.name,
                "-machine", "q35", "-m", _MEMORY, "-smp", "1", "-nodefaults", "-display", "none",
                "-kernel", str(image.kernel), "-initrd", str(self._initrd), "-append", "console=ttyS0",
                "-serial", f"file:{self._console}",
                "-chardev", f"socket,id=monitor,fd={monitor_fd}", "-mon", "chardev=monitor,mode=control",
                "-chardev", f"socket,id=control,fd={control_fd}",
                "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=control",
                *vsock]

    @property
    def pid(self) -> int:
        return self._qemu.pid

    def wait_booted(self, boots: int = 1) -> "Guest":
        """Until the guest has come up so many times."""
        def up() -> bool:
            self._qemu.check_running()
            if _PANIC in logbook.tail(self._console):
                raise AssertionError(f"{self.name} panicked:\n{logbook.tail(self._console)}")
            return self.control.boots >= boots

        try:
            wait_until(f"{self.name} to boot", up, _BOOT_SECONDS)
        except Overdue as overdue:
            raise AssertionError(f"{overdue}; its console:\n{logbook.tail(self._console)}") from None
        return self

    def start(self, command: str) -> GuestProcess:
        """Starts a shell command and returns at once."""
        return self.control.start(command)

    def run(self, command: str, seconds: float = 30) -> Report:
        """Runs a shell command that must succeed. Returns the last thing it reported."""
        return self.start(command).succeed(seconds)

    def serve(self, command: str) -> GuestProcess:
        """Starts a command that listens, and returns when it does."""
        process = self.start(command)
        process.await_report("listening", 10)
        return process

    def quiet(self) -> None:
        """Ends every command that still runs in the guest."""
        self.control.kill_all(10)

    def cid(self) -> int:
        """Who the guest itself believes it is."""
        return int(self.run("vsocktool cid")["value"])

    def reboot(self) -> None:
        """Presses the reset button and waits until the guest is up again."""
        before = self.control.boots
        self.qmp.command("system_reset")
        self.wait_booted(before + 1)

    def pause(self) -> None:
        self.qmp.command("stop")

    def resume(self) -> None:
        self.qmp.command("cont")

    def kill(self) -> None:
        """The VMM is gone from one moment to the next."""
        self._qemu.kill()

    def close(self) -> None:
        """Ends it; once is enough."""
        self._qemu.kill()
        if self._closed:
            return
        self._closed = True
        self.qmp.close()
        self.control.close()
        logbook.forget(self._console)
        logbook.forget(self._qemu.log)

    def __enter__(self) -> "Guest":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
