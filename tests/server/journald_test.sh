#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# kinsockd with systemd's own journald behind its standard error: its entries are found by their fields, and explained by
# the catalog. In a mount namespace, where /run is ours; nothing of the machine's journal is touched.

set -euo pipefail

if [[ ${1-} != inside ]]; then
  if ((EUID == 0)); then exec unshare --mount "$0" inside; fi
  exec unshare --map-root-user --mount "$0" inside
fi

fail() {
  printf 'journald_test: %s\n' "$*" >&2
  journalctl --no-pager -o verbose >&2 || true
  exit 1
}

mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
# The journal is kept by the machine's number, which a container may not have.
if [[ ! -s /etc/machine-id ]]; then
  echo 0123456789abcdef0123456789abcdef > /run/machine-id
  mount --bind /run/machine-id /etc/machine-id
fi
mount -t tmpfs tmpfs /usr/lib/systemd/catalog
cp deploy/systemd/kinsock.catalog /usr/lib/systemd/catalog/
mkdir -p /var/lib/systemd/catalog
mount -t tmpfs tmpfs /var/lib/systemd/catalog
journalctl --update-catalog

pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait' EXIT

# Runs its arguments until they succeed.
await() {
  for ((tries = 0; tries < 300; ++tries)); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  fail "in vain: $*"
}

/lib/systemd/systemd-journald &
pids+=($!)
await test -S /run/systemd/journal/stdout

# What systemd does for a service: standard error is a stream to the journal, and $JOURNAL_STREAM says so.
export XDG_RUNTIME_DIR=/run/kinsock-test
mkdir -m 0700 "$XDG_RUNTIME_DIR"
api=unix:$XDG_RUNTIME_DIR/api.sock
# shellcheck disable=SC2016  # it is the inner shell that expands
systemd-cat bash -c 'export JOURNAL_STREAM; JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2); exec "$@"' - \
  server/kinsockd --api "$api" --guest-cid 42 --socket "$XDG_RUNTIME_DIR/vhost.sock" &
pids+=($!)
await cli/kinsockctl --endpoint "$api" info
cli/kinsockctl --endpoint "$api" daemon drain --reason "the disk is changed"

# The one entry of an event, as JSON.
entry() {
  journalctl --sync
  journalctl --no-pager -o json "KINSOCK_EVENT=$1"
}
has() { # EVENT FIELD VALUE
  [[ $(entry "$1") == *"\"$2\":\"$3\""* ]] || fail "$1 has no $2=$3"
}
logged() { # EVENT
  [[ -n $(entry "$1") ]]
}
await logged node.draining
has vm.created KINSOCK_CID 42
has vm.created PRIORITY 6
has vm.created SYSLOG_IDENTIFIER kinsockd
has node.draining KINSOCK_REASON "the disk is changed"
has node.draining PRIORITY 4
has node.draining MESSAGE_ID 528ea93546b42bd2ce932d334474b487
[[ -n $(journalctl --no-pager -o cat _TRANSPORT=journal KINSOCK_CID=42) ]] || fail "no entry about CID 42"

explained=$(journalctl --no-pager -x KINSOCK_EVENT=node.draining)
[[ $explained == *"The node takes no new VMs"* ]] || fail "the catalog does not explain: $explained"
[[ $explained == *"Somebody has asked for it: the disk is changed"* ]] || fail "without the reason: $explained"
