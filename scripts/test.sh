#!/usr/bin/env bash
# Runs the tests. --long adds the long versions and writes a dated report to docs/reports.
set -uo pipefail
cd "$(dirname "$0")/.."

bash scripts/test-packages.sh
status=0
if [ "${1:-}" = --long ]; then
  export MVFUSE_TEST_LONG=1
  # The longest first.
  longest=dist/test/mount/differential.test.js
  files="$longest $(find dist/test -name '*.test.js' ! -path "$longest" | sort)"
  report="docs/reports/$(date -u +%Y-%m-%d)-test-long.md"
  mkdir -p docs/reports
  output=$(mktemp)
  # shellcheck disable=SC2086
  node --test --test-concurrency=2 --test-reporter=spec $files 2>&1 | tee "$output"
  status=${PIPESTATUS[0]}
  # Ten minutes for each fuzz target.
  bash scripts/fuzz.sh 600 2>&1 | tee -a "$output"
  [ "${PIPESTATUS[0]}" -eq 0 ] || status=1
  {
    echo "# Long tests, $(date -u '+%Y-%m-%d %H:%M') UTC"
    echo
    echo "Node $(node --version), Linux $(uname -r), $(nproc) processors; exit status $status."
    echo
    echo '```'
    sed "s#file://##g; s#$PWD/##g" "$output"
    echo '```'
  } >"$report"
  rm -f "$output"
  echo "report: $report"
else
  npm run --silent lint || status=1
  files=$(find dist/test -name '*.test.js' | sort)
  # shellcheck disable=SC2086
  # Two files at a time: most of them wait for round trips and syncs.
  node --test --test-concurrency=2 --test-reporter=spec $files || status=1
  # The addon once more, under AddressSanitizer and a real mount's load.
  if bash scripts/asan-build.sh; then
    for suite in native directory snapshots round-trips; do
      bash scripts/asan-run.sh node --test --test-reporter=spec "dist/test/mount/$suite.test.js" || status=1
    done
  else
    status=1
  fi
fi
exit "$status"
