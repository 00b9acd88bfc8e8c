#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Boots a guest by hand and runs in it what is typed.

    tests/e2e/guest_shell.py                          a guest without vsock device
    tests/e2e/guest_shell.py --socket /run/a.vhost    one whose vsock back-end listens there
    echo 'vsocktool cid' | tests/e2e/guest_shell.py --socket /run/a.vhost
"""

import argparse
import shlex
import sys

from harness.guest import Guest, qemu_vsock_arguments
from harness.scratch import Scratch

_COMMAND_SECONDS = 600


def main() -> int:
    parser = argparse.ArgumentParser(description="Boots a guest and runs in it what is typed.")
    parser.add_argument("--socket", help="the vhost-user socket of its vsock device")
    parser.add_argument("--qemu-args", help="further arguments for QEMU, in one word")
    arguments = parser.parse_args()
    vsock = qemu_vsock_arguments(arguments.socket) if arguments.socket else []
    with Scratch() as scratch, Guest("guest", scratch, vsock + shlex.split(arguments.qemu_args or "")) as guest:
        guest.wait_booted()
        try:
            return _serve(guest)
        except KeyboardInterrupt:
            return 130


def _serve(guest: Guest) -> int:
    status = 0
    while True:
        if sys.stdin.isatty():
            print("guest# ", end="", flush=True)
        command = sys.stdin.readline()
        if not command:
            return status
        process = guest.start(command).wait(_COMMAND_SECONDS)
        print(process.out, end="", flush=True)
        print(process.err, end="", file=sys.stderr, flush=True)
        status = process.status or 0


if __name__ == "__main__":
    sys.exit(main())
