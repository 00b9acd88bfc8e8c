# SPDX-License-Identifier: Apache-2.0
"""Which accelerator really works here.

That /dev/kvm exists proves nothing: under some hypervisors guests hang with it, or QEMU gives up. So a guest is booted
with it once, against the clock, and the answer is kept until the machine boots again.
"""

import functools
import hashlib
import os
import pathlib
import subprocess
import tempfile

from harness import image, programs

_KVM = ("-accel", "kvm", "-cpu", "host")
_TCG = ("-accel", "tcg", "-cpu", "max")

# Ten times what a boot takes where KVM works.
_TRIAL_SECONDS = 10


@functools.cache
def accelerator() -> tuple[str, ...]:
    """The QEMU arguments that choose it."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return _TCG
    note = programs.cache_directory() / "accelerator" / _this_machine()
    if not note.exists():
        note.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=note.parent, delete=False) as draft:
            draft.write("kvm" if _guest_boots(_KVM) else "tcg")
        os.replace(draft.name, note)
    return _KVM if note.read_text() == "kvm" else _TCG


def _this_machine() -> str:
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()
    guest = image.guest_image().kernel.stat()
    return hashlib.sha256(f"{boot} {programs.qemu()} {guest.st_size}".encode()).hexdigest()[:16]


def _guest_boots(choice: tuple[str, ...]) -> bool:
    guest = image.guest_image()
    command = [str(programs.qemu()), *choice, "-machine", "q35", "-m", "256M", "-nodefaults", "-display", "none",
               "-no-reboot", "-kernel", str(guest.kernel), "-initrd", str(guest.initrd), "-serial", "stdio",
               "-append", "console=ttyS0 panic=-1 kinsock.trial"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=_TRIAL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and b"Power down" in done.stdout
