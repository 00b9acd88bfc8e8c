#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints page_files.cc: these files as C++.

set -euo pipefail

path_of() { # NAME
  [[ $1 == index.html ]] && echo / || echo "/ui/$1"
}

type_of() { # NAME
  case $1 in
    *.css) echo 'text/css; charset=utf-8' ;;
    *.html) echo 'text/html; charset=utf-8' ;;
    *.js) echo 'text/javascript; charset=utf-8' ;;
    *.svg) echo 'image/svg+xml' ;;
    *) echo "embed.sh: $1 has no type" >&2 && return 1 ;;
  esac
}

echo '#include "web/page/page_files.h"'
echo 'namespace kinsock { namespace {'
entries=
for file; do
  name=${file##*/}
  array=k${name//[^a-zA-Z0-9]/_}
  type=$(type_of "$name")
  echo "constexpr unsigned char ${array}[] = {"
  od -An -v -tx1 "$file" | sed 's/ \(..\)/0x\1,/g'
  echo '};'
  entries+="{\"$(path_of "$name")\", \"$type\", {reinterpret_cast<const char*>($array), sizeof($array)}},"$'\n'
done
echo '}'
echo "std::vector<PageFile> PageFiles() { return {"
echo "$entries};}}"
