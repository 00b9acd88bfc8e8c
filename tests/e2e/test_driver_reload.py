# SPDX-License-Identifier: Apache-2.0
"""The guest takes its driver off the device and puts it back."""

from harness.stage import Stage, Vm
from harness.traffic import exchange, flow

_PORT = 5000
_MODULE = "vmw_vsock_virtio_transport"
_DRIVER = f"/sys/bus/virtio/drivers/{_MODULE}"


def device_of(vm: Vm) -> str:
    """The name of its vsock device on the virtio bus."""
    return vm.guest.start(f"cd {_DRIVER} && echo virtio*").wait(10).out.strip()


def test_unbind_and_bind(pair: list[Vm], stage: Stage) -> None:
    a, b = pair
    device = device_of(b)
    for _ in range(5):
        b.guest.run(f"echo {device} > {_DRIVER}/unbind")
        stage.ctl.wait(b.name, "SUSPENDED")  # to the daemon it looks like a pause
        b.guest.run(f"echo {device} > {_DRIVER}/bind")
        stage.ctl.wait(b.name, "ACTIVE")
        exchange(a, b, _PORT)
        exchange(b, a, _PORT)


def test_remove_and_load_the_module(pair: list[Vm], stage: Stage) -> None:
    a, b = pair
    for _ in range(3):
        b.guest.run(f"rmmod {_MODULE}")
        b.guest.run(f"modprobe {_MODULE}")
        stage.ctl.wait(b.name, "ACTIVE")
        exchange(a, b, _PORT)
        exchange(b, a, _PORT)


def test_unbind_in_the_middle_of_traffic_resets_the_sibling(pair: list[Vm], stage: Stage) -> None:
    a, b = pair
    device = device_of(b)
    traffic = flow(a, b, _PORT)
    b.guest.run(f"echo {device} > {_DRIVER}/unbind")
    b.guest.quiet()
    b.guest.run(f"echo {device} > {_DRIVER}/bind")
    stage.ctl.wait(b.name, "ACTIVE")
    traffic.assert_cut(traffic.caller)
    exchange(a, b, _PORT)
