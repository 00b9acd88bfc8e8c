#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
exec python3 tests/deploy/daemonset_test.py docs/kubernetes_operator.md deploy/container/Containerfile \
  server/kinsockd cli/kinsockctl
