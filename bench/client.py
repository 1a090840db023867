# One side of one benchmark round: runs a workload on the database at a path and prints the seconds it took.
# Usage: client.py WORKLOAD PATH [COUNT]. Set-up is not timed. The same program runs on the mount and on the disk.
import os
import random
import sqlite3
import subprocess
import sys
import time

ROW = "x" * 100


def connect(path, timeout=60):
    return sqlite3.connect(path, isolation_level=None, timeout=timeout)


def table(db):
    db.execute("CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b TEXT)")


def timed(work):
    # Several clients begin together.
    time.sleep(max(0.0, float(os.environ.get("BENCH_START", "0")) - time.time()))
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def insert(path, count, mode):
    db = connect(path)
    db.execute(f"PRAGMA journal_mode={mode}")
    db.execute("PRAGMA synchronous=FULL")
    table(db)
    db.execute("INSERT INTO t(b) VALUES(?)", [ROW])

    def work():
        for _ in range(count):
            db.execute("INSERT INTO t(b) VALUES(?)", [ROW])

    return timed(work)


def transactions(path, count):
    db = connect(path)
    db.execute("PRAGMA synchronous=FULL")
    table(db)

    def work():
        for _ in range(count):
            db.execute("BEGIN")
            db.executemany("INSERT INTO t(b) VALUES(?)", [[ROW]] * 100)
            db.execute("COMMIT")

    return timed(work)


def point_selects(path, count):
    db = connect(path)
    (top,) = db.execute("SELECT max(a) FROM t").fetchone()
    chosen = random.Random(1)
    db.execute("BEGIN")

    def work():
        for _ in range(count):
            db.execute("SELECT b FROM t WHERE a=?", [chosen.randint(1, top)]).fetchone()

    return timed(work)


def short_reads(path, count):
    db = connect(path)

    def work():
        for key in range(1, count + 1):
            db.execute("SELECT b FROM t WHERE a=?", [key % 50 + 1]).fetchone()

    db.execute("SELECT b FROM t WHERE a=1").fetchone()
    return timed(work)


def scan(path, _count):
    db = connect(path)
    return timed(lambda: db.execute("SELECT sum(length(b)) FROM t").fetchone())


def bulk(path, count):
    db = connect(path)
    table(db)

    def work():
        db.execute("BEGIN")
        db.executemany("INSERT INTO t(b) VALUES(?)", ([ROW * 10] for _ in range(count)))
        db.execute("COMMIT")

    return timed(work)


def backup(path, _count):
    target = os.environ["BENCH_TARGET"]
    return timed(lambda: subprocess.run(["sqlite3", path, f".backup {target}"], check=True))


def open_query(path, count):
    def work():
        for _ in range(count):
            db = connect(path)
            db.execute("SELECT b FROM t WHERE a=1").fetchone()
            db.close()

    return timed(work)


def mixed(path, writes, reads, rounds):
    db = connect(path)
    table(db)
    db.execute("INSERT INTO t(b) VALUES(?)", [ROW])
    (top,) = db.execute("SELECT max(a) FROM t").fetchone()
    chosen = random.Random(2)

    def work():
        for _ in range(rounds):
            for _ in range(writes):
                db.execute("INSERT INTO t(b) VALUES(?)", [ROW])
            for _ in range(reads):
                db.execute("SELECT b FROM t WHERE a=?", [chosen.randint(1, top)]).fetchone()

    return timed(work)


WORKLOADS = {
    "point-selects": point_selects,
    "short-reads": short_reads,
    "scan": scan,
    "bulk": bulk,
    "backup": backup,
    "open": open_query,
    "transactions": transactions,
    "wOnly": lambda path, _: mixed(path, 15000, 0, 1),
    "rOnly": lambda path, _: mixed(path, 0, 15000, 1),
    "wHeavy": lambda path, _: mixed(path, 1500, 200, 3),
    "rHeavy": lambda path, _: mixed(path, 200, 1500, 3),
}

workload, path = sys.argv[1:3]
count = int(sys.argv[3]) if len(sys.argv) > 3 else 0
if workload.startswith("insert-"):
    print(insert(path, count, workload.removeprefix("insert-")))
else:
    print(WORKLOADS[workload](path, count))
