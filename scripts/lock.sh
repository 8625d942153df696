#!/usr/bin/env bash
# Writes locks/ anew: the hashes of all that pip may install. scripts/lock.sh UV
#
# constraints.txt says the versions and stays the one place where they change. Only wheels are
# taken: building a package would run code that nobody pinned. Neither torch nor pip is in a lock:
# each build of torch has a hash of its own (scripts/setup.sh), and pip comes with Python.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$1

lock() {
  local name=$1 extras=("${@:2}")
  "$uv" pip compile -q pyproject.toml "${extras[@]/#/--extra=}" -c constraints.txt \
    --universal --python-version 3.11 --only-binary :all: --generate-hashes --no-annotate \
    --no-emit-package torch --no-emit-package pip --custom-compile-command "make lock" \
    -o "locks/$name.txt"
}

lock service pii postgres traces
lock demo demo
lock dev demo dev
