#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The manual pages: groff has nothing to object, and they tell all options and commands that --help tells.

set -euo pipefail
export LC_ALL=C.UTF-8 MANWIDTH=100

text() { man --local-file "deploy/man/$1" | col -b; }

die() {
  printf 'man_test: %s\n' "$*" >&2
  exit 1
}

for page in kinsockd.8 kinsockctl.1 kinsockd.yaml.5; do
  warnings=$(man --warnings --encoding=UTF-8 --local-file --troff-device=utf8 --ditroff "deploy/man/$page" 2>&1 >/dev/null)
  [[ -z $warnings ]] || die "$page: $warnings"
  [[ $(text "$page") == *"${page%.*} - "* ]] || die "$page has no name"
done

options() { grep -oE -- '--[a-z][a-z-]+' | sort -u; }

expect() { # PAGE WHAT...
  local page=$1 what
  shift
  for what in "$@"; do
    grep -qE -- "(^|[^a-z-])$what([^a-z-]|\$)" <<<"$page" || die "no $what in the manual page"
  done
}

page=$(text kinsockd.8)
mapfile -t all < <(server/kinsockd --help | options | grep -vx -- --help)
((${#all[@]} > 10)) || die "kinsockd --help tells only ${#all[*]}"
expect "$page" "${all[@]}" 'EXIT STATUS' SIGHUP /etc/kinsock/kinsockd.yaml

! grep -qE -- '--check [A-Z]' <<<"$page" || die '--check has a value'

page=$(text kinsockctl.1)
mapfile -t all < <(cli/kinsockctl vm create --help | options | grep -vx -- --help)
((${#all[@]} > 10)) || die "kinsockctl vm create --help tells only ${#all[*]}"
expect "$page" "${all[@]}" --endpoint 'kinsockctl vm create' 'kinsockctl policy test' 'kinsockctl ssh' 'KINSOCK_ENDPOINT' 'EXIT CODE|exit code'

page=$(text kinsockd.yaml.5)
expect "$page" viewer_socket socket_dirs queue_size orphan_ttl
