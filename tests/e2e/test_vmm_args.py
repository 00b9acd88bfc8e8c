# SPDX-License-Identifier: Apache-2.0
"""What kinsockctl vmm-args prints boots a guest when it is pasted behind a QEMU command."""

import shlex

from harness.stage import Stage
from harness.traffic import exchange

_PORT = 5000


def test_the_printed_arguments_boot_a_guest_that_has_vsock(own_stage: Stage) -> None:
    created = [own_stage.create(name) for name in ("a", "b")]
    pasted = [own_stage.ctl.text("vmm-args", name, "--vmm", "qemu", "--mem", "256M") for name in ("a", "b")]
    a, b = [own_stage.launch(vm, shlex.split(arguments)) for vm, arguments in zip(created, pasted, strict=True)]
    own_stage.await_active(a, b)
    assert a.guest.cid() == a.cid
    exchange(a, b, _PORT)
