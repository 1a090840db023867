#!/usr/bin/env bash
# Runs SQLite's own test-suite with its working directory on a mount (docs/testing.md). Arguments: names of single files,
# --local, --record-list, --keep, --jobs N, --timeout SECONDS.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=$(bash scripts/sqlite-suite-build.sh)
exec node dist/test/sqlite-suite/main.js "$suite" "$@"
