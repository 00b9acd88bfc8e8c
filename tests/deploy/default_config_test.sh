#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The configuration file of the package: it is good, and what its comments say holds when nothing is said, does.

set -euo pipefail
unset XDG_RUNTIME_DIR XDG_STATE_HOME

file=$TEST_TMPDIR/kinsockd.yaml
# Its groups are made by the package; this one is everywhere.
sed -e 's/\[kinsock\]/[daemon]/; s/\[kinsock-admin\]/[daemon]/' deploy/systemd/kinsockd.yaml >"$file"

server/kinsockd --config "$file" --check
server/kinsockd --config "$file" --print-config >"$TEST_TMPDIR/said"

sed -i -e 's/^#\([^ ]\)/\1/' "$file"
grep -q '^daemon:' "$file"
server/kinsockd --config "$file" --check
# How many reactors are the default depends on the machine, as does that of the file.
server/kinsockd --config "$file" --print-config >"$TEST_TMPDIR/unsaid"
diff -u "$TEST_TMPDIR/said" "$TEST_TMPDIR/unsaid"

sed -i -e 's/^# \(http\|vms\|  -\)/\1/' "$file"
grep -q '^http:' "$file"
server/kinsockd --config "$file" --check | grep -q '1 VMs, 2 API sockets'
