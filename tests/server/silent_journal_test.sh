#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# kinsockd whose journal takes nothing any more ends all the same, and with 0. In a mount namespace, where /run is ours.

set -euo pipefail

if [[ ${1-} != inside ]]; then
  if ((EUID == 0)); then exec unshare --mount "$0" inside; fi
  exec unshare --map-root-user --mount "$0" inside
fi

fail() {
  printf 'silent_journal_test: %s\n' "$*" >&2
  exit 1
}

mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal

# Listens, and reads nothing: a handful of entries fit.
python3 -c '
import signal, socket
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
print(flush=True)
signal.pause()' >/run/listens &
journal=$!
trap 'kill "$journal" 2>/dev/null || true; wait' EXIT
until [[ -s /run/listens ]]; do kill -0 "$journal" || fail 'there is no journal'; done

export XDG_RUNTIME_DIR=/run/kinsock-test
mkdir -m 0700 "$XDG_RUNTIME_DIR"
api=unix:$XDG_RUNTIME_DIR/api.sock
# More lines than fit: one for each VM. 512 is the most that systemd's machines let wait.
for vm in {1..600}; do printf -- '- {name: vm-%d, guest_cid: %d}\n' "$vm" "$((vm + 2))"; done |
  sed '1i vms:' >/run/kinsock.yaml
# What systemd does for a service, but with a file in place of the stream to the journal.
bash -c 'exec 2>/run/errors; export JOURNAL_STREAM; JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2); exec "$@"' - \
  server/kinsockd --api "$api" --config /run/kinsock.yaml &
daemon=$!
until cli/kinsockctl --endpoint "$api" info >/dev/null 2>&1; do
  kill -0 "$daemon" || fail "the daemon does not start: $(cat /run/errors)"
done
kill -TERM "$daemon"
# Without a bound it ends when the journal does, which is never.
timeout 60 tail --pid="$daemon" -f /dev/null || { kill -KILL "$daemon"; fail 'the daemon does not end'; }
wait "$daemon" || fail "the daemon ended with $?"
