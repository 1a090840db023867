# A client of the soak, made to be killed at any moment. Arguments: path, seed. Until then it writes and reads what two
# tables must hold alike: small and spilling transactions, some rolled back, deletions, VACUUM to other page sizes, in
# changing journal modes. Rows are bounded, so what the database holds stays about the same.
import os
import random
import sqlite3
import sys
import time

path, choose = sys.argv[1], random.Random(sys.argv[2])
ROWS = 120
TABLES = ("one", "two")
JOURNALS = ("DELETE", "TRUNCATE", "PERSIST", "MEMORY")
PAGE_BYTES = (1024, 4096, 16384)


def connect():
    db = sqlite3.connect(path, isolation_level=None, timeout=20)
    db.execute("PRAGMA cache_size=10")
    db.execute("PRAGMA journal_mode=%s" % choose.choice(JOURNALS)).fetchall()
    db.execute("PRAGMA synchronous=%s" % choose.choice(("OFF", "NORMAL", "FULL")))
    return db


def put(db, ids, size):
    for id in ids:
        row = (id, os.urandom(choose.randint(1, size)))
        for table in TABLES:
            db.execute("REPLACE INTO %s VALUES(?, ?)" % table, row)


def small(db):
    db.execute("BEGIN IMMEDIATE")
    put(db, choose.sample(range(ROWS), 3), 2000)
    db.execute("COMMIT")


def large(db):
    db.execute("BEGIN IMMEDIATE")
    put(db, range(0, ROWS, 2), 4000)
    db.execute(choose.choice(("COMMIT", "COMMIT", "ROLLBACK")))


def delete(db):
    db.execute("BEGIN IMMEDIATE")
    for table in TABLES:
        db.execute("DELETE FROM %s WHERE id > ?" % table, [ROWS * 3 // 4])
    db.execute("COMMIT")


def vacuum(db):
    db.execute("PRAGMA page_size=%d" % choose.choice(PAGE_BYTES))
    db.execute("VACUUM")


def read(db):
    db.execute("BEGIN")
    for _ in range(2):
        differing = db.execute("SELECT count(*) FROM one LEFT JOIN two USING(id) WHERE one.a IS NOT two.a").fetchone()
        if differing != (0,):
            raise AssertionError("%d rows differ" % differing)
    db.execute("COMMIT")


KINDS = [small] * 10 + [read] * 5 + [large] * 3 + [delete] * 2 + [vacuum]

while True:
    db = connect()
    for _ in range(10):
        try:
            choose.choice(KINDS)(db)
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise
            if db.in_transaction:
                db.execute("ROLLBACK")
        time.sleep(choose.uniform(0.05, 0.2))
    db.close()
