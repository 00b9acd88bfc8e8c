# SPDX-License-Identifier: Apache-2.0
"""Go as tools/setup keeps it: with the modules of examples/go, and without a network."""

import os

from harness import programs


def environment() -> dict[str, str]:
    cache = programs.cache_directory() / "go"
    return {"GOPATH": str(cache), "GOCACHE": str(cache / "build"), "GOPROXY": "off", "GOTOOLCHAIN": "local",
            "GOFLAGS": "-buildvcs=false", "PATH": f"{programs.go().parent}:{os.environ['PATH']}"}
