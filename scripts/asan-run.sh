#!/usr/bin/env bash
# Runs a command (node, mostly) with the addon that scripts/asan-build.sh made:
#   scripts/asan-run.sh node --test dist/test/mount/
# Leaks are not reported: those of node itself would drown everything.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
addon=$root/native-shim/build-asan/build/Release/mvfuse_native.node
if [[ ! -f $addon ]]; then
  echo "$addon is missing: run scripts/asan-build.sh first" >&2
  exit 1
fi
export MVFUSE_NATIVE=$addon
export ASAN_OPTIONS=detect_leaks=0:${ASAN_OPTIONS:-}
LD_PRELOAD=$(gcc -print-file-name=libasan.so) exec "$@"
