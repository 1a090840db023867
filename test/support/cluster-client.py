# A client of a cluster test (cluster-workload.ts). Its one argument is JSON: path, client, number (its own among all
# clients), mode ("register" or "bank"), rows, seed, timeout (seconds that SQLite waits for a lock), patience (seconds that
# the mount may be away), pause (seconds between operations, at most), and operations or seconds; without either it goes on
# until standard input ends, which ends it in any case.
#
# Each operation is two JSON lines, one when it begins and one when it has ended, so that one in progress is known of when
# the client is killed. An error at COMMIT leaves open whether the transaction took place; one before it means that it did
# not. After any error but BUSY the path is opened anew, until that works: the host may have died.
import json
import os
import random
import sqlite3
import sys
import threading
import time
from urllib.parse import quote

RECONNECT = 0.05
RETRY_SECONDS = 0.02
READS = 0.4
NEWEST = "SELECT n, (SELECT op FROM ops ORDER BY n DESC LIMIT 1) FROM seq"
VALUES = "SELECT id, value FROM state WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
SEEN_AT_ONCE = """
    SELECT n, (SELECT op FROM ops ORDER BY n DESC LIMIT 1), (SELECT json_group_array(json_array(id, value))
        FROM state WHERE id IN (SELECT value FROM json_each(?))) FROM seq
"""
CHANGES = {
    "write": ["UPDATE state SET value = :value WHERE id = :id"],
    "cas": ["UPDATE state SET value = :to WHERE id = :id AND value = :from"],
    "transfer": [
        "UPDATE state SET value = value - :amount WHERE id = :source",
        "UPDATE state SET value = value + :amount WHERE id = :target",
    ],
}
# Triggers do the rest.
AT_ONCE = {
    "write": "INSERT INTO ops(n, op, target, value) SELECT n + 1, :op, :id, :value FROM seq RETURNING n",
    "transfer": """
        INSERT INTO ops(n, op, source, target, amount) SELECT n + 1, :op, :source, :target, :amount FROM seq RETURNING n
    """,
}

job = json.loads(sys.argv[1])
choose = random.Random(job["seed"])
stopped = threading.Event()
started = time.monotonic()
ALL = list(range(job["rows"]))
# What a register held when it was last seen: compare-and-set starts from there.
known = {}


class Uncertain(Exception):
    """An error at COMMIT; `n` is the version that it would have produced, where that is known."""

    def __init__(self, error, n=None):
        super().__init__(name_of(error))
        self.error, self.n = error, n


def name_of(error):
    return getattr(error, "sqlite_errorname", type(error).__name__)


def is_busy(error):
    return name_of(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_over(index=0):
    if stopped.is_set() or index == job.get("operations"):
        return True
    return "seconds" in job and time.monotonic() - started > job["seconds"]


def tell(record):
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def connect():
    """A connection, or None when all is over before the path can be opened."""
    # Never creates: without its mount the path is a name in an empty directory.
    uri = "file:%s?mode=rw" % quote(job["path"])
    patient_until = time.monotonic() + job["patience"]
    while not is_over():
        try:
            return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=job["timeout"])
        except sqlite3.OperationalError:
            if time.monotonic() > patient_until:
                raise
            time.sleep(RETRY_SECONDS)
    return None


def disconnect(db):
    try:
        db.close()
    except sqlite3.Error:
        pass


def roll_back(db):
    try:
        db.execute("ROLLBACK")
        return True
    except sqlite3.Error:
        return False


def commit(db, n):
    try:
        db.execute("COMMIT")
    except sqlite3.Error as error:
        # BUSY leaves the transaction as it was; rolled back, it did not take place.
        if is_busy(error) and roll_back(db):
            raise
        raise Uncertain(error, n)


def rows(db, sql, *arguments):
    return db.execute(sql, arguments).fetchall()


def seen(db, ids):
    [(n, last)] = rows(db, NEWEST)
    return {"n": n, "last": last, "wrote": False, "values": rows(db, VALUES, json.dumps(ids))}


def seen_at_once(db, ids):
    [(n, last, values)] = rows(db, SEEN_AT_ONCE, json.dumps(ids))
    return {"n": n, "last": last, "wrote": False, "values": json.loads(values)}


def read(db, ids, style):
    if style == "AUTOCOMMIT":
        return seen_at_once(db, ids)
    db.execute("BEGIN " + style)
    result = seen(db, ids)
    db.execute("COMMIT")
    return result


def write_at_once(db, op, action):
    try:
        [(n,)] = db.execute(AT_ONCE[action["kind"]], {**action, "op": op}).fetchall()
    except sqlite3.Error as error:
        if is_busy(error):
            raise
        raise Uncertain(error)
    return {"n": n, "wrote": True, "values": []}


def write(db, op, action, style):
    db.execute("BEGIN " + style)
    # A deferred transaction reads first, and fails when somebody else writes before it does.
    before = seen(db, ALL)
    changed = [db.execute(sql, action).rowcount for sql in CHANGES[action["kind"]]]
    if changed == [0]:
        db.execute("COMMIT")
        return before
    [(n,)] = rows(db, "UPDATE seq SET n = n + 1 RETURNING n")
    db.execute("INSERT INTO ops(n, op) VALUES(?, ?)", [n, op])
    values = rows(db, VALUES, json.dumps(ALL))
    commit(db, n)
    return {"n": n, "wrote": True, "values": values}


def choose_action(index):
    """What to do, and in which kind of transaction."""
    if choose.random() < READS:
        is_whole = job["mode"] == "bank" or choose.random() < 0.5
        style = choose.choice(("AUTOCOMMIT", "DEFERRED"))
        return {"kind": "read", "ids": ALL if is_whole else [choose.choice(ALL)]}, style
    style = choose.choice(("AUTOCOMMIT", "DEFERRED", "IMMEDIATE"))
    if job["mode"] == "bank":
        source, target = choose.sample(ALL, 2)
        return {"kind": "transfer", "source": source, "target": target, "amount": choose.randint(1, 20)}, style
    id, value = choose.choice(ALL), job["number"] * 10**9 + index
    if style == "AUTOCOMMIT" or choose.random() < 0.5:
        return {"kind": "write", "id": id, "value": value}, style
    return {"kind": "cas", "id": id, "from": known.get(id, 0), "to": value}, style


def perform(db, op, action, style):
    """How an operation ended, and the connection if it is still good."""
    try:
        if action["kind"] == "read":
            result = read(db, action["ids"], style)
        elif style == "AUTOCOMMIT":
            result = write_at_once(db, op, action)
        else:
            result = write(db, op, action, style)
        known.update(result["values"])
        return {"outcome": "ok", **result}, db
    except Uncertain as uncertain:
        ending = {"outcome": "indeterminate", "error": name_of(uncertain.error)}
        if uncertain.n is not None:
            ending["n"] = uncertain.n
    except sqlite3.Error as error:
        ending = {"outcome": "failed", "error": name_of(error)}
        if is_busy(error) and (not db.in_transaction or roll_back(db)):
            return ending, db
    disconnect(db)
    return ending, None


def stop_with_input():
    # Not sys.stdin.read(): its lock would keep the interpreter from ending.
    while os.read(0, 4096):
        pass
    stopped.set()


def main():
    threading.Thread(target=stop_with_input, daemon=True).start()
    db, index = None, 0
    while not is_over(index):
        db = db or connect()
        if db is None:
            return
        action, style = choose_action(index)
        op = "%s-%d" % (job["client"], index)
        tell({"op": op, "action": action, "style": style, "invokedNs": time.monotonic_ns()})
        ending, db = perform(db, op, action, style)
        tell({"op": op, "respondedNs": time.monotonic_ns(), **ending})
        index += 1
        if db is not None and choose.random() < RECONNECT:
            disconnect(db)
            db = None
        time.sleep(choose.uniform(0, job["pause"]))


main()
