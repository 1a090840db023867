#!/usr/bin/env bash
# Writes the seeds of the fuzzing corpora anew: what stock SQLite leaves on disk, and what the kernel sends to a mount.
# Needs strace. The committed seeds came from here; run it again only for other SQLite versions or kernels.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
corpus=$root/test/fuzz/corpus
main=$root/dist/src/main.js
# A short path of a fixed length: it stands in the super-journals.
work=/tmp/dbs
mkdir "$work"
trap 'fusermount3 -u -q "$work/mnt" || true; rm -rf "$work"' EXIT
cd "$work"
mkdir -p "$corpus"/{header,rollback-journal,super-journal,request}

seed() { # TARGET NAME FILE [BYTES]
  head -c "${4:-4096}" "$3" >"$corpus/$1/$2"
}

# Runs SQL and is killed at its first unlink: that of the journal, or over several databases of the super-journal.
killed_at_unlink() { # DATABASE SQL
  { strace -f -o trace -e trace=unlink -e inject=unlink:error=EIO:signal=KILL:when=1 sqlite3 "$1" "$2" || true; } 2>/dev/null >/dev/null
}

for name in a b c; do
  sqlite3 $name.db "PRAGMA page_size=512; CREATE TABLE t(x); INSERT INTO t VALUES(1);"
done
killed_at_unlink a.db "UPDATE t SET x=2"
seed rollback-journal hot a.db-journal
sqlite3 a.db "SELECT count(*) FROM t" >/dev/null # rolls it back
sqlite3 a.db "PRAGMA journal_mode=PERSIST; UPDATE t SET x=3" >/dev/null
seed rollback-journal persist-finalised a.db-journal
rm -f a.db-journal

killed_at_unlink a.db "ATTACH 'b.db' AS b; ATTACH 'c.db' AS c; BEGIN; UPDATE t SET x=4; UPDATE b.t SET x=4; UPDATE c.t SET x=4; COMMIT;"
seed rollback-journal names-super-journal-a a.db-journal
seed rollback-journal names-super-journal-b b.db-journal
for file in a.db-mj*; do seed super-journal three-databases "$file"; done
rm -f ./*-journal ./*-mj*
killed_at_unlink a.db "PRAGMA journal_mode=PERSIST; ATTACH 'b.db' AS b; PRAGMA b.journal_mode=PERSIST; BEGIN; UPDATE t SET x=5; UPDATE b.t SET x=5; COMMIT;"
seed rollback-journal persist-names-super-journal a.db-journal
for file in a.db-mj*; do seed super-journal two-databases "$file"; done

# A page, then a change counter and a file size (test/fuzz/targets/header.ts).
header() { # NAME SQL
  rm -f h.db
  sqlite3 h.db <<<"$2" >/dev/null
  size=$(printf '%08x' "$(stat -c %s h.db)")
  { head -c 128 h.db; printf '%b' "\x00\x00\x00\x4d\x${size:0:2}\x${size:2:2}\x${size:4:2}\x${size:6:2}"; } >"$corpus/header/$1"
}
header page-512 "PRAGMA page_size=512; CREATE TABLE t(x);"
header page-4096 "CREATE TABLE t(x); INSERT INTO t VALUES(1);"
header page-65536 "PRAGMA page_size=65536; CREATE TABLE t(x);"
header wal "PRAGMA journal_mode=WAL; CREATE TABLE t(x);"
header reserved-bytes "CREATE TABLE t(x);
.filectrl reserve_bytes 8
VACUUM;"

# Every message that the kernel sends while a client works on the mount, the first few of each operation and length.
mkdir mnt
MVFUSE_STORE=sqlite:$work/store strace -f -qq -o reads -e trace=read -e signal=none -xx -s 65536 -P /dev/fuse \
  node "$main" --mountpoint "$work/mnt" --namespaces a=a,b=b --log-format json 2>/dev/null &
daemon=$!
for _ in $(seq 200); do grep -q " $work/mnt fuse" /proc/self/mounts && break; sleep 0.05; done
(
  cd mnt
  sqlite3 a "PRAGMA page_size=512; CREATE TABLE t(x); INSERT INTO t VALUES(1);"
  sqlite3 b "PRAGMA page_size=512; CREATE TABLE t(x); INSERT INTO t VALUES(1);"
  sqlite3 a "ATTACH 'b' AS b; BEGIN; UPDATE t SET x=2; UPDATE b.t SET x=2; COMMIT;"
  sqlite3 a "PRAGMA journal_mode=PERSIST; UPDATE t SET x=3; PRAGMA journal_mode=TRUNCATE; UPDATE t SET x=4" >/dev/null
  sqlite3 a "PRAGMA journal_mode=WAL; SELECT * FROM t" >/dev/null
  ls -laL . >/dev/null
  python3 -c 'import os; [os.getxattr("a", name) for name in os.listxattr("a")]; os.setxattr("a", "user.x", b"1")' 2>/dev/null || true
  python3 -c 'import os; os.removexattr("a", "user.x")' 2>/dev/null || true
  stat -f . >/dev/null
  for command in 'mkdir x' 'mkfifo y' 'mv a x' 'mv -n b x' 'rmdir a' 'touch a' 'ln -s x y' 'rm nothing' 'truncate -s 0 nothing'; do
    $command 2>/dev/null || true
  done
)
fusermount3 -u mnt
wait "$daemon" || true
python3 - "$corpus/request" <<'PY'
import collections, re, sys
OPERATIONS = {1: 'lookup', 2: 'forget', 3: 'getattr', 4: 'setattr', 5: 'readlink', 6: 'symlink', 8: 'mknod', 9: 'mkdir',
              10: 'unlink', 11: 'rmdir', 12: 'rename', 14: 'open', 15: 'read', 16: 'write', 17: 'statfs', 18: 'release',
              20: 'fsync', 21: 'setxattr', 22: 'getxattr', 23: 'listxattr', 24: 'removexattr', 25: 'flush', 26: 'init', 27: 'opendir', 28: 'readdir', 29: 'releasedir',
              31: 'getlk', 32: 'setlk', 33: 'setlkw', 34: 'access', 35: 'create', 36: 'interrupt', 38: 'destroy',
              42: 'batch-forget', 45: 'rename2', 46: 'lseek'}
seen = collections.Counter()
lengths = set()
for line in open('reads'):
    found = re.search(r'read\(\d+, "((?:\\x[0-9a-f]{2})+)", \d+\) += (\d+)', line)
    if not found:
        continue
    message = bytes.fromhex(found[1].replace('\\x', ''))
    if len(message) != int(found[2]) or len(message) > 700:
        continue
    operation = OPERATIONS.get(int.from_bytes(message[4:8], 'little'), 'other')
    if seen[operation] == 2 or (operation, len(message)) in lengths:
        continue
    seen[operation] += 1
    lengths.add((operation, len(message)))
    open(f'{sys.argv[1]}/{operation}-{len(message)}', 'wb').write(message)
print('requests:', dict(seen))
PY
