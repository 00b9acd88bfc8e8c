#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs a test file as run.sh does, but on a machine of its own as far as files and network go: /run, /etc/kinsock, /var,
# /srv and the home directory are new and empty, and it sees no other processes. So the documentation's commands run with the paths that
# stand there, touch nothing of the machine, and leave nothing.
set -eu
PATH=$PATH:/usr/sbin:/sbin  # chroot, ip

if [ -z "${OWN_ROOT-}" ]; then
  # The caches stay where they are for everybody.
  home=$(getent passwd "$(id -u)" | cut -d: -f6)
  export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$home/.cache}"
  OWN_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/kin-root-XXXXXX")
  export OWN_ROOT
  trap 'rmdir "$OWN_ROOT"' EXIT
  user=--map-root-user
  [ "$(id -u)" != 0 ] || user=
  # shellcheck disable=SC2086 # empty or one word
  unshare $user --mount --net --pid --fork --kill-child -- "$0" "$@"
  exit
fi

root=$OWN_ROOT
mount -t tmpfs -o mode=755 own_root "$root"
mkdir "$root/.machine"
mount --rbind / "$root/.machine"
new_entries() { # DIRECTORY: makes it, with what the machine has in it
  mkdir -p "$root$1"
  for entry in "$1"/* "$1"/.[!.]*; do
    if [ -L "$entry" ]; then
      cp -P "$entry" "$root$entry"
    elif [ -d "$entry" ] && [ ! -e "$root$entry" ] && [ "$entry" != "$root" ]; then
      mkdir "$root$entry"
      mount --rbind "$entry" "$root$entry"
    elif [ -f "$entry" ] && [ "$1" = /etc ]; then
      ln -s "/.machine$entry" "$root$entry"
    fi
  done
}
mkdir -p "$root/run" "$root/var/lib" "$root/var/tmp" "$root/srv" "$root/backup" "$root/home/you" "$root/etc/kinsock"
mkdir -m 1777 "$root/tmp"
new_entries /tmp
new_entries /home
new_entries /etc
new_entries ""
umount -l "$root/proc"
mount -t proc own_root "$root/proc"  # pidof finds nobody else's processes
# Users and groups that the documentation names. All are the one that runs the test: only his own can be given to a file.
rm -f "$root/etc/passwd" "$root/etc/group"
{
  cat /etc/passwd
  echo 'prometheus:x:0:0::/:/usr/sbin/nologin'
} >"$root/etc/passwd"
{
  grep -vE '^(kinsock|kinsock-admin|kvm|wheel|admins):' /etc/group
  printf '%s:x:0:\n' kinsock kinsock-admin kvm wheel admins
} >"$root/etc/group"
ip link set lo up
export HOME=/home/you
# shellcheck disable=SC2016 # for the inner shell
exec chroot "$root" /bin/sh -c 'cd "$0" && exec /usr/bin/python3 -B tests/e2e/main.py "$@"' "$PWD" "$@"
