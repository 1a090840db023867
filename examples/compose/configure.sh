#!/bin/bash
# Makes the database where there is none yet, and waits until it takes commits.
set -u

file=/tmp/fdb.cluster
echo "$FDB_CLUSTER_FILE_CONTENTS" >"$file"

for ((attempt = 1; attempt <= 30; attempt++)); do
  state=$(fdbcli -C "$file" --timeout 5 --exec "status minimal" 2>&1)
  if [[ $state == *"is available"* ]]; then
    echo "the database is available"
    exit 0
  fi
  # Refused where there is a database already.
  fdbcli -C "$file" --timeout 10 --exec "configure new $REDUNDANCY ssd"
  sleep 2
done
echo "the database did not become available: $state" >&2
exit 1
