# A SQLite client for tests: JSON commands on standard input, one JSON answer a line. Several connections and cursors
# at once; nothing is committed behind the caller's back (isolation_level None).
import json
import sqlite3
import sys

connections = {}
cursors = {}


def encode(value):
    return {"blob": value.hex()} if isinstance(value, bytes) else value


def run(command):
    op = command["op"]
    name = command.get("c", 0)
    if op == "open":
        connections[name] = sqlite3.connect(
            command["path"], isolation_level=None, timeout=command.get("timeout", 5), uri=command.get("uri", False)
        )
        return None
    if op == "close":
        for key in [key for key in cursors if key[0] == name]:
            cursors.pop(key).close()
        connections.pop(name).close()
        return None
    if op == "exec":
        cursor = connections[name].execute(command["sql"], command.get("params", []))
        return [[encode(value) for value in row] for row in cursor.fetchall()]
    if op == "script":
        connections[name].executescript(command["sql"])
        return None
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
    raise ValueError("unknown op " + op)


for line in sys.stdin:
    try:
        answer = {"value": run(json.loads(line))}
    except sqlite3.Error as error:
        answer = {"error": getattr(error, "sqlite_errorname", type(error).__name__), "message": str(error)}
    except Exception as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
