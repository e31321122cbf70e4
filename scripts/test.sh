#!/usr/bin/env bash
# Builds the release preset and runs every test. Arguments go to ctest: `scripts/test.sh -R text` runs those that match.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh --dev
cmake --preset release
cmake --build --preset release
exec ctest --test-dir build/release --no-tests=error --output-on-failure -j 2 "$@"
