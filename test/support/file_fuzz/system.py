# System calls by name, in this process or in one of its own. A call gives ("ok", value) or ("error", name of the errno).
# Descriptors are those of the process that calls.
import ctypes
import errno
import mmap
import multiprocessing
import os
import signal

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
MS_SYNC = 4
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def rename2(old, new, flags):
    checked(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags))


def fallocate(fd, mode, offset, length):
    checked(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def mapped(fd, length, shared, writable, use):
    """Not Python's mmap, which has a descriptor of its own: its close would be one more close(2) of the file."""
    # As programs do: only so the kernel learns the size of what it has not read yet.
    os.fstat(fd)
    protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    flags = mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE
    address = libc.mmap(None, length, protection, flags, fd, 0)
    if address == ctypes.c_void_p(-1).value:
        checked(-1)
    try:
        return use(address)
    finally:
        checked(libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(length)))


def map_read(fd, shared, length):
    return mapped(fd, length, shared, False, lambda address: ctypes.string_at(address, length))


def map_write(fd, length, offset, data, sync):
    def write(address):
        ctypes.memmove(address + offset, data, len(data))
        if sync:
            checked(libc.msync(ctypes.c_void_p(address), ctypes.c_size_t(length), MS_SYNC))

    mapped(fd, length, True, True, write)


def copy_range(source, target, length, source_at, target_at):
    done = 0
    while done < length:
        count = os.copy_file_range(source, target, length - done, source_at + done, target_at + done)
        if count == 0:
            break
        done += count
    return done


def send_file(target, source, offset, length):
    done = 0
    while done < length:
        count = os.sendfile(target, source, offset + done, length - done)
        if count == 0:
            break
        done += count
    return done


def kind(path):
    mode = os.lstat(path).st_mode
    return "link" if (mode & 0o170000) == 0o120000 else "plain"


def whole(path):
    with open(path, "rb", buffering=0) as file:
        return file.readall()


CALLS = {
    "open": lambda path, flags: os.open(path, flags, 0o644),
    "close": os.close,
    "dup": os.dup,
    "read": os.read,
    "pread": os.pread,
    "write": os.write,
    "pwrite": os.pwrite,
    "seek": os.lseek,
    "ftruncate": os.ftruncate,
    "truncate": os.truncate,
    "fsync": os.fsync,
    "fdatasync": os.fdatasync,
    "fstat": lambda fd: (os.fstat(fd).st_size, os.fstat(fd).st_nlink),
    "stat": lambda path: os.stat(path).st_size,
    "kind": kind,
    "whole": whole,
    "list": lambda path: sorted(os.listdir(os.fsencode(path))),
    "rename2": rename2,
    "unlink": os.unlink,
    "link": os.link,
    "symlink": os.symlink,
    "mkdir": os.mkdir,
    "rmdir": os.rmdir,
    "chmod": os.chmod,
    "utime": os.utime,
    "fallocate": fallocate,
    "map_read": map_read,
    "map_write": map_write,
    "copy_range": copy_range,
    "send_file": send_file,
}


def call(name, *args):
    try:
        value = CALLS[name](*args)
        return ("ok", value)
    except OSError as error:
        return ("error", errno.errorcode.get(error.errno, str(error.errno)))


def serve(pipe):
    while True:
        try:
            name, args = pipe.recv()
        except EOFError:
            return
        pipe.send(call(name, *args))


class Process:
    """Calls from a process of its own, which can be killed."""

    def __init__(self):
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def call(self, name, *args):
        try:
            self.pipe.send((name, args))
            return self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            return ("error", "ended with %s" % self.process.exitcode)

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()
        self.pipe.close()
