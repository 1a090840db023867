# What fcntl and flock answer about a file: one JSON object, by the name of the step. Argument: the file.
import errno
import fcntl
import json
import os
import struct
import sys

KINDS = {"read": fcntl.F_RDLCK, "write": fcntl.F_WRLCK, "unlock": fcntl.F_UNLCK}
FLOCK = "hhqqi4x"
OFD_GETLK, OFD_SETLK, OFD_SETLKW = 36, 37, 38
PATH = os.path.realpath(sys.argv[1])
answers = {}


def attempt(work):
    try:
        work()
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]


def lock(file, command, kind, start, length):
    return attempt(lambda: fcntl.fcntl(file, command, struct.pack(FLOCK, KINDS[kind], os.SEEK_SET, start, length, 0)))


def ask(file, command, kind, start, length):
    packed = fcntl.fcntl(file, command, struct.pack(FLOCK, KINDS[kind], os.SEEK_SET, start, length, 0))
    kind, _, start, length, pid = struct.unpack(FLOCK, packed)
    if kind == fcntl.F_UNLCK:
        return None
    owner = {os.getpid(): "this process", os.getppid(): "the parent", -1: "an open file"}
    return [{fcntl.F_RDLCK: "read", fcntl.F_WRLCK: "write"}[kind], start, length, owner.get(pid, "another")]


def child(work):
    """What `work` answers in a child that has descriptors of its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, json.dumps(work()).encode())
        os._exit(0)
    os.close(writer)
    answer = json.loads(os.read(reader, 10000))
    os.close(reader)
    os.waitpid(pid, 0)
    return answer


def elsewhere(kind, start, length):
    """A child asks for the lock, and whose the one in the way of all is."""

    def work():
        file = os.open(PATH, os.O_RDWR)
        return [lock(file, fcntl.F_SETLK, kind, start, length), ask(file, fcntl.F_GETLK, "write", 0, 0)]

    return child(work)


a, b = os.open(PATH, os.O_RDWR), os.open(PATH, os.O_RDWR)
answers["ofd"] = lock(a, OFD_SETLK, "write", 100, 10)
answers["ofd, another file"] = lock(b, OFD_SETLK, "write", 100, 10)
answers["ofd, posix in the same process"] = lock(b, fcntl.F_SETLK, "write", 100, 10)
answers["ofd, who is asked by posix"] = ask(b, fcntl.F_GETLK, "write", 0, 1000)
answers["ofd, who"] = ask(b, OFD_GETLK, "write", 0, 1000)
answers["ofd, inherited"] = child(lambda: lock(a, OFD_SETLK, "write", 100, 10))
answers["ofd, after the heir has ended"] = lock(b, OFD_SETLK, "write", 100, 10)
os.close(a)
# Given back with the file, a moment after close(2) has returned.
answers["ofd, waited for"] = lock(b, OFD_SETLKW, "write", 100, 10)
lock(b, OFD_SETLK, "unlock", 0, 0)

a = os.open(PATH, os.O_RDWR)
answers["flock"] = attempt(lambda: fcntl.flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB))
answers["flock, another file"] = attempt(lambda: fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB))
answers["flock beside posix"] = lock(b, fcntl.F_SETLK, "write", 0, 10)
lock(b, fcntl.F_SETLK, "unlock", 0, 0)
fcntl.flock(a, fcntl.LOCK_UN)
answers["flock, given back"] = attempt(lambda: fcntl.flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB))

answers["posix"] = [lock(a, fcntl.F_SETLK, "write", 100, 10), elsewhere("write", 105, 1)]
answers["posix, a part given back"] = [lock(a, fcntl.F_SETLK, "unlock", 103, 3), elsewhere("write", 103, 3)]
answers["posix, to the end"] = [lock(a, fcntl.F_SETLK, "write", 0, 0), elsewhere("read", 2**40, 1)]
answers["posix, weakened"] = [lock(a, fcntl.F_SETLK, "read", 0, 20), elsewhere("read", 0, 5), elsewhere("write", 0, 5)]
answers["posix, of two the first"] = [lock(a, fcntl.F_SETLK, "unlock", 10, 5), elsewhere("read", 12, 1)]
answers["posix, before the start"] = lock(a, fcntl.F_SETLK, "write", -5, 5)
answers["posix, far out"] = lock(a, fcntl.F_SETLK, "write", 2**60, 5)
answers["posix, written without the right"] = lock(os.open(PATH, os.O_RDONLY), fcntl.F_SETLK, "write", 0, 5)
os.close(b)
answers["posix, after another file was closed"] = elsewhere("write", 30, 1)
print(json.dumps(answers))
