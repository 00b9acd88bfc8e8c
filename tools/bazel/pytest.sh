#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a file of pytest cases and leaves its report where Bazel wants it. Bazel's own rules for Python look for a "python"
# that Debian 12 has not.
set -eu
exec /usr/bin/python3 -B -m pytest -q -p no:cacheprovider ${XML_OUTPUT_FILE:+"--junitxml=$XML_OUTPUT_FILE"} "$@"
