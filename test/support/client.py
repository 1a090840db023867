# A SQLite client for tests: JSON commands on standard input, one JSON answer a line. Several connections and cursors
# at once; nothing is committed behind the caller's back (isolation_level None). Blobs are {"blob": hex} both ways.
# Every connection has the SQL function noise(seed, length): the same bytes for the same arguments, in any process.
import hashlib
import json
import os
import sqlite3
import sys

connections = {}
cursors = {}


def encode(value):
    return {"blob": value.hex()} if isinstance(value, bytes) else value


def decode(value):
    return bytes.fromhex(value["blob"]) if isinstance(value, dict) else value


def noise(seed, length):
    return hashlib.shake_128(str(seed).encode()).digest(length)


def one(connection, sql):
    return connection.execute(sql).fetchone()[0]


def digest(connection, schema):
    """What a database holds: its sizes, whether it is sound, and a hash of the rows of every table."""
    content = {"integrity": [row[0] for row in connection.execute("PRAGMA %s.integrity_check" % schema)]}
    for pragma in ("page_size", "page_count", "freelist_count", "auto_vacuum", "user_version", "schema_version"):
        content[pragma] = one(connection, "PRAGMA %s.%s" % (schema, pragma))
    catalogue = "SELECT type, name, tbl_name, sql FROM %s.sqlite_schema ORDER BY type, name" % schema
    for kind, name, table, sql in connection.execute(catalogue).fetchall():
        content[kind + " " + name] = [table, sql]
        if kind == "table":
            rows = connection.execute('SELECT * FROM %s."%s" ORDER BY 1' % (schema, name))
            state, count = hashlib.sha256(), 0
            for row in rows:
                state.update(repr(row).encode())
                count += 1
            content[kind + " " + name] += [count, state.hexdigest()]
    return content


def content_of(path):
    """What lies at a path: a directory, or a file with its bytes behind SQLite's header, and what SQLite reads there."""
    if os.path.isdir(path):
        return "directory"
    with open(path, "rb") as file:
        content = file.read()
    if not content:
        return "empty"
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        shown = digest(connection, "main")
    finally:
        connection.close()
    text = json.dumps([hashlib.sha256(content[100:]).hexdigest(), shown], sort_keys=True)
    sound = "" if shown["integrity"] == ["ok"] else " not sound: %r" % shown["integrity"][:3]
    mode = os.stat(path).st_mode & 0o777
    return "%d bytes, %o, %s%s" % (len(content), mode, hashlib.sha256(text.encode()).hexdigest()[:16], sound)


def tree(directory, prefix, names):
    """By name without the prefix: what lies in a directory, and in those of it. What is listed is there, and nothing else is."""
    listed = set()
    for name in os.listdir(directory):
        if name.startswith(prefix):
            listed.add(name)
            path = os.path.join(directory, name)
            if os.path.isdir(path):
                listed.update("%s/%s" % (name, below) for below in os.listdir(path))
    content = {name[len(prefix):]: content_of(os.path.join(directory, name)) for name in sorted(listed)}
    for name in names:
        if name not in content and os.path.lexists(os.path.join(directory, prefix + name)):
            content[name] = "not listed"
    return content


def run(command):
    op = command["op"]
    name = command.get("c", 0)
    if op == "open":
        connections[name] = sqlite3.connect(
            command["path"], isolation_level=None, timeout=command.get("timeout", 5), uri=command.get("uri", False)
        )
        connections[name].create_function("noise", 2, noise, deterministic=True)
        return None
    if op == "close":
        for key in [key for key in cursors if key[0] == name]:
            cursors.pop(key).close()
        connections.pop(name).close()
        return None
    if op == "exec":
        params = [decode(value) for value in command.get("params", [])]
        cursor = connections[name].execute(command["sql"], params)
        return [[encode(value) for value in row] for row in cursor.fetchall()]
    if op == "script":
        connections[name].executescript(command["sql"])
        return None
    if op == "digest":
        return digest(connections[name], command.get("schema", "main"))
    if op == "cursor":
        cursors[(name, command["cursor"])] = connections[name].execute(command["sql"])
        return None
    if op == "fetch":
        rows = cursors[(name, command["cursor"])].fetchmany(command.get("count", 1))
        return [[encode(value) for value in row] for row in rows]
    if op == "drop":
        cursors.pop((name, command["cursor"])).close()
        return None
    if op == "in_transaction":
        return connections[name].in_transaction
    if op == "rollback":
        # Ends a transaction if there is one, so that a list of steps need not know.
        if not connections[name].in_transaction:
            return False
        connections[name].execute("ROLLBACK")
        return True
    if op == "all":
        # Statements up to the first that fails.
        for sql in command["sql"]:
            connections[name].execute(sql).fetchall()
        return None
    if op == "tree":
        return tree(command["directory"], command["prefix"], command["names"])
    if op == "fork":
        # A child that closes the descriptors that it inherited, and ends without SQLite's knowledge.
        child = os.fork()
        if child == 0:
            os.closerange(3, 1024)
            os._exit(0)
        os.waitpid(child, 0)
        return None
    if op == "steps":
        return [answer(step) for step in command["steps"]]
    raise ValueError("unknown op " + op)


def answer(command):
    try:
        return {"value": run(command)}
    except sqlite3.Error as error:
        return {"error": getattr(error, "sqlite_errorname", type(error).__name__), "message": str(error)}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


for line in sys.stdin:
    sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
    sys.stdout.flush()
