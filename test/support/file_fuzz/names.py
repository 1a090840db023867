# Operations on names: open, rename, unlink, truncate, stat and listings, and those that such a directory refuses.
import os

import system
from model import NAME_BYTES_MAX, Descriptor, File, Open, View, classify, refused
from session import OPENS_MAX, REFUSED, Session


class NameOperations(Session):
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
            view.on_purpose = bool(flags & (os.O_EXCL | os.O_TRUNC)) or flags & os.O_ACCMODE == os.O_WRONLY
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
        """What such a directory does not have, and directories in it."""
        name, process = self.name(), self.process()
        call = self.processes[process].call
        old = self.chosen(sorted(self.files)) if self.files else None
        self.note("never", process, repr(name), repr(old))
        error = ("error", "EEXIST" if name in self.files else "EPERM")
        if name not in self.files and len(os.fsencode(name)) == NAME_BYTES_MAX:
            self.expect("mkdir", call("mkdir", self.at(name)), ("error", "ENAMETOOLONG"))
        elif name not in self.files and not name.endswith("-journal"):
            self.expect("mkdir", call("mkdir", self.at(name)), ("ok", None))
            self.expect("mkdir again", call("mkdir", self.at(name)), ("error", "EEXIST"))
            if old is not None:
                self.expect("rename", call("rename2", self.at(old), self.at(name), 0), ("error", "EISDIR"))
            self.expect("rmdir", call("rmdir", self.at(name)), ("ok", None))
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
