# POSIX locks of a process on one open file, for tests: commands as JSON lines on standard input, an answer a line.
# A lock is "read", "write" or "unlock" on [start, start + length).
import errno
import fcntl
import json
import os
import signal
import struct
import sys

KINDS = {"read": fcntl.F_RDLCK, "write": fcntl.F_WRLCK, "unlock": fcntl.F_UNLCK}
FLOCK = "hhqqi4x"
file = None


class Alarm(Exception):
    pass


def on_alarm(_number, _frame):
    raise Alarm()


def flock(kind, start, length):
    return struct.pack(FLOCK, KINDS[kind], os.SEEK_SET, start, length, 0)


def run(command):
    global file
    op = command["op"]
    if op == "open":
        file = os.open(command["path"], os.O_RDWR)
        return os.getpid()
    if op == "set":
        fcntl.fcntl(file, fcntl.F_SETLK, flock(command["kind"], command["start"], command["length"]))
        return None
    if op == "wait":
        # lockf would do, but hides the signal: this is F_SETLKW itself.
        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, command.get("seconds", 0))
        try:
            fcntl.fcntl(file, fcntl.F_SETLKW, flock(command["kind"], command["start"], command["length"]))
        except Alarm:
            return "interrupted"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return "locked"
    if op == "get":
        answer = fcntl.fcntl(file, fcntl.F_GETLK, flock(command["kind"], command["start"], command["length"]))
        kind, _, start, length, pid = struct.unpack(FLOCK, answer)
        if kind == fcntl.F_UNLCK:
            return None
        return {"kind": "read" if kind == fcntl.F_RDLCK else "write", "start": start, "length": length, "pid": pid}
    if op == "read":
        return os.pread(file, command["length"], command["start"]).hex()
    if op == "fork":
        # A child that closes what it inherited, and ends.
        child = os.fork()
        if child == 0:
            os.close(file)
            os._exit(0)
        os.waitpid(child, 0)
        return None
    if op == "reopen":
        # Closing any descriptor of a file drops a process's locks on it (POSIX).
        os.close(os.open(command["path"], os.O_RDWR))
        return None
    if op == "close":
        os.close(file)
        return None
    raise ValueError("unknown op " + op)


for line in sys.stdin:
    try:
        answer = {"value": run(json.loads(line))}
    except OSError as error:
        answer = {"error": errno.errorcode.get(error.errno, str(error.errno))}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
