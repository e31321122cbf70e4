#!/usr/bin/env bash
# Runs every command with the k-th write, read, open, allocation, ... failing, for all k: tests/faults/faults.py, of
# which ctest runs a sample. Takes about an hour; arguments are passed on (scripts/faults.sh --only train).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh --dev
cmake --preset release
cmake --build --preset release --target mnemo mnemo_fault
exec python3 tests/faults/faults.py build/release/mnemo build/release/mnemo_fault.so "$@"
