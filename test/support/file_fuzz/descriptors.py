# Operations on descriptors: reads, writes, sizes, positions, mappings, copies, closes, and the death of a process.
import os

import system
from model import classify
from session import BYTES_MAX, OPENS_MAX, Session


class DescriptorOperations(Session):
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
        if descriptor.open.view.process is not None:
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

    def closed(self, descriptor, deliberate=True):
        open_ = descriptor.open
        view = open_.view
        self.descriptors.remove(descriptor)
        self.closes(view, deliberate)
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
            self.closed(descriptor, deliberate=False)
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
