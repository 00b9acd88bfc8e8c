#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The alerts that are shipped: their syntax, and when they fire. The dashboard: the syntax of its queries.

set -euo pipefail

promtool check rules deploy/prometheus/kinsock.rules.yml
promtool test rules deploy/prometheus/kinsock.rules_test.yml
tests/web/dashboard_rules.py deploy/grafana/kinsock.json > "$TEST_TMPDIR/dashboard.yml"
promtool check rules "$TEST_TMPDIR/dashboard.yml"
