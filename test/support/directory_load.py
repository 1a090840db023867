# One of several processes at work on the databases of a mounted directory: transactions and reads, while it and the others
# create, replace, rename and remove them. `work DIRECTORY LOG NUMBER SEED PAUSE` runs until it is killed, with a pause in
# seconds between its steps; `check DIRECTORY LOG...` looks at everything once and prints what it saw. `read PATH PAUSE` goes on
# reading a database, whatever it holds: each snapshot is sound and stays as it is.
#
# Every database has a uid, accounts that always add up to SUM, and a ledger with a row of each transaction, whose number
# is in `meta`, too. Before a transaction is committed it is in the process's log as "try", afterwards as "ack".
import os
import random
import sqlite3
import sys
import time
import uuid

ACCOUNTS = 40
SUM = ACCOUNTS * 100
STABLE = ["stable0", "stable1"]
CHURN = ["churn0", "churn1", "churn2"]
# All that these processes make; others may be in the same directory.
OWN = ("stable", "churn", "new-", "copy-")
SCHEMA = [
    "CREATE TABLE meta(uid TEXT, count INTEGER)",
    "CREATE TABLE account(id INTEGER PRIMARY KEY, uid TEXT, balance INTEGER, pad TEXT)",
    "CREATE TABLE ledger(w INTEGER, n INTEGER, PRIMARY KEY(w, n)) WITHOUT ROWID",
]
# What may happen to a client whose database is busy, gone or replaced, or whose daemon was killed.
EXPECTED = ("BUSY", "LOCKED", "CANTOPEN", "READONLY", "IOERR", "SCHEMA", "PROTOCOL")


class Violation(Exception):
    pass


def connect(path, create=False):
    uri = "file:%s?mode=%s" % (path, "rwc" if create else "rw")
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.3)
    connection.execute("PRAGMA cache_size=20")
    return connection


def create(connection, uid):
    connection.execute("BEGIN IMMEDIATE")
    for sql in SCHEMA:
        connection.execute(sql)
    connection.execute("INSERT INTO meta VALUES(?, 0)", (uid,))
    rows = [(i, uid, 100, uid * 8) for i in range(ACCOUNTS)]
    connection.executemany("INSERT INTO account VALUES(?, ?, ?, ?)", rows)
    connection.execute("COMMIT")


def verify(connection, what):
    """One snapshot of a database is whole: its uid, or None of one that holds nothing yet."""
    connection.execute("BEGIN")
    try:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            return None
        (uid, count), = connection.execute("SELECT uid, count FROM meta").fetchall()
        seen = connection.execute(
            "SELECT count(*), sum(balance), min(uid), max(uid), sum(pad = replace('********', '*', uid)) FROM account"
        ).fetchone()
        rows = connection.execute("SELECT count(*) FROM ledger").fetchone()[0]
        if seen != (ACCOUNTS, SUM, uid, uid, ACCOUNTS) or rows != count:
            raise Violation("%s: %r, %d rows of %d, uid %s" % (what, seen, rows, count, uid))
        integrity = connection.execute("PRAGMA integrity_check").fetchall()
        if integrity != [("ok",)]:
            raise Violation("%s: %r" % (what, integrity[:3]))
        return uid
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


class Worker:
    def __init__(self, directory, log, number, seed, pause):
        self.directory = directory
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.number = number
        self.pause = pause
        self.random = random.Random(seed)
        self.last = 0
        self.connections = {}

    def path(self, name):
        return os.path.join(self.directory, name)

    def tell(self, *words):
        os.write(self.log, (" ".join(str(word) for word in words) + "\n").encode())

    def connection(self, name):
        if name not in self.connections:
            connection = connect(self.path(name))
            self.connections[name] = connection
            connection.execute("PRAGMA journal_mode=%s" % self.random.choice(["DELETE", "TRUNCATE", "PERSIST", "MEMORY"]))
            connection.execute("PRAGMA synchronous=%s" % self.random.choice(["NORMAL", "FULL", "EXTRA"]))
        return self.connections[name]

    def forget(self, name):
        connection = self.connections.pop(name, None)
        if connection is not None:
            connection.close()

    def transaction(self, name):
        connection = self.connection(name)
        connection.execute("BEGIN IMMEDIATE")
        (uid,) = connection.execute("SELECT uid FROM meta").fetchone()
        self.last += 1
        self.tell("try", uid, self.number, self.last)
        one, other = self.random.sample(range(ACCOUNTS), 2)
        connection.execute("INSERT INTO ledger VALUES(?, ?)", (self.number, self.last))
        connection.execute("UPDATE account SET balance = balance - 1 WHERE id = ?", (one,))
        connection.execute("UPDATE account SET balance = balance + 1 WHERE id = ?", (other,))
        connection.execute("UPDATE meta SET count = count + 1")
        if self.random.random() < 0.1:
            connection.execute("ROLLBACK")
            return
        connection.execute("COMMIT")
        self.tell("ack", uid, self.number, self.last)

    def replace(self, name):
        """A new database takes the place of an old one; sometimes its creator goes on with it."""
        temporary = "new-%d-%d" % (self.number, self.last)
        uid = uuid.uuid4().hex[:8]
        connection = connect(self.path(temporary), True)
        create(connection, uid)
        os.rename(self.path(temporary), self.path(name))
        self.forget(name)
        if self.random.random() < 0.5:
            connection.close()
        else:
            self.connections[name] = connection

    def create(self, name):
        """In its place, where several may create it at once; whoever was first goes on with it as its creator."""
        self.forget(name)
        if self.random.random() < 0.5 and os.path.lexists(self.path(name)):
            os.unlink(self.path(name))
        connection = connect(self.path(name), True)
        try:
            create(connection, uuid.uuid4().hex[:8])
        except sqlite3.Error:
            connection.close()
            raise
        self.connections[name] = connection

    def copy(self, name, other):
        """As cp does it: not under SQLite's locks, but of one version."""
        with open(self.path(name), "rb") as source:
            content = source.read()
        temporary = self.path("copy-%d" % self.number)
        with open(temporary, "wb") as target:
            target.write(content)
        connection = connect(temporary)
        uid = verify(connection, "a copy of %s" % name)
        if uid is not None:
            # It is another database from now on.
            new = uuid.uuid4().hex[:8]
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM ledger")
            connection.execute("UPDATE account SET uid = ?1, pad = replace('********', '*', ?1)", (new,))
            connection.execute("UPDATE meta SET uid = ?, count = 0", (new,))
            connection.execute("COMMIT")
        connection.close()
        os.rename(temporary, self.path(other))

    def step(self):
        name = self.random.choice(STABLE + CHURN)
        churn = self.random.choice(CHURN)
        kind = self.random.random()
        try:
            if kind < 0.5:
                self.transaction(name)
            elif kind < 0.75:
                verify(self.connection(name), name)
            elif kind < 0.80:
                self.forget(name)
            elif kind < 0.87:
                self.create(churn)
            elif kind < 0.92:
                self.replace(churn)
            elif kind < 0.96:
                self.copy(name, churn)
            elif kind < 0.98:
                os.rename(self.path(churn), self.path(self.random.choice(CHURN)))
            else:
                os.unlink(self.path(churn))
            self.tell("did", "%.2f" % kind)
        except sqlite3.Error as error:
            self.failed(error, name if kind < 0.80 else churn, name, churn)
        except OSError as error:
            self.tell("os", error.errno)

    def daemon_lives(self):
        try:
            os.stat(self.path(STABLE[0]))
            return True
        except OSError:
            return False

    def failed(self, error, subject, name, churn):
        code = getattr(error, "sqlite_errorname", type(error).__name__)
        alive = self.daemon_lives()
        self.tell("sql", code if alive else "%s-dead" % code)
        # Nobody takes these away.
        if alive and subject in STABLE and not code.startswith("SQLITE_BUSY"):
            raise Violation("%s of %s: %s" % (code, subject, error))
        # Of a name that somebody else has just created, or creates at once.
        early = "no such table" in str(error) or "already exists" in str(error)
        if not early and code[7:].split("_")[0] not in EXPECTED:
            raise Violation("%s of %s or %s: %s" % (code, name, churn, error))
        for other in (name, churn):
            connection = self.connections.get(other)
            if connection is not None and (connection.in_transaction or not code.startswith("SQLITE_BUSY")):
                self.forget(other)

    def run(self):
        for name in STABLE:
            if self.number == 0 and not os.path.lexists(self.path(name)):
                connection = connect(self.path(name), True)
                create(connection, uuid.uuid4().hex[:8])
                # Its creator goes on with it.
                self.connections[name] = connection
        print("ready", flush=True)
        while True:
            self.step()
            time.sleep(self.pause)


def summary(connection):
    """What one snapshot holds, roughly."""
    rows = connection.execute("SELECT name, type FROM sqlite_schema ORDER BY name").fetchall()
    tables = [name for name, kind in rows if kind == "table"]
    return rows, [connection.execute('SELECT count(*) FROM "%s"' % name).fetchone() for name in tables]


def read(path, pause):
    print("ready", flush=True)
    while True:
        connection = sqlite3.connect("file:%s?mode=ro" % path, uri=True, isolation_level=None, timeout=0)
        for _ in range(10):
            connection.execute("BEGIN")
            first = summary(connection)
            integrity = connection.execute("PRAGMA integrity_check").fetchall()
            time.sleep(pause)
            if integrity != [("ok",)] or summary(connection) != first:
                raise Violation("a snapshot of %s: %r" % (path, integrity[:3]))
            connection.execute("COMMIT")
        connection.close()


def check(directory, logs):
    tried, acknowledged = {}, {}
    for log in logs:
        with open(log) as lines:
            for line in lines:
                words = line.split()
                if words[0] in ("try", "ack"):
                    into = tried if words[0] == "try" else acknowledged
                    into.setdefault(words[1], set()).add((int(words[2]), int(words[3])))
    uids = {}
    total = 0
    for name in sorted(os.listdir(directory)):
        if not name.startswith(OWN):
            continue
        if name.endswith("-journal"):
            raise Violation("a journal is left: %s" % name)
        connection = connect(os.path.join(directory, name))
        uid = verify(connection, name)
        if uid is None:
            if name in STABLE:
                raise Violation("%s is empty" % name)
            continue
        if name.startswith("copy-"):
            # Whoever made it was killed before it was another database.
            continue
        if uid in uids:
            raise Violation("%s and %s are the same database" % (name, uids[uid]))
        uids[uid] = name
        rows = set(connection.execute("SELECT w, n FROM ledger"))
        lost = acknowledged.get(uid, set()) - rows
        if lost:
            raise Violation("acknowledged and lost in %s (%s): %r" % (name, uid, sorted(lost)[:5]))
        if rows - tried.get(uid, set()):
            raise Violation("never tried, and in %s" % name)
        total += len(rows)
        connection.close()
    if not set(STABLE) <= set(uids.values()):
        raise Violation("gone: %r" % (set(STABLE) - set(uids.values())))
    print("%d databases, %d transactions" % (len(uids), total))


def main():
    try:
        if sys.argv[1] == "check":
            check(sys.argv[2], sys.argv[3:])
        elif sys.argv[1] == "read":
            read(sys.argv[2], float(sys.argv[3]))
        else:
            directory, log, number, seed, pause = sys.argv[2:7]
            Worker(directory, log, int(number), int(seed), float(pause)).run()
    except Violation as violation:
        print("VIOLATION %s" % violation, file=sys.stderr)
        sys.exit(1)


main()
