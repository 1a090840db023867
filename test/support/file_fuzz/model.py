# What a mounted directory of databases promises, where that is not what a local directory does.
#
# - An existing file is opened as a view of its own, of the version that was newest then. Handles that read and write
#   (without O_APPEND) a database, or an empty file, may move on to newer versions when they read; the others stay.
# - Who creates a file has it as a plain inode, which its process shares among all its opens until the last is closed.
#   One that has closed one of two duplicates (dup) is shown the symlink: creators do not dup here.
# - What a view writes is seen in that view at once, and by others from the next close(2) or fsync in it: then it is a
#   version. A rename commits what the creator has written. One view at a time has uncommitted bytes; another that comes
#   to write gets EBUSY (after --writer-wait).
# - A handle that can read writes on top of what it reads; when somebody else has committed meanwhile, its fsync and
#   close are EIO and its bytes are given up. A handle that only writes begins with the newest version.
# - What begins as an SQLite database is committed when its size is what page 1 states: fsync is EIO before that, and
#   close gives the rest up, but of a new file that was not left by a process that was killed. A database that becomes
#   something else is committed when the last writer is gone.
# - Names that SQLite or the mount give a meaning to cannot be created (REFUSED); links and exchanges
#   neither. Mode and times are taken and not kept.
#
# All else is compared with a local directory: each view has a local file of its own there, and the names lie in another.
import os
import re

NAME_BYTES_MAX = 200


def refused(name):
    """The errno for a name that cannot be created, in the mounted directory."""
    data = os.fsencode(name)
    if len(data) > 255:
        return "ENAMETOOLONG"
    if "@" in name or re.search(r"-(wal|shm)$", name):
        return "EACCES"
    if len(data) > NAME_BYTES_MAX:
        return "ENAMETOOLONG"
    if re.search("[\x00-\x1f\x7f-\x9f,=]", name):
        return "EINVAL"
    return None


def classify(content):
    """'foreign': no SQLite database; 'whole': one of the size that page 1 states; 'half'."""
    if len(content) < 100 or content[:16] != b"SQLite format 3\0":
        return "foreign"
    field = int.from_bytes(content[16:18], "big")
    page = 65536 if field == 1 else field
    if page < 512 or page & (page - 1):
        return "foreign"
    count = int.from_bytes(content[28:32], "big")
    valid = count > 0 and content[92:96] == content[24:28]
    if len(content) % page or (valid and len(content) != count * page):
        return "half"
    return "whole"


def longer(content, before):
    """Whether a database has whole pages behind those that page 1 states, and none of an older one is lost by that."""
    if classify(content) != "half":
        return False
    page = int.from_bytes(content[16:18], "big") or 65536
    page = 65536 if page == 1 else page
    count = int.from_bytes(content[28:32], "big")
    if len(content) % page or len(content) <= count * page:
        return False
    return before == b"" or (classify(before) != "foreign" and before[16:18] == content[16:18] and before[28:32] == content[28:32])


class File:
    def __init__(self, name):
        self.name = name
        self.versions = [b""]
        # Durable without a commit: an empty file that was synced or closed.
        self.made = False
        self.creator = None
        self.writer = None

    @property
    def newest(self):
        return len(self.versions) - 1


class View:
    """A connection: what one opener, or the creator's process, sees."""

    def __init__(self, file, path, process):
        self.file = file
        self.path = path
        # Of the creator; None for a view of one open.
        self.process = process
        self.opens = []
        # It was made as SQLite does not: then it stays, empty as it may be. Of others nobody says so.
        self.on_purpose = False
        self.dirty = False
        self.base = 0
        # Its handles may see different versions: somebody else committed.
        self.divided = False

    def content(self):
        with open(self.path, "rb") as file:
            return file.read()

    def replace(self, content):
        # In place: handles stay.
        with open(self.path, "r+b") as file:
            file.truncate(0)
            file.write(content)


class Open:
    """What open(2) made; descriptors share it."""

    def __init__(self, view, flags):
        mode = flags & os.O_ACCMODE
        self.view = view
        self.readable = mode != os.O_WRONLY
        self.writable = mode != os.O_RDONLY
        self.append = bool(flags & os.O_APPEND)
        self.moves = mode == os.O_RDWR and not self.append
        self.pinned = view.file.newest
        self.count = 0


class Descriptor:
    def __init__(self, open_, process, mounted, local):
        self.open = open_
        self.process = process
        self.mounted = mounted
        self.local = local
