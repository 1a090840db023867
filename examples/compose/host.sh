#!/bin/sh
# Writes the cluster file, then mounts. The file must be writable: the client library keeps it up to date.
set -eu
mkdir -p /etc/foundationdb
echo "$FDB_CLUSTER_FILE_CONTENTS" >/etc/foundationdb/fdb.cluster
exec mvfuse "$@"
