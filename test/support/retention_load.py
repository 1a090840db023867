# A client of a database whose older versions are being removed. Arguments: what it is, path, seed.
#
#   write    goes on for ever: moves amounts between accounts, adds and deletes notes, VACUUM now and then
#   read     goes on for ever: holds a snapshot for a while, and checks it again and again
#   version  reads names of files from its input, checks each, and answers "ok" or what was wrong
#
# What must hold of each snapshot: the amounts' sum, and as many notes as the counter says.
import os
import random
import sqlite3
import sys
import time

role, path, seed = sys.argv[1:4]
choose = random.Random(seed)
ACCOUNTS = 400
SUM = ACCOUNTS * 1000
NOTES_MAX = 1500


def connect(name):
    db = sqlite3.connect(name, isolation_level=None, timeout=60)
    db.execute("PRAGMA cache_size=20")
    return db


def look(db):
    return db.execute(
        "SELECT (SELECT sum(amount) FROM account), (SELECT count(*) FROM note), (SELECT notes FROM counter), (SELECT max(id) FROM note)"
    ).fetchone()


def check(db):
    seen = look(db)
    if seen[0] != SUM or seen[1] != seen[2]:
        raise Exception("a snapshot that never was: %r" % (seen,))
    return seen


def integrity(db):
    found = db.execute("PRAGMA integrity_check").fetchall()
    if found != [("ok",)]:
        raise Exception("integrity_check: %r" % (found[:3],))


def move(db):
    db.execute("BEGIN IMMEDIATE")
    for _ in range(choose.randint(1, 4)):
        a, b, amount = choose.randrange(ACCOUNTS), choose.randrange(ACCOUNTS), choose.randint(1, 50)
        db.execute("UPDATE account SET amount = amount - ?, pad = randomblob(?) WHERE id = ?", (amount, choose.randint(100, 3000), a))
        db.execute("UPDATE account SET amount = amount + ? WHERE id = ?", (amount, b))
    db.execute("COMMIT")


def note(db):
    db.execute("BEGIN IMMEDIATE")
    (notes,) = db.execute("SELECT notes FROM counter").fetchone()
    if notes > NOTES_MAX or choose.random() < 0.3:
        db.execute("DELETE FROM note WHERE id IN (SELECT id FROM note ORDER BY id LIMIT ?)", (choose.randint(1, 300),))
    else:
        db.executemany("INSERT INTO note(text) VALUES(randomblob(?))", [(choose.randint(10, 4000),) for _ in range(choose.randint(1, 40))])
    db.execute("UPDATE counter SET notes = (SELECT count(*) FROM note)")
    db.execute("COMMIT")


def write():
    db = connect(path)
    while True:
        chance = choose.random()
        if chance < 0.01:
            db.execute("VACUUM")
        elif chance < 0.3:
            note(db)
        else:
            move(db)
        time.sleep(choose.random() * 0.02)


def read():
    db = connect(path)
    while True:
        db.execute("BEGIN")
        first = check(db)
        until = time.monotonic() + choose.choice((0.01, 0.3, 2.5, 7))
        while time.monotonic() < until:
            time.sleep(choose.random() * 0.3)
            # Past SQLite's own cache.
            db.execute("PRAGMA shrink_memory")
            if check(db) != first:
                raise Exception("a snapshot that moved: %r" % (first,))
        integrity(db)
        db.execute("COMMIT")


def version():
    for line in sys.stdin:
        try:
            db = sqlite3.connect("file:%s?mode=ro" % line.strip(), uri=True, isolation_level=None)
            for _ in range(3):
                check(db)
                time.sleep(choose.random() * 0.5)
                db.execute("PRAGMA shrink_memory")
            integrity(db)
            db.close()
            print("ok", flush=True)
        except Exception as error:
            print("%s: %r" % (line.strip(), error), flush=True)


def create():
    db = connect(path)
    db.execute("PRAGMA auto_vacuum=FULL")
    db.executescript(
        "CREATE TABLE account(id INTEGER PRIMARY KEY, amount INTEGER, pad BLOB);"
        "CREATE TABLE note(id INTEGER PRIMARY KEY AUTOINCREMENT, text BLOB);"
        "CREATE TABLE counter(notes INTEGER);"
        "INSERT INTO counter VALUES(0);"
    )
    db.execute("BEGIN")
    db.executemany("INSERT INTO account VALUES(?, 1000, randomblob(3000))", [(id,) for id in range(ACCOUNTS)])
    db.executemany("INSERT INTO note(text) VALUES(randomblob(3000))", [() for _ in range(NOTES_MAX)])
    db.execute("UPDATE counter SET notes = ?", (NOTES_MAX,))
    db.execute("COMMIT")


{"write": write, "read": read, "version": version, "create": create}[role]()
