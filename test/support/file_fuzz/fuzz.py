# Random file operations in a mounted directory, each compared with a local directory (model.py).
# Arguments: mounted directory, directory for the local side, seed, operations. Between rounds it prints "remount" or "kill"
# and goes on when told so by a line; at the end "done" and a count of each operation. A difference ends it with status 1.
import os
import random
import sqlite3
import sys
import time
from collections import Counter, deque

import system
from model import Descriptor, File, Open, View, classify, refused

PROCESSES = 3
OPENS_MAX = 12
BYTES_MAX = 300_000
WAIT_SECONDS_MAX = 10
PLAIN = ["a", "b", "c.db", "d"]
ODD = ["n-journal", ".dot", "sp ace", "x" * 200, "é日本🙂", "..two", "-rf", "a'b\"c", "%2e", "*?[", "a:b", "\\", "#;&"]
REFUSED = ["a@b", "a-wal", "c.db-shm", "b-mj0123ABCD9", "y" * 201, "z" * 255, "q" * 256, "t\tab", "n\nl", "a,b", "k=v", "\x7f", "\x85"]


class Difference(Exception):
    pass


class Fuzz:
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
        if content != file.versions[view.base]:
            file.versions.append(content)
            for other in [file.creator] if file.creator not in (None, view) else []:
                other.divided = True
        for open_ in view.opens:
            open_.pinned = file.newest
        self.clean(view)
        self.show(file)

    def clean(self, view):
        view.dirty = False
        view.file.writer = None

    def show(self, file):
        if file.name is not None:
            with open(self.locally(file.name), "wb") as local:
                local.write(file.versions[-1])

    def closes(self, view):
        """After close(2) of a descriptor of the view."""
        if view.process is not None and view.file.name is not None:
            view.file.made = True
        self.flushed(view)

    def flushed(self, view):
        """What may be a version is committed."""
        if not view.dirty:
            return
        kind = classify(view.content())
        before = classify(view.file.versions[view.base])
        if kind == "whole" or (kind == "foreign" and before == "foreign"):
            self.commit(view)

    def released(self, view):
        """After the last close of an open."""
        if view.dirty and not any(open_.writable for open_ in view.opens):
            if classify(view.content()) == "half":
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

    # --- operations on names

    def op_open(self):
        if len(self.descriptors) >= OPENS_MAX:
            return self.op_close()
        name, process = self.name(), self.process()
        flags = self.chosen([os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR])
        for flag, chance in ((os.O_CREAT, 0.6), (os.O_EXCL, 0.1), (os.O_TRUNC, 0.2), (os.O_APPEND, 0.25)):
            if self.random.random() < chance:
                flags |= flag
        file = self.files.get(name)
        truncates = bool(flags & os.O_TRUNC)
        held = file is not None and file.creator if file and self.creates(process, file) else None
        if truncates and file is not None:
            if held and (held.divided or not held.dirty and flags & os.O_ACCMODE != os.O_WRONLY and held.divided):
                return None
            if file.writer not in (None, held) and self.random.random() < 0.8:
                return None
        self.note("open", process, repr(name), oct(flags))
        got = self.processes[process].call("open", self.at(name), flags)
        local = system.call("open", self.locally(name), flags & ~os.O_TRUNC)
        if local[0] == "error":
            self.expect("open", got, local)
            return None
        os.close(local[1])
        blocked = truncates and file is not None and file.writer not in (None, held)
        if blocked:
            self.expect("open", got, ("error", "EBUSY"))
            return None
        if got[0] != "ok":
            self.expect("open", got, ("ok", "a descriptor"))
        if file is None:
            file = self.files[name] = File(name)
            view = file.creator = self.new_view(file, process)
        else:
            view = held or self.new_view(file, None)
        descriptor = self.opened(view, flags, process, got[1])
        if truncates:
            self.wrote(view)
        return descriptor

    def new_view(self, file, process):
        self.view_count += 1
        path = os.path.join(self.views, str(self.view_count))
        with open(path, "wb") as local:
            local.write(file.versions[-1])
        return View(file, path, process)

    def opened(self, view, flags, process, mounted):
        local = os.open(view.path, flags & ~(os.O_CREAT | os.O_EXCL))
        open_ = Open(view, flags)
        view.opens.append(open_)
        # Other handles of the same inode may move, too.
        if open_.moves and not view.dirty:
            for other in view.opens:
                if other.moves:
                    other.pinned = view.file.newest
        return self.descriptor(open_, process, mounted, local)

    def descriptor(self, open_, process, mounted, local):
        open_.count += 1
        descriptor = Descriptor(open_, process, mounted, local)
        self.descriptors.append(descriptor)
        return descriptor

    def op_refused(self):
        name, process = self.chosen(REFUSED), self.process()
        call = self.processes[process].call
        errno = refused(name)
        self.note("refused", process, repr(name))
        self.expect("open", call("open", self.at(name), os.O_RDWR), ("error", "ENOENT"))
        self.expect("unlink", call("unlink", self.at(name)), ("error", "ENOENT"), ("error", "EACCES"))
        self.expect("create", call("open", self.at(name), os.O_RDWR | os.O_CREAT), ("error", errno))
        if self.files:
            old = self.chosen(sorted(self.files))
            self.expect("rename", call("rename2", self.at(old), self.at(name), 0), ("error", errno))

    def op_never(self):
        """What such a directory does not have."""
        name, process = self.name(), self.process()
        call = self.processes[process].call
        old = self.chosen(sorted(self.files)) if self.files else None
        self.note("never", process, repr(name), repr(old))
        error = ("error", "EEXIST" if name in self.files else "EPERM")
        self.expect("mkdir", call("mkdir", self.at(name)), error)
        self.expect("symlink", call("symlink", "anything", self.at(name)), error)
        if old is not None:
            self.expect("link", call("link", self.at(old), self.at(name)), error)
            self.expect("rmdir", call("rmdir", self.at(old)), ("error", "ENOTDIR"))
            if name in self.files and name != old:
                exchange = call("rename2", self.at(old), self.at(name), system.RENAME_EXCHANGE)
                self.expect("exchange", exchange, ("error", "EINVAL"))
            self.expect("chmod", call("chmod", self.at(old), 0o600), ("ok", None))
            self.expect("utime", call("utime", self.at(old), (1, 2)), ("ok", None))

    def op_rename(self):
        old, new, process = self.name(), self.chosen(self.pool), self.process()
        flags = system.RENAME_NOREPLACE if self.random.random() < 0.2 else 0
        file = self.files.get(old)
        self.note("rename", process, repr(old), repr(new), flags)
        got = self.processes[process].call("rename2", self.at(old), self.at(new), flags)
        self.expect("rename", got, system.call("rename2", self.locally(old), self.locally(new), flags))
        if got[0] != "ok" or old == new:
            return
        replaced = self.files.get(new)
        if replaced is not None:
            replaced.name = None
            file.made = file.made or replaced.made
        del self.files[old]
        self.files[new] = file
        file.name = new
        if file.creator is not None:
            self.flushed(file.creator)

    def op_unlink(self):
        name, process = self.name(), self.process()
        self.note("unlink", process, repr(name))
        got = self.processes[process].call("unlink", self.at(name))
        self.expect("unlink", got, system.call("unlink", self.locally(name)))
        if got[0] == "ok":
            self.files.pop(name).name = None

    def op_stat(self):
        name, process = self.name(), self.process()
        call = self.processes[process].call
        file = self.files.get(name)
        self.note("stat", process, repr(name))
        if file is None:
            return self.expect("stat", call("stat", self.at(name)), ("error", "ENOENT"))
        if self.creates(process, file):
            self.expect("lstat", call("kind", self.at(name)), ("ok", "plain"))
            view = file.creator
            sizes = [len(view.content())]
            if view.divided:
                sizes += [len(version) for version in file.versions]
        else:
            self.expect("lstat", call("kind", self.at(name)), ("ok", "link"))
            sizes = [len(file.versions[-1])]
        return self.expect("stat", call("stat", self.at(name)), *[("ok", size) for size in sizes])

    def op_whole(self):
        name, process = self.name(), self.process()
        file = self.files.get(name)
        self.note("whole", process, repr(name))
        if file is None:
            expected = [("error", "ENOENT")]
        elif self.creates(process, file) and file.creator.dirty:
            expected = [("ok", file.creator.content())]
        else:
            expected = [("ok", file.versions[-1])]
        self.expect("whole", self.processes[process].call("whole", self.at(name)), *expected)
        if file is not None and self.creates(process, file):
            self.closes(file.creator)

    def op_truncate(self):
        name, process = self.name(), self.process()
        file = self.files.get(name)
        size = self.offset(len(file.versions[-1]) if file else 0)
        view = file.creator if file and self.creates(process, file) else None
        if view is not None and view.divided:
            return
        if file is not None and file.writer not in (None, view) and self.random.random() < 0.8:
            return
        self.note("truncate", process, repr(name), size)
        got = self.processes[process].call("truncate", self.at(name), size)
        if file is None:
            return self.expect("truncate", got, ("error", "ENOENT"))
        if file.writer not in (None, view):
            return self.expect("truncate", got, ("error", "EBUSY"))
        self.expect("truncate", got, ("ok", None))
        alone = view is None
        if alone:
            view = self.new_view(file, None)
        os.truncate(view.path, size)
        self.wrote(view)
        if not any(open_.writable for open_ in view.opens):
            if classify(view.content()) == "half":
                view.replace(file.versions[view.base])
                self.clean(view)
            else:
                self.commit(view)
        if alone:
            os.unlink(view.path)

    def op_list(self):
        process = self.process()
        self.note("list", process)
        self.expect("list", self.processes[process].call("list", self.mount), system.call("list", self.names))

    # --- operations on descriptors

    def both(self, descriptor, name, *args):
        """The same call on both sides; `args` after the descriptor."""
        got = self.processes[descriptor.process].call(name, descriptor.mounted, *args)
        return got, system.call(name, descriptor.local, *args)

    def candidates(self, open_):
        """Contents that a handle may see."""
        view = open_.view
        if view.dirty or not (view.divided or open_.moves):
            return [view.content()]
        pinned = view.file.versions[open_.pinned]
        contents = [pinned]
        if open_.moves and (pinned == b"" or classify(pinned) != "foreign"):
            later = view.file.versions[open_.pinned + 1 :]
            contents += [content for content in later if classify(content) != "foreign"]
        return contents

    def sizes(self, open_):
        """What a handle may be told. A view whose handles see different versions tells the size of one of those."""
        view = open_.view
        apart = view.divided or not open_.readable
        contents = view.file.versions if apart and not view.dirty else self.candidates(open_)
        return [len(content) for content in contents]

    def saw(self, open_, content):
        """A handle that moves on has moved to this version, or past it."""
        view = open_.view
        if view.dirty or not open_.moves:
            return
        index = view.file.versions.index(content, open_.pinned)
        for other in view.opens:
            if other.moves:
                other.pinned = max(other.pinned, index)
        if view.process is None:
            view.replace(content)

    def op_read(self):
        descriptor = self.any_descriptor()
        if descriptor is None:
            return
        open_ = descriptor.open
        at = os.lseek(descriptor.local, 0, os.SEEK_CUR)
        positioned = self.random.random() < 0.6
        length = self.length()
        offset = self.offset(len(open_.view.content())) if positioned else at
        if (offset, length) == (24, 16):
            length = 17
        self.note("read", self.told(descriptor), offset, length, "positioned" if positioned else "")
        call = self.processes[descriptor.process].call
        if positioned:
            got = call("pread", descriptor.mounted, length, offset)
        else:
            got = call("read", descriptor.mounted, length)
        if not open_.readable:
            return self.expect("read", got, ("error", "EBADF"))
        contents = self.candidates(open_)
        fits = [content for content in contents if got == ("ok", content[offset : offset + length])]
        if not fits:
            return self.expect("read", got, *[("ok", content[offset : offset + length]) for content in contents])
        self.saw(open_, fits[0])
        if not positioned:
            os.lseek(descriptor.local, at + len(got[1]), os.SEEK_SET)

    def op_write(self):
        descriptor = self.any_descriptor()
        if descriptor is None:
            return
        open_ = descriptor.open
        data = self.chosen([self.data(), self.data(), self.data(), self.database, self.database[:1500], self.database[:99]])
        positioned = self.random.random() < 0.5
        offset = self.offset(len(open_.view.content())) if positioned else os.lseek(descriptor.local, 0, os.SEEK_CUR)
        if data[:6] == b"SQLite":
            positioned, offset = True, 0
        if offset > BYTES_MAX:
            return
        if not self.may_write(open_):
            return
        self.note("write", self.told(descriptor), offset, len(data), "positioned" if positioned else "")
        if positioned:
            self.change(descriptor, "pwrite", data, offset)
        else:
            self.change(descriptor, "write", data)

    def may_write(self, open_):
        if not open_.writable:
            return True
        if self.blocked(open_.view):
            # Each costs the wait.
            return self.random.random() < 0.1
        return self.begins(open_)

    def change(self, descriptor, name, *args):
        open_ = descriptor.open
        view = open_.view
        if open_.writable and self.blocked(view):
            got = self.processes[descriptor.process].call(name, descriptor.mounted, *args)
            return self.expect(name, got, ("error", "EBUSY"))
        got, local = self.both(descriptor, name, *args)
        self.expect(name, got, local)
        if local[0] == "ok":
            self.wrote(view)
        return None

    def op_ftruncate(self):
        descriptor = self.any_descriptor()
        if descriptor is None or not self.may_write(descriptor.open):
            return
        size = self.offset(len(descriptor.open.view.content()))
        self.note("ftruncate", self.told(descriptor), size)
        self.change(descriptor, "ftruncate", size)

    def op_fallocate(self):
        descriptor = self.any_descriptor()
        if descriptor is None:
            return
        self.note("fallocate", self.told(descriptor))
        error = "ENOTSUP" if descriptor.open.writable else "EBADF"
        got = self.processes[descriptor.process].call("fallocate", descriptor.mounted, 0, 100, 5000)
        self.expect("fallocate", got, ("error", error))

    def op_sync(self):
        descriptor = self.any_descriptor()
        if descriptor is None:
            return
        name = self.chosen(["fsync", "fdatasync"])
        view = descriptor.open.view
        self.note(name, self.told(descriptor))
        got = self.processes[descriptor.process].call(name, descriptor.mounted)
        if view.dirty and classify(view.content()) == "half":
            return self.expect(name, got, ("error", "EIO"))
        self.expect(name, got, ("ok", None))
        view.file.made = True
        if view.dirty:
            self.commit(view)

    def op_seek(self):
        descriptor = self.any_descriptor()
        if descriptor is None:
            return
        open_ = descriptor.open
        whence = self.chosen([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END])
        offset = self.chosen([0, 0, 5, 4096, -1, -5000, self.random.randrange(BYTES_MAX)])
        self.note("seek", self.told(descriptor), offset, whence)
        at = os.lseek(descriptor.local, 0, os.SEEK_CUR)
        got = self.processes[descriptor.process].call("seek", descriptor.mounted, offset, whence)
        froms = [0] if whence == os.SEEK_SET else [at]
        if whence == os.SEEK_END:
            froms = self.sizes(open_)
        expected = [("ok", start + offset) if start + offset >= 0 else ("error", "EINVAL") for start in froms]
        self.expect("seek", got, *expected)
        if got[0] == "ok":
            os.lseek(descriptor.local, got[1], os.SEEK_SET)

    def op_fstat(self):
        descriptor = self.any_descriptor()
        if descriptor is None:
            return
        open_ = descriptor.open
        view = open_.view
        self.note("fstat", self.told(descriptor))
        got = self.processes[descriptor.process].call("fstat", descriptor.mounted)
        links = 1 if view.file.name is not None else 0
        self.expect("fstat", got, *[("ok", (size, links)) for size in self.sizes(open_)])

    def op_map(self):
        descriptor = self.any_descriptor()
        if descriptor is None or not descriptor.open.readable:
            return
        open_ = descriptor.open
        view = open_.view
        size = len(view.content())
        if size == 0 or view.divided or (not view.dirty and open_.pinned != view.file.newest):
            return
        call = self.processes[descriptor.process].call
        if open_.writable and not self.blocked(view) and self.random.random() < 0.5:
            offset = self.random.randrange(size)
            data = self.random.randbytes(min(size - offset, self.length()))
            self.note("map write", self.told(descriptor), offset, len(data))
            sync = self.random.random() < 0.5
            got = call("map_write", descriptor.mounted, size, offset, data, sync)
            if got == ("error", "ENODEV"):
                return
            system.call("map_write", descriptor.local, size, offset, data, sync)
            self.wrote(view)
            # msync(2) is an fsync.
            half = sync and classify(view.content()) == "half"
            self.expect("map write", got, ("error", "EIO") if half else ("ok", None))
            if sync and not half:
                self.commit(view)
            return
        shared = self.random.random() < 0.5
        self.note("map read", self.told(descriptor), shared)
        got = call("map_read", descriptor.mounted, shared, size)
        if got != ("error", "ENODEV"):
            self.expect("map read", got, ("ok", view.content()))

    def op_copy(self):
        """copy_file_range or sendfile from one file to another."""
        target = self.any_descriptor()
        sources = [d for d in self.descriptors if target and d.process == target.process and d.open.readable]
        sources = [d for d in sources if d.open.view is not target.open.view and not self.candidates(d.open)[1:]]
        if not sources or not target.open.writable or target.open.append or self.blocked(target.open.view):
            return
        if not self.begins(target.open):
            return
        source = self.chosen(sources)
        length, from_, to = self.length(), self.offset(5000), self.offset(5000)
        call = self.processes[target.process].call
        self.note("copy", self.told(source), self.told(target), length, from_, to)
        if self.random.random() < 0.5:
            got = call("copy_range", source.mounted, target.mounted, length, from_, to)
            if got in [("error", "ENOTSUP"), ("error", "ENOSYS"), ("error", "EXDEV")]:
                self.counts["copy_file_range refused"] += 1
                return
            self.expect("copy", got, system.call("copy_range", source.local, target.local, length, from_, to))
        else:
            got = call("send_file", target.mounted, source.mounted, from_, length)
            self.expect("sendfile", got, system.call("send_file", target.local, source.local, from_, length))
        if got[1] > 0:
            self.wrote(target.open.view)

    def op_dup(self):
        descriptor = self.any_descriptor()
        if descriptor is None or len(self.descriptors) >= OPENS_MAX:
            return
        self.note("dup", self.told(descriptor))
        got, local = self.both(descriptor, "dup")
        self.descriptor(descriptor.open, descriptor.process, got[1], local[1])

    def op_close(self):
        descriptor = self.any_descriptor()
        if descriptor is not None:
            self.close(descriptor)

    def close(self, descriptor):
        self.note("close", self.told(descriptor))
        got, local = self.both(descriptor, "close")
        self.expect("close", got, local)
        self.closed(descriptor)
        if descriptor.open.count == 0:
            self.settled(descriptor.open.view.file, descriptor.process)

    def closed(self, descriptor):
        open_ = descriptor.open
        view = open_.view
        self.descriptors.remove(descriptor)
        self.closes(view)
        open_.count -= 1
        if open_.count > 0:
            return
        view.opens.remove(open_)
        self.released(view)

    def op_die(self):
        """SIGKILL of a process: all its descriptors are closed."""
        process = self.process()
        self.note("die", process)
        self.processes[process].kill()
        self.processes[process] = system.Process()
        released = []
        for descriptor in sorted((d for d in self.descriptors if d.process == process), key=lambda d: d.mounted):
            os.close(descriptor.local)
            self.closed(descriptor)
            released.append(descriptor.open.view.file)
        for file in released:
            self.settled(file, process)

    def any_descriptor(self):
        return self.chosen(self.descriptors) if self.descriptors else None

    def told(self, descriptor):
        open_ = descriptor.open
        mode = ("r" if open_.readable else "") + ("w" if open_.writable else "") + ("a" if open_.append else "")
        view = open_.view
        place = "plain" if view.process is not None else "link"
        return "%d:%d %s %s %r v%d" % (descriptor.process, descriptor.mounted, mode, place, view.file.name, open_.pinned)

    # --- rounds

    OPERATIONS = [
        (op_open, 14), (op_close, 7), (op_read, 14), (op_write, 18), (op_ftruncate, 4), (op_truncate, 2), (op_sync, 4),
        (op_seek, 4), (op_fstat, 6), (op_stat, 4), (op_whole, 3), (op_rename, 4), (op_unlink, 3), (op_list, 2),
        (op_refused, 1), (op_never, 1), (op_fallocate, 1), (op_map, 4), (op_copy, 3), (op_dup, 2), (op_die, 0.5),
    ]

    def run(self, count):
        operations = [operation for operation, _ in self.OPERATIONS]
        weights = [weight for _, weight in self.OPERATIONS]
        for _ in range(count):
            operation = self.random.choices(operations, weights)[0]
            self.counts[operation.__name__[3:]] += 1
            operation(self)
        self.check()

    def check(self):
        """Contents for who has nothing open."""
        self.note("check")
        outsider = system.Process()
        self.expect("list", outsider.call("list", self.mount), system.call("list", self.names))
        for name in sorted(self.files):
            got = outsider.call("whole", self.at(name))
            self.expect("content of %r" % name, got, system.call("whole", self.locally(name)))
        outsider.kill()

    def close_all(self):
        while self.descriptors:
            self.close(self.chosen(self.descriptors))

    def remount(self):
        self.close_all()
        self.tell("remount")
        self.check()

    def kill(self):
        """SIGKILL of the daemon: what was not committed is gone, and so is an empty file that was never closed or synced."""
        self.tell("kill")
        for process in range(PROCESSES):
            self.processes[process].kill()
            self.processes[process] = system.Process()
        for descriptor in self.descriptors:
            os.close(descriptor.local)
        self.descriptors.clear()
        got = self.processes[0].call("list", self.mount)
        for name, file in list(self.files.items()):
            file.creator = file.writer = None
            if len(file.versions) == 1 and not file.made and os.fsencode(name) not in got[1]:
                del self.files[name]
                os.unlink(self.locally(name))
        self.check()

    def tell(self, what):
        print(what, flush=True)
        if sys.stdin.readline().strip() != "go":
            raise Difference("the test has ended")


def shown(answer):
    kind, value = answer
    if isinstance(value, bytes):
        return "%d bytes %s" % (len(value), value[:24].hex())
    return "%s %s" % (kind, str(value)[:300])


def main():
    mount, local, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    fuzz = Fuzz(mount, local, seed)
    rounds = 8
    try:
        for round_ in range(rounds):
            fuzz.run(count // rounds)
            if round_ % 2 == 0:
                fuzz.remount()
            else:
                fuzz.kill()
    except Difference as difference:
        print("\n".join(fuzz.log), file=sys.stderr)
        print("DIFFERENCE %s" % difference, file=sys.stderr)
        sys.exit(1)
    print("done %s" % dict(fuzz.counts), flush=True)


main()
