#!/usr/bin/env bash
# Makes a virtual environment with Muster in it: scripts/setup.sh FOLDER EXTRAS
#
#   PYTHON       the interpreter to use (otherwise the first that fits of 3.11, 3.12, 3.13)
#   TORCH_INDEX  a package index to take torch from (otherwise pip's own)
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1 extras=$2

fits() {
  "$1" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
}

install() {
  "$venv/bin/python" -m pip -qq --disable-pip-version-check install --progress-bar off "$@"
}

if ! fits "$venv/bin/python"; then
  found=
  for python in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if fits "$python"; then found=$python && break; fi
  done
  if [ -z "$found" ]; then
    echo "Muster needs Python 3.11, 3.12 or 3.13 with venv (Debian: python3-venv)" >&2
    exit 1
  fi
  "$found" -m venv --clear "$venv"
fi

# Torch comes first and alone: its builds weigh gigabytes, and pip must not look for another. Of one
# version pip prefers the build marked +cpu wherever it is offered one. All else is held to the
# hashes of the lock; what the last line finds missing is what a torch with CUDA brings along.
echo "installing Muster[$extras] into $venv: at first 2 GB, which takes some minutes"
torch=$(grep "^torch==" constraints.txt)
install --no-deps ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "$torch"
install --no-deps --require-hashes --only-binary :all: -r "locks/${extras##*,}.txt"
install --no-build-isolation -c constraints.txt -e ".[$extras]"
