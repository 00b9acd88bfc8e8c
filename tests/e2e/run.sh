#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Bazel targets' way to Python: the rules for Python of Debian's Bazel look for a "python" that Debian 12 has not.
exec /usr/bin/python3 -B tests/e2e/main.py "$@"
