# SPDX-License-Identifier: Apache-2.0
"""A host side on the host's own AF_VSOCK. The host is a real Linux with vsock_loopback, in a machine of its own.

kinsockd and the stories (nested/forward_stories.cc: simulated guests on kinsockd's sockets, host programs on AF_VSOCK)
run inside of it, so that neither the kernel nor the modules of the machine that runs this test matter.
"""

import typing

import pytest

from guest_image.bundle import extend_initrd
from harness import programs
from harness.guest import Guest
from harness.image import guest_image
from harness.scratch import Scratch

_STORIES_SECONDS = 240
_FORWARDING = "kinsockd --vm socket=/tmp/vhost,forward-cid=1"


@pytest.fixture(scope="module")
def host() -> typing.Iterator[Guest]:
    with Scratch() as scratch:
        initrd = scratch / "initrd"
        extend_initrd(guest_image().initrd,
                      {"kinsockd": programs.kinsockd(), "forward_stories": programs.forward_stories()}, initrd)
        with Guest("host", scratch, vsock_arguments=[], initrd=initrd) as booted:
            yield booted.wait_booted()


def test_a_kernel_without_loopback_is_named(host: Guest) -> None:
    refused = host.start(_FORWARDING).wait(30)
    assert refused.status != 0
    assert "vm.spec.vsock_proxy.forward_cid: 1 is this host by way of its loopback" in refused.err
    assert "modprobe vsock_loopback" in refused.err


def test_the_stories(host: Guest) -> None:
    host.run("modprobe vsock_loopback")
    told = host.start("KINSOCKD=/bin/kinsockd forward_stories --gtest_color=no").wait(_STORIES_SECONDS)
    assert told.status == 0, told.out + told.err
    assert "[  PASSED  ]" in told.out


def test_a_kernel_without_vsock_serves_everything_else(host: Guest) -> None:
    # A module is busy for as long as a socket that the stories left is closing.
    host.run("for module in vsock_loopback vmw_vsock_virtio_transport vmw_vsock_virtio_transport_common vsock;"
             " do until rmmod $module; do :; done; done && rm -r /lib/modules",  # the kernel would load them again
             seconds=60)
    refused = host.start(_FORWARDING).wait(30)
    assert refused.status != 0
    assert "vm.spec.vsock_proxy needs AF_VSOCK, which this host does not have" in refused.err
    served = host.start("kinsockd --vm socket=/tmp/vhost,uds-path=/tmp/uds")
    host.run("until [ -S /tmp/uds ]; do :; done", seconds=30)
    served.kill()
