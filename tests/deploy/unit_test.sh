#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The unit leaves the daemon little to do harm with: systemd's own judgement, where 10 is bare and 0 shut off. And it
# starts the daemon again however often that ends.

set -euo pipefail

unit=deploy/systemd/kinsock.service

die() {
  printf 'unit_test: %s\n' "$*" >&2
  exit 1
}

# SECTION KEY: what systemd goes by, which is what is said last; a key in another section is none to it.
setting() {
  awk -v section="[$1]" -v key="$2" '
    /^\[/ { here = ($0 == section) }
    here && index($0, key "=") == 1 { value = substr($0, length(key) + 2) }
    END { print value }' "$unit"
}

# In microseconds: systemd's own reading of "200ms", "1s" or "2min".
microseconds() { systemd-analyze timespan "$1" | awk '/s:/ { print $2 }'; }

[ "$(setting Service Restart)" = always ] || die 'it is not started again whatever it ends with'
[ "$(setting Service RestartPreventExitStatus)" = '' ] || die 'some ends are for good'
limit=$(setting Unit StartLimitIntervalSec)
[ "$limit" = 0 ] || die "starts are limited in each [Unit] StartLimitIntervalSec=$limit (systemd: 10s); after that it stays down"
# Starts for waiting clients are limited in the socket units, by systemd to 20 in 2 s.
pause=$(microseconds "$(setting Service RestartSec)")
[ "$pause" -ge 200000 ] || die "a pause of $pause us before each start lets waiting clients close the socket units"
[ "$pause" -le 2000000 ] || die "VMs wait $pause us for a daemon that ended"
if grep -H '^TriggerLimit' deploy/systemd/kinsock.socket deploy/systemd/kinsock-view.socket; then
  die 'the socket units limit starts otherwise than what RestartSec= is checked against'
fi

systemd-analyze security --no-pager --offline=yes --threshold=15 "$unit"
