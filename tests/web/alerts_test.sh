#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The alerts that are shipped: their syntax, and when they fire.

set -euo pipefail

cd deploy/prometheus
promtool check rules kinsock.rules.yml
promtool test rules kinsock.rules_test.yml
