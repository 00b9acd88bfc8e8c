#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# docs/life_of_a_vm.md draws, or names, each state that the API knows, before it comes to the first of its chapters.

set -euo pipefail

states=$(awk '/^  enum State \{/ { within = 1; next } within && /^  \}/ { exit }
  within && $2 == "=" && $1 != "STATE_UNSPECIFIED" { print $1 }' api/kinsock/v1/vm.proto)
page=$(sed '/^## /,$d' docs/life_of_a_vm.md)
[ "$(wc -w <<<"$states")" -ge 9 ] || {
  echo "life_of_a_vm_test: the states are not where they are looked for: $states" >&2
  exit 1
}
for state in $states; do
  grep -qw "$state" <<<"$page" || {
    echo "life_of_a_vm_test: docs/life_of_a_vm.md does not draw $state" >&2
    exit 1
  }
done
