# SPDX-License-Identifier: Apache-2.0
"""The vsock driver of a guest's Linux."""

from harness.guest import Guest

MODULE = "vmw_vsock_virtio_transport"

_PATH = f"/sys/bus/virtio/drivers/{MODULE}"


def device_of(guest: Guest) -> str:
    """The name of its vsock device on the virtio bus, while the driver has it."""
    return guest.start(f"cd {_PATH} && echo virtio*").wait(10).out.strip()


def unbind(guest: Guest, device: str) -> None:
    """Takes the driver off its device."""
    guest.run(f"echo {device} > {_PATH}/unbind")


def bind(guest: Guest, device: str) -> None:
    """Puts it back."""
    guest.run(f"echo {device} > {_PATH}/bind")
