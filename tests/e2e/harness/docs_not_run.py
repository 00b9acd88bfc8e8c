# SPDX-License-Identifier: Apache-2.0
"""Blocks of the documentation that are marked `not-run`, each by its page and first line, and why they cannot be.

Whoever adds one says what tests the same in another way.
"""

NOT_RUN = {
    ("README.md", "tools/demo     # builds, boots two real Linux guests under QEMU, shows them talking"):
        "they build everything and boot guests; the second runs this very test",
    ("README.md", "tools/deb"):
        "the stage \"package\" of tools/test makes the packages, and test_package.py installs them",
    ("docs/install.md", "tools/deb"):
        "likewise",
    ("docs/install.md", "sudo adduser alice kinsock-admin     # she has it from her next login on"):
        "changes the users of the machine: deploy/debian/tests/service does that in one of its own",
    ("docs/install.md", "podman build -t kinsock -f deploy/container/Containerfile ."):
        "builds everything anew, in an image that has to be fetched",
    ("README.md", "bazel build //server:kinsockd //cli:kinsockctl"):
        "this test is run by Bazel, after it has built them",
    ("README.md", "bazel-bin/server/kinsockd --vm guest-cid=5,socket=/tmp/vm5.sock,forward-cid=1,forward-listen=9001+9002"):
        "needs vsock_loopback in the host's kernel: test_forward.py does it inside of a guest",
    ("docs/cli.md", "kinsockctl ssh web                     # or root@web, and whatever ssh takes behind it: kinsockctl ssh web uptime"):
        "needs an sshd in the guest: test_ssh.py has one",
    ("docs/kubernetes_operator.md", "apiVersion: apps/v1"):
        "needs a cluster; tests/deploy/daemonset_test.py does what it says without one",
    ("docs/quick_start.md", "tools/setup build                                  # installs what is missing, and says what"):
        "this test is run after that, and runs the page with what was built",
    ("docs/observability.md", "ssh -L 9470:/run/kinsock/http.sock host     # then http://localhost:9470/"):
        "needs another machine; test_page.py looks at the page itself",
    ("docs/observability.md", "sudo bpftrace /usr/share/kinsock/bpftrace/connections.bt"):
        "bpftrace needs root in the host's kernel: probes_test.py holds the scripts against the probes that are there",
    ("docs/observability.md", "sed \"s,/usr/sbin/kinsockd,$PWD/bazel-bin/server/kinsockd,\" deploy/bpftrace/packets.bt | sudo bpftrace -"):
        "likewise",
    ("docs/performance.md", "bazel build //server:kinsockd //bench:vsock_load"):
        "measures for an hour, beside a program that has to be fetched",
}
