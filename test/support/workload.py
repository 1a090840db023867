# A process of a concurrency test. Its one argument is JSON: path, kind, threads, count, timeout, seed. Every thread has a
# connection of its own and does `count` rounds, or goes on until standard input ends when count is 0. Prints "commit"
# after every committed round, and a JSON line of what happened at the end; errors that are not expected end it with status 1.
import json
import random
import sqlite3
import sys
import threading
import traceback

job = json.loads(sys.argv[1])
stopped = threading.Event()
printing = threading.Lock()
totals = {"done": 0, "busy": 0, "versions": 0}
failures = []
BUSY = (sqlite3.SQLITE_BUSY,)


def tell(line):
    with printing:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def count(what):
    with printing:
        totals[what] += 1


def increment_immediate(db, _random):
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE counter SET value = value + 1")
    db.execute("COMMIT")


def increment_autocommit(db, _random):
    db.execute("UPDATE counter SET value = value + 1")


def increment_deferred(db, _random):
    """Writes what it read: an update that is lost shows. SQLITE_BUSY comes at once, and all of it is done again."""
    while True:
        try:
            db.execute("BEGIN")
            value = db.execute("SELECT value FROM counter").fetchone()[0]
            db.execute("UPDATE counter SET value = ?", [value + 1])
            db.execute("COMMIT")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in BUSY:
                raise
            count("busy")
            if db.in_transaction:
                db.execute("ROLLBACK")


def transfer(db, choose):
    """Moves an amount from one table to the other: their sum is always the same."""
    amount, account = choose.randint(-50, 50), choose.randint(1, 100)
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE debit SET amount = amount - ? WHERE id = ?", [amount, account])
    db.execute("UPDATE credit SET amount = amount + ? WHERE id = ?", [amount, account])
    db.execute("UPDATE counter SET value = value + 1")
    db.execute("COMMIT")


SUM = "SELECT (SELECT sum(amount) FROM debit) + (SELECT sum(amount) FROM credit), (SELECT value FROM counter)"


def read(db, _random):
    """One snapshot: the sum holds, and reading again gives the same however much is committed meanwhile."""
    db.execute("BEGIN")
    first = db.execute(SUM).fetchone()
    for _ in range(5):
        again = db.execute(SUM).fetchone()
        if again != first:
            raise AssertionError("a snapshot moved: %s, then %s" % (first, again))
    db.execute("COMMIT")
    if first[0] != 0:
        raise AssertionError("the sum is %d" % first[0])
    return first[1]


KINDS = {
    "immediate": increment_immediate,
    "autocommit": increment_autocommit,
    "deferred": increment_deferred,
    "transfer": transfer,
    "read": read,
}


def work(index):
    try:
        choose = random.Random("%s %s" % (job.get("seed", 0), index))
        db = sqlite3.connect(job["path"], isolation_level=None, timeout=job["timeout"])
        for pragma in job.get("pragmas", []):
            db.execute(pragma).fetchall()
        seen = set()
        rounds = 0
        while not stopped.is_set() and (job["count"] == 0 or rounds < job["count"]):
            seen.add(KINDS[job["kind"]](db, choose))
            rounds += 1
            count("done")
            tell("commit")
        with printing:
            totals["versions"] += len(seen)
        db.close()
    except Exception:
        failures.append(traceback.format_exc())


threads = [threading.Thread(target=work, args=[index]) for index in range(job["threads"])]
for thread in threads:
    thread.start()
if job["count"] == 0:
    sys.stdin.read()
    stopped.set()
for thread in threads:
    thread.join()
tell(json.dumps(totals))
if failures:
    sys.exit("\n".join(failures))
