# The state of a run: files, views and descriptors on both sides, and what a close, a commit or a death does to them.
import os
import random
import sqlite3
import time
from collections import Counter, deque

import system
from model import classify, longer

PROCESSES = 3
OPENS_MAX = 12
BYTES_MAX = 300_000
WAIT_SECONDS_MAX = 10
PLAIN = ["a", "b", "c.db", "d"]
ODD = ["n-journal", ".dot", "sp ace", "x" * 200, "é日本🙂", "..two", "-rf", "a'b\"c", "%2e", "*?[", "a:b", "\\", "#;&"]
REFUSED = ["a@b", "a-wal", "c.db-shm", "y" * 201, "z" * 255, "q" * 256, "t\tab", "n\nl", "a,b", "k=v", "\x7f", "\x85"]


class Difference(Exception):
    pass


def shown(answer):
    kind, value = answer
    if isinstance(value, bytes):
        return "%d bytes %s" % (len(value), value[:24].hex())
    return "%s %s" % (kind, str(value)[:300])


class Session:
    def __init__(self, mount, local, seed):
        self.random = random.Random(seed)
        self.mount = mount
        self.names = os.path.join(local, "names")
        self.views = os.path.join(local, "views")
        os.makedirs(self.names)
        os.makedirs(self.views)
        self.files = {}
        self.descriptors = []
        self.processes = [system.Process() for _ in range(PROCESSES)]
        self.log = deque(maxlen=400)
        self.counts = Counter()
        self.view_count = 0
        self.pool = PLAIN + self.random.sample(ODD, 3)
        self.database = self.small_database(local)

    def small_database(self, local):
        path = os.path.join(local, "small.db")
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA page_size=1024")
            connection.execute("CREATE TABLE t(a)")
            connection.execute("INSERT INTO t SELECT hex(zeroblob(2000))")
        connection.close()
        with open(path, "rb") as file:
            return file.read()

    # --- comparing

    def note(self, *what):
        self.log.append(" ".join(str(part)[:120] for part in what))

    def expect(self, what, got, *allowed):
        self.note("  ", what, shown(got))
        if got not in allowed:
            raise Difference("%s: %s, not %s" % (what, shown(got), " or ".join(shown(one) for one in allowed)))

    def at(self, name):
        return os.path.join(self.mount, name)

    def locally(self, name):
        return os.path.join(self.names, name)

    def chosen(self, items):
        return self.random.choice(items)

    def process(self):
        return self.random.randrange(PROCESSES)

    def name(self):
        if self.files and self.random.random() < 0.7:
            return self.chosen(sorted(self.files))
        return self.chosen(self.pool)

    def offset(self, size):
        if self.random.random() < 0.2:
            return self.chosen([0, 24, 4096, size, max(0, size - 1), size + 1])
        return self.random.randrange(0, min(BYTES_MAX, size + 10_000))

    def length(self):
        return self.chosen([1, 16, 100, 4096, 4097, 9000, self.random.randrange(1, 70_000), self.random.randrange(1, 500)])

    def data(self):
        return self.random.randbytes(self.length())

    # --- what the mount promises

    def creates(self, process, file):
        return file.creator is not None and file.creator.process == process

    def blocked(self, view):
        return view.file.writer not in (None, view)

    def begins(self, open_):
        """Before a write through a handle: the view's local file is what it writes on. False where it must not."""
        view = open_.view
        if view.dirty:
            return True
        if open_.readable:
            if open_.pinned != view.file.newest or view.divided:
                return False
        else:
            view.replace(view.file.versions[-1])
        return True

    def wrote(self, view):
        if view.dirty:
            return
        view.dirty = True
        view.divided = False
        view.base = view.file.newest
        view.file.writer = view

    def commit(self, view):
        file = view.file
        content = view.content()
        # What was written may be what was there: then nobody moves.
        if content != file.versions[view.base]:
            file.versions.append(content)
            if file.creator not in (None, view):
                file.creator.divided = True
            for open_ in view.opens:
                open_.pinned = file.newest
        view.divided = view.process is not None and any(open_.pinned != file.newest for open_ in view.opens)
        self.clean(view)
        self.show(file)

    def clean(self, view):
        view.dirty = False
        view.file.writer = None

    def show(self, file):
        if file.name is not None:
            with open(self.locally(file.name), "wb") as local:
                local.write(file.versions[-1])

    def closes(self, view, deliberate=True):
        """After close(2) of a descriptor of the view; deliberate: not that of a process that was killed."""
        if view.on_purpose and view.file.name is not None:
            view.file.made = True
        self.flushed(view, deliberate)

    def flushed(self, view, deliberate=True):
        """What may be a version is committed."""
        if not view.dirty:
            return
        content, before = view.content(), view.file.versions[view.base]
        kind = classify(content)
        left = deliberate and ((before == b"" and content != b"") or longer(content, before))
        if left or kind == "whole" or (kind == "foreign" and self.begun(content, before)):
            self.commit(view)

    @staticmethod
    def begun(content, before):
        """A database that is replaced is cut to nothing first."""
        return classify(before) == "foreign" or len(content) >= 512

    def released(self, view):
        """After the last close of an open."""
        if view.dirty and not any(open_.writable for open_ in view.opens):
            content = view.content()
            if classify(content) == "half" and not longer(content, view.file.versions[view.base]):
                view.replace(view.file.versions[view.base])
                self.clean(view)
            else:
                self.commit(view)
        if view.opens:
            return
        os.unlink(view.path)
        if view.file.creator is view:
            view.file.creator = None

    def settled(self, file, process):
        """Waits for what the kernel does after a close: the mount is told of it later."""
        if file.name is None:
            return
        until = time.monotonic() + WAIT_SECONDS_MAX
        path = self.at(file.name)
        wanted = [("kind", ("ok", "plain" if self.creates(process, file) else "link"))]
        if not self.creates(process, file):
            wanted.append(("whole", ("ok", file.versions[-1])))
        for name, answer in wanted:
            while (got := self.processes[process].call(name, path)) != answer:
                if time.monotonic() > until:
                    raise Difference("%s of %s after close: %s, not %s" % (name, file.name, shown(got), shown(answer)))
                time.sleep(0.002)
