#!/usr/bin/env bash
# Installs a Chromium for the browser lane, where the machine has none.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then exit 0; fi
done

fail() { echo "no Chromium can be installed: $1; please install one yourself" >&2; exit 1; }

command -v apt-get >/dev/null || fail "there is no apt-get"
root=()
if [ "$(id -u)" != 0 ]; then
  sudo -n true 2>/dev/null || fail "neither root nor sudo without a password"
  root=(sudo -n)
fi
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
