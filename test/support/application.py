# Builds an application's database from what every Debian machine has: its packages (apt's and dpkg's records), the files
# below /usr, and lines of the text files among them. Arguments: path, least number of rows. Prints JSON: rows by table.
# The order is that of the names, so the same machine gives the same database.
import json
import os
import sqlite3
import stat
import subprocess
import sys

path, rows_min = sys.argv[1], int(sys.argv[2])
LINE_LENGTH_MAX = 400
LINES_OF_A_FILE_MAX = 2000
TEXTS = ("/usr/include", "/usr/share/doc", "/usr/share", "/usr/lib", "/usr/local")

db = sqlite3.connect(path)
db.executescript(
    """
    PRAGMA synchronous = OFF;
    CREATE TABLE package(id INTEGER PRIMARY KEY, name TEXT, version TEXT, section TEXT, bytes INTEGER, description TEXT);
    CREATE TABLE file(id INTEGER PRIMARY KEY, path TEXT UNIQUE, kind TEXT, bytes INTEGER, directory INTEGER REFERENCES file);
    CREATE TABLE line(id INTEGER PRIMARY KEY, file INTEGER REFERENCES file, number INTEGER, text TEXT);
    CREATE VIRTUAL TABLE search USING fts5(text, content = 'line', content_rowid = 'id');
    """
)


def records(text):
    for record in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in record.split("\n") if ": " in line and not line.startswith(" "))
        if "Package" in fields:
            size = fields.get("Size") or fields.get("Installed-Size") or "0"
            yield fields["Package"], fields.get("Version"), fields.get("Section"), int(size), fields.get("Description")


def packages():
    try:
        yield from records(subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True).stdout)
    except FileNotFoundError:
        pass
    if os.path.exists("/var/lib/dpkg/status"):
        with open("/var/lib/dpkg/status", errors="replace") as status:
            yield from records(status.read())


def files():
    ids = {}
    for directory, directories, names in os.walk("/usr"):
        directories.sort()
        for name in ["."] + sorted(names):
            full = directory if name == "." else os.path.join(directory, name)
            try:
                found = os.lstat(full)
                full.encode()
            except (OSError, UnicodeEncodeError):
                continue
            ids[full] = len(ids) + 1
            yield ids[full], full, stat.filemode(found.st_mode), found.st_size, ids.get(os.path.dirname(full))


def lines(top):
    for file, full in db.execute("SELECT id, path FROM file WHERE path >= ? AND path < ?", [top + "/", top + "0"]).fetchall():
        try:
            with open(full, "rb") as opened:
                start = opened.read(200_000)
        except OSError:
            continue
        if b"\0" in start:
            continue
        for number, line in enumerate(start.decode(errors="replace").split("\n")[:LINES_OF_A_FILE_MAX]):
            if line.strip():
                yield file, number + 1, line[:LINE_LENGTH_MAX]


def total():
    return sum(db.execute("SELECT count(*) FROM " + table).fetchone()[0] for table in ("package", "file", "line"))


db.executemany("INSERT INTO package(name, version, section, bytes, description) VALUES(?, ?, ?, ?, ?)", packages())
db.executemany("INSERT INTO file VALUES(?, ?, ?, ?, ?)", files())
for top in TEXTS:
    # Always some lines, for the search; beyond that only what is missing.
    wanted = max(rows_min - total(), 50_000 if top == TEXTS[0] else 0)
    chosen = (line for line, _ in zip(lines(top), range(wanted)))
    db.executemany("INSERT OR IGNORE INTO line(file, number, text) VALUES(?, ?, ?)", chosen)
db.executescript(
    """
    INSERT INTO search(search) VALUES('rebuild');
    CREATE INDEX package_name ON package(name, version);
    CREATE INDEX file_directory ON file(directory, bytes);
    CREATE INDEX line_file ON line(file, number);
    """
)
db.commit()
print(json.dumps({table: db.execute("SELECT count(*) FROM " + table).fetchone()[0] for table in ("package", "file", "line")}))
