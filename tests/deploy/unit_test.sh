#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The unit leaves the daemon little to do harm with: systemd's own judgement, where 10 is bare and 0 shut off.

set -euo pipefail

# In tenths: 1.5.
systemd-analyze security --no-pager --offline=yes --threshold=15 deploy/systemd/kinsock.service
