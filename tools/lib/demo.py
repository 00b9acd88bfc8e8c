# SPDX-License-Identifier: Apache-2.0
"""The story that tools/demo tells once everything is built. Exits 0 only if every step of it worked."""

import contextlib
import pathlib
import signal
import sys
import typing

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/e2e"))

from demo_terminal import Step, Terminal  # noqa: E402  (beside this file)
from harness import logbook  # noqa: E402  (found through the path set above)
from harness.accelerator import accelerator  # noqa: E402
from harness.connections import bytes_between  # noqa: E402
from harness.control import GuestProcess  # noqa: E402
from harness.deadline import Deadline, wait_until  # noqa: E402
from harness.image import guest_image  # noqa: E402
from harness.pattern import check, pattern, sha256  # noqa: E402
from harness.stage import Stage, Vm  # noqa: E402
from harness.traffic import Traffic, exchange, flow  # noqa: E402

# tools/demo itself does the first steps: packages and build.
_FIRST_STEP = 3
_LAST_STEP = 14

_MIB = 1 << 20
_SIZE = 64 * _MIB
_TRANSFER_SECONDS = 300
_PROGRESS_SECONDS = 0.5
_LOG_LINES = 15
_PORT = 5000
_HOST_CID = 2


def tell_story(terminal: Terminal) -> None:
    with terminal.step("A tiny Debian guest: kernel and initrd") as step:
        step.tell(f"initrd {guest_image().initrd}")
        step.tell(f"QEMU will use {accelerator()[1].upper()}" + explain_accelerator())
    with terminal.step("kinsockd starts") as step:
        stage = Stage()
        step.tell(f"API at {stage.ctl.endpoint}")
    with stage, kept_logs():
        a, b = boot_two(terminal, stage)
        siblings(terminal, stage, a, b)
        host_and_guest(terminal, a)
        changes_under_load(terminal, stage, a, b)


def emulated() -> bool:
    return "kvm" not in accelerator()


def explain_accelerator() -> str:
    return ": no KVM that works here, so the guests' processors are emulated and slow" if emulated() else ""


def explain_speed() -> str:
    return " between emulated processors, with SHA-256 at both ends" if emulated() else ""


def boot_two(terminal: Terminal, stage: Stage) -> list[Vm]:
    with terminal.step("Two VMs, created over gRPC") as step:
        created = [stage.create(name) for name in ("a", "b")]
        step.tell(stage.ctl.text("vm", "list"))
    with terminal.step("Two real Linux guests boot") as step:
        vms = [stage.launch(vm) for vm in created]
        stage.await_active(*vms)
        for vm in vms:
            step.tell(f"guest {vm.name}: Linux {kernel_of(vm)}, believes that its CID is {vm.guest.cid()}")
    return vms


def kernel_of(vm: Vm) -> str:
    return vm.guest.start("uname -r").wait(10).out.strip()


def siblings(terminal: Terminal, stage: Stage, a: Vm, b: Vm) -> None:
    for source, sink in ((a, b), (b, a)):
        with terminal.step(f"Guest {source.name} sends {_SIZE // _MIB} MiB to guest {sink.name} over AF_VSOCK") as step:
            options = f"--bytes {_SIZE} --seed {source.cid} --sha256"
            receiving = sink.guest.serve(f"vsocktool receive --listen {_PORT} {options}")
            sending = source.guest.start(f"vsocktool send --connect {sink.at(_PORT)} {options}")
            follow(step, stage, source, sink, receiving)
            tell_checksums(step, f"guest {source.name}", sending.succeed(_TRANSFER_SECONDS)["sha256"],
                           f"guest {sink.name}", receiving.succeed(10)["sha256"])
            step.tell(f"every byte in its place; {receiving.succeed(1)['mib_per_s']} MiB/s" + explain_speed())


def follow(step: Step, stage: Stage, source: Vm, sink: Vm, receiving: GuestProcess) -> None:
    """Shows how far a transfer is, from the API's counters, until it ends."""
    deadline = Deadline(_TRANSFER_SECONDS, "the transfer to end")
    while not receiving.ends_within(_PROGRESS_SECONDS):
        deadline.left()
        step.progress(f"{bytes_between(stage.ctl, source, sink) // _MIB} of {_SIZE // _MIB} MiB")


def tell_checksums(step: Step, sender: str, sent: str, receiver: str, received: str) -> None:
    step.tell(f"sha256 {sent}  sent by {sender}")
    step.tell(f"sha256 {received}  received by {receiver}")
    if sent != received:
        raise AssertionError("the checksums differ")


def host_and_guest(terminal: Terminal, vm: Vm) -> None:
    options = f"--bytes {_SIZE} --seed 7 --sha256"
    with terminal.step(f"The host sends {_SIZE // _MIB} MiB to guest {vm.name} through the hybrid socket") as step:
        receiving = vm.guest.serve(f"vsocktool receive --listen {_PORT} {options}")
        step.tell(f"CONNECT {_PORT} on {vm.hybrid.path}")
        with vm.hybrid.dial(_PORT) as stream:
            stream.send(pattern(7, _SIZE))
            stream.finish_sending()
            received = receiving.succeed(_TRANSFER_SECONDS)
        tell_checksums(step, "the host", sha256(pattern(7, _SIZE)), f"guest {vm.name}", received["sha256"])
    with terminal.step(f"Guest {vm.name} sends {_SIZE // _MIB} MiB to a host program") as step:
        step.tell(f"the program listens on {vm.hybrid.path}_{_PORT}")
        with vm.hybrid.listen(_PORT) as listener:
            sending = vm.guest.start(f"vsocktool send --connect {_HOST_CID}:{_PORT} {options}")
            with listener.accept() as stream:
                data = stream.read_to_end()
        check(data, 7, _SIZE)
        tell_checksums(step, f"guest {vm.name}", sending.succeed(10)["sha256"], "the host", sha256(data))


def changes_under_load(terminal: Terminal, stage: Stage, a: Vm, b: Vm) -> None:
    with terminal.step("The live connection list, while a and b send to each other") as step:
        traffic = flow(a, b, _PORT)
        step.tell(stage.ctl.text("conn", "list"))
        require_progress(step, stage, traffic, a, b)
    with terminal.step("A third VM is added and its guest boots, while a and b go on") as step:
        [c] = stage.boot("c")
        exchange(a, c, _PORT + 1)
        step.tell(f"guest c has CID {c.cid} and talks to guest a")
        require_progress(step, stage, traffic, a, b)
    with terminal.step("The third VM is removed, guest and all, while a and b go on") as step:
        stage.ctl.delete("c", force=True)
        c.guest.close()
        step.tell(stage.ctl.text("vm", "list"))
        require_progress(step, stage, traffic, a, b)
    with terminal.step("Everything is stopped and removed"):
        status = stage.daemon.stop()
        if status != 0:
            raise AssertionError(f"kinsockd ended with status {status}")
        stage.close()


def require_progress(step: Step, stage: Stage, traffic: Traffic, a: Vm, b: Vm) -> None:
    before = bytes_between(stage.ctl, a, b)
    wait_until("the traffic between a and b to go on", lambda: bytes_between(stage.ctl, a, b) >= before + _MIB, 30)
    if not traffic.running():
        raise AssertionError(f"the traffic ended: {traffic.caller.describe()}")
    step.tell(f"a and b: {bytes_between(stage.ctl, a, b) // _MIB} MiB so far, unbroken")


_logs_at_failure: dict[str, str] = {}


@contextlib.contextmanager
def kept_logs() -> typing.Iterator[None]:
    """Saves the end of every log if something fails, before the logs are removed."""
    try:
        yield
    except Exception:
        _logs_at_failure.update(logbook.tails())
        raise


def explain_failure(error: Exception) -> None:
    for title, text in _logs_at_failure.items():
        lines = text.strip().split("\n")[-_LOG_LINES:]
        print(f"\n--- the end of: {title} ---", *lines, sep="\n", file=sys.stderr)
    print(f"\nThe step marked above failed: {error}", file=sys.stderr)


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way: clean up, then end
    terminal = Terminal(_FIRST_STEP, _LAST_STEP)
    try:
        tell_story(terminal)
    except KeyboardInterrupt:
        print("\ninterrupted; everything is cleaned up", file=sys.stderr)
        return 130
    except Exception as error:  # whatever it is: show it with the logs
        explain_failure(error)
        return 1
    print("\nIt works. Next: README.md, or kinsockd --help and kinsockctl --help in bazel-bin.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
