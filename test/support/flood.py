# A client that takes what it can get, for tests: "opens" keeps opening connections, "writes" writes large transactions
# and rolls some back, "locks" takes thousands of byte-range locks, "journals" fills journals of connections that write
# nothing else, "reads" scans. Arguments: path, kind, threads. Goes on until standard input ends; prints the rounds done.
# Errors of its own making (too many locks, a database that is busy, a full disk) are part of it.
import errno
import fcntl
import os
import sqlite3
import struct
import sys
import threading
import time
import traceback

path, kind, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
stopped = threading.Event()
rounds = [0] * threads
failures = []
EXPECTED = ("SQLITE_BUSY", "SQLITE_FULL", "SQLITE_CANTOPEN")


def opens(_index):
    held = []
    for _ in range(50):
        held.append(sqlite3.connect(path, timeout=30))
        held[-1].execute("SELECT count(*) FROM sqlite_schema").fetchone()
    for db in held:
        db.close()


def writes(index):
    db = sqlite3.connect(path, isolation_level=None, timeout=1)
    db.execute("CREATE TABLE IF NOT EXISTS flood%d(a)" % index)
    db.execute("PRAGMA cache_size=50")
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO flood%d SELECT zeroblob(500000) FROM (VALUES(1), (2), (3), (4), (5), (6), (7), (8))" % index)
    db.execute("ROLLBACK" if rounds[index] % 4 else "COMMIT")
    db.execute("DELETE FROM flood%d" % index)
    db.close()


def locks(_index):
    file = os.open(path, os.O_RDWR)
    try:
        for at in range(0, 20_000, 2):
            fcntl.fcntl(file, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, at, 1, 0))
    except OSError as error:
        if error.errno != errno.ENOLCK:
            raise
    finally:
        os.close(file)


def journals(_index):
    file = os.open(path, os.O_RDWR)
    # Where the name led, which is where SQLite's journal would be.
    journal = os.open(os.readlink("/proc/self/fd/%d" % file) + "-journal", os.O_RDWR | os.O_CREAT, 0o600)
    for at in range(20):
        os.pwrite(journal, bytes(1 << 20), at << 20)
    time.sleep(0.2)
    os.close(journal)
    os.close(file)


def reads(_index):
    db = sqlite3.connect(path, timeout=30)
    db.execute("SELECT sum(length(a)) FROM big").fetchone()
    db.close()


def work(index):
    try:
        while not stopped.is_set():
            try:
                globals()[kind](index)
            except sqlite3.Error as error:
                if not getattr(error, "sqlite_errorname", "").startswith(EXPECTED):
                    raise
            rounds[index] += 1
    except Exception:
        failures.append(traceback.format_exc())


running = [threading.Thread(target=work, args=[index]) for index in range(threads)]
for thread in running:
    thread.start()
sys.stdin.read()
stopped.set()
for thread in running:
    thread.join()
print(sum(rounds))
if failures:
    sys.exit("\n".join(failures))
