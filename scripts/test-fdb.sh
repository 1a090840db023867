#!/usr/bin/env bash
# Runs the tests that need a FoundationDB cluster: on the one whose cluster file MVFUSE_TEST_FDB names, or on one that is
# started for it (fdbserver and fdbcli must be on the PATH). --long runs the long versions.
set -uo pipefail
cd "$(dirname "$0")/.."

[ "${1:-}" = --long ] && export MVFUSE_TEST_LONG=1
files=(dist/test/fdb/*.test.js dist/test/conformance/*.test.js dist/test/model/*.test.js)
for suite in differential differential-failures error-injection error-injection-full error-injection-rollback \
  error-injection-spill error-injection-store snapshots super-journal stock-clients; do
  files+=("dist/test/mount/$suite.test.js")
done
for suite in client-kill daemon-kill history restart super-journal-crash; do
  [ -e "dist/test/crash/$suite.test.js" ] && files+=("dist/test/crash/$suite.test.js")
done
node dist/test/support/fdb-run.js --test-concurrency=1 --test-reporter=spec "${files[@]}"
