# SPDX-License-Identifier: Apache-2.0
"""The DaemonSet of docs/kubernetes_operator.md, as far as it goes without a cluster.

Its directories are made as the kubelet makes them: for root, and nobody else may write to them. Then its init container's
command is run, and the daemon with its arguments, as the user of the image; it has to serve its API and HTTP.
"""

import os
import re
import subprocess
import sys
import tempfile
import time

import yaml

_USER = 990  # of deploy/container/Containerfile
_PATIENCE = 60


def _manifest(page):
    with open(page, encoding="utf-8") as text:
        block = re.search(r"```yaml not-run\n(apiVersion: apps/v1\n.*?)```", text.read(), re.DOTALL)
    return yaml.safe_load(block.group(1))["spec"]["template"]["spec"]


def _check_image(containerfile):
    with open(containerfile, encoding="utf-8") as text:
        assert f"ARG ID={_USER}" in text.read(), "the image's user is another one"


def _here(words, directories):
    """`words` of a container, with the node's directories in place of those that are mounted."""
    for inside, outside in directories.items():
        words = [word.replace(inside, outside) for word in words]
    return words


def _await_socket(path, daemon):
    deadline = time.monotonic() + _PATIENCE
    while not os.path.exists(path):
        assert daemon.poll() is None, "the daemon has ended"
        assert time.monotonic() < deadline, f"{path} is not there"
        time.sleep(0.01)


def main():
    """The arguments: the page, the Containerfile, kinsockd, kinsockctl."""
    page, containerfile, kinsockd, kinsockctl = sys.argv[1:]
    _check_image(containerfile)
    pod = _manifest(page)
    [init], [container] = pod["initContainers"], pod["containers"]
    assert init["securityContext"]["runAsUser"] == 0
    assert init["volumeMounts"] == container["volumeMounts"]
    assert container["livenessProbe"]["exec"]["command"][0] == "kinsockctl"
    if os.geteuid() != 0:
        print("only root can be the kubelet: the rest is left out")
        return
    with tempfile.TemporaryDirectory() as node:
        os.chmod(node, 0o755)
        directories = {}
        for mount in container["volumeMounts"]:
            directories[mount["mountPath"]] = os.path.join(node, mount["name"])
            os.mkdir(directories[mount["mountPath"]], 0o755)
        subprocess.run(_here(init["command"], directories), check=True)
        command = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", "--bounding-set=-all",
                   os.path.abspath(kinsockd), *_here(container["args"], directories)]
        run = directories["/run/kinsock"]
        with subprocess.Popen(command, env={"PATH": os.environ["PATH"]}) as daemon:
            try:
                _await_socket(os.path.join(run, "http.sock"), daemon)
                info = [kinsockctl, "--endpoint", f"unix:{run}/api.sock", "--timeout", f"{_PATIENCE}s", "info"]
                subprocess.run(info, check=True)
            finally:
                daemon.terminate()
        assert daemon.returncode == 0, f"it ended with {daemon.returncode}"


if __name__ == "__main__":
    main()
